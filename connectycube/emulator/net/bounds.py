"""Bounds: the number of open connections at all ports together, and the bytes of bodies held in memory.

Every program on this machine can connect. Without bounds idle connections would use up the descriptors of the
process, and requests that never end its memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Bounds", "Connection", "most_connections", "quiet_accept"]

_log = logging.getLogger(__name__)

_RESERVED = 100  # descriptors for everything but connections, and for those just accepted
_FEWEST = 64
_MOST_BODIES = 268_435_456  # bytes
_SECONDS_BETWEEN_WARNINGS = 60.0


class Connection(Protocol):
    """A connection as Bounds counts it."""

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing happens on it before the client sends something."""
        ...

    def drop(self) -> None:
        """End the connection at once."""


class Bounds:
    """The open connections of all ports, and the bytes of the request bodies that are held in memory.

    Times are seconds of the loop. ``head_seconds`` is how long a client may take for the head of a request.
    """

    def __init__(self, most: int, head_seconds: Callable[[], float]) -> None:
        self._most = most
        self._head_seconds = head_seconds
        self._open: dict[Connection, None] = {}  # in the order of their latest request
        self._bodies = 0
        self._next_warning = 0.0

    @property
    def head_seconds(self) -> float:
        """How long a client may take for the head of a request."""
        return self._head_seconds()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Count a new connection; at the bound drop one that waits for its client.

        Return False if no connection waits for its client. Then the new connection must be dropped.
        """
        if len(self._open) >= self._most and not self._make_room():
            return False
        self._open[connection] = None
        return True

    def _make_room(self) -> bool:
        self._warn()
        for connection in self._open:
            if connection.waits_for_client:
                del self._open[connection]
                connection.drop()
                return True
        return False

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_warning:
            self._next_warning = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning(
                "%d connections to the emulator are open. For a new one, the one that has waited longest is "
                "closed",
                len(self._open),
            )

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection, if it is counted."""
        self._open.pop(connection, None)

    def used(self, connection: Connection) -> None:
        """Note that a connection was just used, so that others are dropped before it."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def hold(self, size: int) -> bool:
        """Count bytes of a body, or with a negative size forget them; return False above the bound."""
        self._bodies += size
        return self._bodies <= _MOST_BODIES


def most_connections(wanted: int) -> int:
    """Return a number of connections for which this process has descriptors.

    A program with the emulator in it has the other ends of the connections, too.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(_FEWEST, soft // 2 - _RESERVED))


def quiet_accept(loop: asyncio.AbstractEventLoop) -> None:
    """Report in one line, at most once a minute, that there is no descriptor for a new connection.

    asyncio reports it with a traceback for each connection that it cannot accept.
    """
    latest = [float("-inf")]

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "accept()" not in context["message"]:
            loop.default_exception_handler(context)
        elif loop.time() - latest[0] >= _SECONDS_BETWEEN_WARNINGS:
            latest[0] = loop.time()
            _log.warning("The emulator cannot accept connections: %s", context.get("exception"))

    loop.set_exception_handler(handle)
