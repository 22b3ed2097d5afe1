"""CPU of a message from the socket's bytes to a receiver that reads all its fields.

Bursts of 100, in chunks of 16 KiB. Ours counts stanzas and acknowledges them, queues events and calls
receivers on the dispatcher (its worker runs in the measuring thread; one row is measured with its own). "with
'delivered'" also answers each message with that marker, which the server acknowledges: our default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench import chat_material as material
from tests.bench.chat_ours import ours
from tests.bench.chat_peers import Expat, Xmpppy, slixmpp_peer
from tests.bench.measuring import cpu_ratio
from tests.bench.registry import Row, topic

_CALLS = 5
_GOAL = 1.0


@topic("chat-inbound")
def chat_inbound() -> Sequence[Row]:
    """Compare with the parser alone, with xmpppy and with slixmpp."""
    name = "CPU of a message in"
    rows = []
    with ours() as side, slixmpp_peer() as slixmpp:
        bursts = material.bursts()
        for peer, other, goal in (
            ("expat, empty handlers", Expat(), None),
            ("xmpppy", Xmpppy(), None),
            ("slixmpp", slixmpp, _GOAL),
        ):
            rows.append(Row(name=name, peer=peer, value=_ratio(side, other, bursts), goal=goal))
    with ours(threaded=True) as side, slixmpp_peer() as slixmpp:
        value = _ratio(side, slixmpp, material.bursts())
        rows.append(Row(name="… with a worker thread", peer="slixmpp", value=value, goal=_GOAL))
    with ours(marks=True) as side, slixmpp_peer(marks=True) as slixmpp:
        value = _ratio(side, slixmpp, material.bursts())
        rows.append(Row(name="… with 'delivered'", peer="slixmpp", value=value, goal=_GOAL))
    return rows


def _ratio(ours: Any, theirs: Any, bursts: Iterator[Sequence[bytes]]) -> float:
    _compare(ours, theirs, next(bursts))
    others = material.bursts()
    return cpu_ratio(
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
