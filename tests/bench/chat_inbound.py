"""CPU of a message from the socket's bytes to a receiver that reads all its fields.

Bursts of 100: in reads of 16 KiB, and with one message a read, as live traffic brings them. Ours counts
stanzas and acknowledges them, queues events and calls receivers on the dispatcher (its worker runs in the
measuring thread; one row is measured with its own). "with 'delivered'" also answers each message with that
marker, which the server acknowledges: our default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench import chat_material as material
from tests.bench.chat_ours import ours
from tests.bench.chat_peers import Expat, Xmpppy, slixmpp_peer
from tests.bench.measuring import Ratio, cpu_ratios
from tests.bench.registry import Row, topic

_CALLS = 5
_GOAL = 1.0


@topic("chat-inbound")
def chat_inbound() -> Sequence[Row]:
    """Compare with the parser alone, with xmpppy and with slixmpp."""
    name = "CPU of a message in"
    rows = []
    with ours() as side, slixmpp_peer() as slixmpp:
        bursts = (
            material.bursts()
        )  # one series for a side: what it has seen it does not deliver again
        for peer, other, goal in (
            ("expat, empty handlers", Expat(), 1.7),
            ("xmpppy", Xmpppy(), None),
            ("slixmpp", slixmpp, 0.33),
        ):
            rows.append(Row.of(name, peer, _ratio(side, other, bursts), goal))
    with ours() as side, slixmpp_peer() as slixmpp:
        bursts = material.singles()
        for peer, other, goal in (
            ("expat, empty handlers", Expat(), 2.5),
            ("slixmpp", slixmpp, 0.59),
        ):
            rows.append(Row.of("… one message a read", peer, _ratio(side, other, bursts), goal))
    with ours(threaded=True) as side, slixmpp_peer() as slixmpp:
        ratio = _ratio(side, slixmpp, material.bursts())
        rows.append(Row.of("… with a worker thread", "slixmpp", ratio, _GOAL))
    with ours(marks=True) as side, slixmpp_peer(marks=True) as slixmpp:
        ratio = _ratio(side, slixmpp, material.bursts())
        rows.append(Row.of("… with 'delivered'", "slixmpp", ratio, _GOAL))
    return rows


def _ratio(ours: Any, theirs: Any, bursts: Iterator[Sequence[bytes]]) -> Ratio:
    burst = next(bursts)
    others = material.singles() if len(burst) > material.BURST else material.bursts()
    _compare(ours, theirs, burst)
    return cpu_ratios(
        lambda: ours.receive_burst(next(bursts)),
        lambda: theirs.receive_burst(next(others)),
        calls=_CALLS,
    )


def _compare(ours: Any, theirs: Any, burst: Sequence[bytes]) -> None:
    """Let both take the same bytes: they must read the same, and answer the same."""
    for side in (ours, theirs):
        side.receive_burst(burst)
    if isinstance(theirs, Expat):
        return
    assert [*map(material.texts, ours.read)] == [*map(material.texts, theirs.read)]
    assert material.stanzas(ours.written) == material.stanzas(theirs.written)
