"""Links that are open, and the wait for their end."""

from __future__ import annotations

import asyncio

from connectycube.emulator.net.connections import OpenLinks


def test_the_wait_ends_with_the_last_link_and_not_before():
    async def run():
        links = OpenLinks[str]()
        links.add("one")
        links.add("two")
        waiting = asyncio.ensure_future(links.emptied(60.0))
        await asyncio.sleep(0)
        links.discard("one")
        links.discard("nobody")
        await asyncio.sleep(0)
        assert not waiting.done()
        links.discard("two")
        await waiting
        links.discard("two")

    asyncio.run(run())


def test_without_links_nobody_waits_and_with_them_at_most_the_time_given():
    async def run():
        links = OpenLinks[str]()
        await links.emptied(60.0)
        links.add("one")
        await links.emptied(0.01)
        assert links == {"one"}
        links.discard("one")  # late, and no harm is done

    asyncio.run(run())
