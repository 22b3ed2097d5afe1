"""How long a ping takes: ours from a receiver's thread, beside a blocking TLS socket by hand.

Wall time, as somebody waits for it; both ask the same server in turn, and the rounds are interleaved.
"""

from __future__ import annotations

import ssl
import statistics
import time
from collections.abc import Callable, Sequence

from connectycube import Chat
from tests.bench.by_hand import ByHand
from tests.bench.counting_server import APP, Server, counting_server
from tests.bench.measuring import quartiles
from tests.bench.registry import Row, topic

_ROUNDS, _PINGS = 9, 200
_PING = "<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq><r xmlns='urn:xmpp:sm:3'/>"


@topic("chat-ping")
def chat_ping() -> Sequence[Row]:
    """Compare the middle of the times, and the slowest hundredth."""
    with counting_server() as server:
        chat = Chat(server.config())
        chat.login(1001, "secret")
        peer = _by_hand(server)
        try:
            return _rows(chat.ping, lambda: peer.ask(_PING, b"<a [^>]*>"))
        finally:
            peer.close()
            chat.logout()


def _by_hand(server: Server) -> ByHand:
    context = ssl.create_default_context(cafile=server.ca_file)
    return ByHand(context, server.port, f"1002-{APP}", "secret")


def _rows(ours: Callable[[], object], theirs: Callable[[], object]) -> Sequence[Row]:
    halves, hundredths = [], []
    for _ in range(_ROUNDS):
        mine, others = _times(ours), _times(theirs)
        halves.append(statistics.median(mine) / statistics.median(others))
        hundredths.append(mine[-_PINGS // 100] / others[-_PINGS // 100])
    peer = "a blocking socket"
    return [
        Row.of("ping, p50", peer, quartiles(halves), 2.0),
        Row.of("ping, p99", peer, quartiles(hundredths), 2.0),
    ]


def _times(call: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return sorted(times)
