"""slixmpp as its users run it: an event loop, TLS, stream management, and a handler of messages."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import slixmpp

from tests.bench.chat_peers import read_fields

__all__ = ["running"]

Result = TypeVar("Result")


def running(
    port: int,
    ca_file: str,
    jid: str,
    use: Callable[[slixmpp.ClientXMPP, list[Any]], Awaitable[Result]],
) -> Result:
    """Log in, and return what ``use(client, read)`` returns; ``read`` gets the fields of each message."""
    return asyncio.run(_run(port, ca_file, jid, use))


async def _run(port: int, ca_file: str, jid: str, use: Callable[..., Awaitable[Result]]) -> Result:
    client = slixmpp.ClientXMPP(f"{jid}/bench", "secret")
    client.ssl_context = ssl.create_default_context(cafile=ca_file)
    client.enable_starttls = client.enable_plaintext = client.use_aiodns = False
    client.register_plugin("xep_0198")
    ready = asyncio.get_running_loop().create_future()
    read: list[Any] = []
    client.add_event_handler("session_start", lambda _: client.send_presence())
    client.add_event_handler("sm_enabled", lambda _: ready.done() or ready.set_result(None))
    client.add_event_handler("message", lambda message: read.append(read_fields(message)))
    client.connect("127.0.0.1", port)
    await asyncio.wait_for(ready, 30)
    try:
        return await use(client, read)
    finally:
        await client.disconnect(wait=2.0)
