"""CPU of a message from ``send_message`` to bytes for the socket, the handle's outcome included.

Bursts of 100, which the server then acknowledges at once. Ours checks every field, keeps what is not
acknowledged yet, settles each handle and emits ``message_sent``.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench import chat_material as material
from tests.bench.chat_ours import ours
from tests.bench.chat_peers import Xmpppy, slixmpp_peer
from tests.bench.measuring import cpu_ratios
from tests.bench.registry import Row, topic

_CALLS = 5
_GOAL = 0.25


@topic("chat-outbound")
def chat_outbound() -> Sequence[Row]:
    """Compare with xmpppy and slixmpp, which write the same elements."""
    rows = []
    with ours() as side, slixmpp_peer() as slixmpp:
        for peer, other, goal in (("xmpppy", Xmpppy(), None), ("slixmpp", slixmpp, _GOAL)):
            for sender in (side, other):
                sender.send_burst()
            sent = material.stanzas(side.written)
            assert sent == material.stanzas(other.written) and len(sent) == material.BURST
            ratio = cpu_ratios(side.send_burst, other.send_burst, calls=_CALLS)
            rows.append(Row.of("CPU of send_message", peer, ratio, goal))
    return rows
