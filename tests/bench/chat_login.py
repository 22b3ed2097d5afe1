"""What a login costs, and what 1,000 connections hold, with the system's certificate authorities.

The authorities are a file of some 140 certificates. By hand means a blocking TLS socket and a context for
each login, as a program makes it that logs in once; the memory is compared with TLS sockets of one context.
Both sides of each round are processes that have done nothing else.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence

from connectycube import Chat, Config
from tests.bench.by_hand import ByHand
from tests.bench.counting_server import APP, Server, counting_server
from tests.bench.measuring import in_fresh_process, quartiles, resident
from tests.bench.registry import KILOBYTES, MILLISECONDS, Row, topic

_LOGINS, _ROUNDS = 20, 5
_CONNECTIONS = 1_000


@topic("chat-login")
def chat_login() -> Sequence[Row]:
    """Compare CPU with a login by hand, and memory with plain TLS."""
    rows = []
    with counting_server() as server:
        for name, system in (
            ("CPU of a login", False),
            ("CPU of a login, system's CAs", True),
        ):
            ratios, mine = [], []
            for _ in range(_ROUNDS):
                mine.append(in_fresh_process(_our_logins, server, system))
                ratios.append(mine[-1] / in_fresh_process(_their_logins, server))
            rows.append(Row.of(name, "by hand", quartiles(ratios), 3.0))
        middle = sorted(mine)[len(mine) // 2] * 1000
        rows.append(
            Row(
                name="CPU of a login, system's CAs",
                peer="the clock",
                value=middle,
                goal=None,
                unit=MILLISECONDS,
            )
        )
        for name, system in (
            (f"{_CONNECTIONS:,} connections, each", False),
            (f"{_CONNECTIONS:,} connections, system's CAs", True),
        ):
            plain = in_fresh_process(_their_memory, server)
            value = in_fresh_process(_our_memory, server, system) - plain
            rows.append(Row(name=name, peer="plain ssl", value=value, goal=150.0, unit=KILOBYTES))
    return rows


def _our_logins(server: Server, system: bool) -> float:
    return _middle(lambda: _log_in(server.config(system=system)).logout())


def _their_logins(server: Server) -> float:
    context = ssl.create_default_context(cafile=server.ca_file)
    return _middle(lambda: ByHand(context, server.port, f"1002-{APP}", "secret").close())


def _log_in(config: Config) -> Chat:
    chat = Chat(config)
    chat.login(1001, "secret")
    return chat


def _middle(login: Callable[[], object]) -> float:
    """Return the seconds of CPU of a login, the middle one of some; the first one warms up."""
    times = []
    for _ in range(_LOGINS + 1):
        before = time.process_time()
        login()
        times.append(time.process_time() - before)
    return sorted(times[1:])[_LOGINS // 2]


def _our_memory(server: Server, system: bool) -> float:
    first = _log_in(server.config(system=system))
    before = resident()
    chats = [_log_in(server.config(system=system)) for _ in range(_CONNECTIONS)]
    grown = resident() - before
    for chat in (first, *chats):
        chat.logout()
    return grown / _CONNECTIONS / 1000


def _their_memory(server: Server) -> float:
    context = ssl.create_default_context(cafile=server.ca_file)
    first = _plain(context, server.port)
    before = resident()
    socks = [_plain(context, server.port) for _ in range(_CONNECTIONS)]
    grown = resident() - before
    for sock in (first, *socks):
        sock.close()
    return grown / _CONNECTIONS / 1000


def _plain(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    return context.wrap_socket(raw, server_hostname="localhost")
