"""Connections: accepting, refusing and resetting them, and the TLS handshake before the protocol."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, MutableSet
from typing import TypeVar

from ..control.timers import Timers
from .bounds import Bounds

__all__ = ["OpenLinks", "RefusedConnection", "TlsHandshake", "reset"]

_Link = TypeVar("_Link")

_HANDSHAKE_SECONDS = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class OpenLinks(set[_Link]):
    """The links that are open, for one event loop; ``emptied`` waits until all have ended."""

    def __init__(self) -> None:
        super().__init__()
        self._empty: asyncio.Future[None] | None = None

    def discard(self, link: object) -> None:
        """Remove a link that has ended."""
        super().discard(link)
        if not self and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def emptied(self, seconds: float) -> None:
        """Wait until no link is open, or until the seconds have passed."""
        if self:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=seconds)


class TlsHandshake(asyncio.Protocol):
    """One connection in its TLS handshake; afterwards the protocol of ``make_protocol()`` gets it.

    The TLS server of asyncio gives no access to connections in their handshake, so a stop would have to wait
    for them. Here they are in ``pending`` until then. ``accepted`` gets the TCP connection below TLS, which
    can be aborted at any time.
    """

    def __init__(
        self,
        pending: set[TlsHandshake],
        context: ssl.SSLContext,
        timers: Timers,
        bounds: Bounds,
        make_protocol: Callable[[], asyncio.Protocol],
        accepted: MutableSet[asyncio.Transport] | None = None,
    ) -> None:
        self._pending = pending
        self._context = context
        self._timers = timers
        self._bounds = bounds
        self._make_protocol = make_protocol
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._bounds.add(self):
            transport.abort()
            return
        self._pending.add(self)
        if self._accepted is not None:
            self._accepted.add(transport)
        self._too_slow = self._timers.schedule(_HANDSHAKE_SECONDS, self.drop)
        self._task = asyncio.get_running_loop().create_task(self._start_tls())

    async def _start_tls(self) -> None:
        early = _Early()
        try:
            tls = await asyncio.get_running_loop().start_tls(
                self._transport,
                early,
                self._context,
                server_side=True,
            )
        except OSError:  # the handshake failed: ssl.SSLError is an OSError
            tls = None
        except asyncio.CancelledError:
            self._abort()
            raise
        if tls is None or early.lost:
            self._abort()
            return
        self._too_slow.cancel()
        self._pending.discard(self)
        self._bounds.remove(self)  # the protocol adds itself to the bounds
        protocol = self._make_protocol()
        tls.set_protocol(protocol)
        protocol.connection_made(tls)
        if early.data:
            protocol.data_received(early.data)

    def drop(self) -> None:
        """End the connection at once."""
        self._task.cancel()
        self._abort()

    def _abort(self) -> None:
        # Python 3.10 leaves the TLS transport of a failed handshake open, which is a ResourceWarning later.
        tls = getattr(self._transport.get_protocol(), "_app_transport", None)
        if tls is not None:
            tls.abort()
        self._transport.abort()
        self._too_slow.cancel()
        self._pending.discard(self)
        self._bounds.remove(self)

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing happens before the client sends something. (Connection.)"""
        return True


class _Early(asyncio.Protocol):
    """Keeps the data that arrives before the loop reports the end of the handshake."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def data_received(self, data: bytes) -> None:
        """Keep the data."""
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the loss."""
        self.lost = True


class RefusedConnection(asyncio.Protocol):
    """A connection that is reset as soon as it is accepted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reset the connection."""
        assert isinstance(transport, asyncio.Transport)
        reset(transport)


def reset(transport: asyncio.Transport | None) -> None:
    """Abort a connection so that the peer gets a reset."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
