"""Listener: one HTTP port, with aiohttp."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from .faults import Faults

__all__ = ["Listener", "Refusing", "reset"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_SHUTDOWN_SECONDS = 0.5


class Listener:
    """Listens, and gives each request to ``handle``; to be used on one event loop.

    The faults of ``side``, where there are any, can refuse its connections.
    """

    def __init__(self, faults: Faults | None = None, side: str = "") -> None:
        self._faults = faults
        self._side = side
        self._server: asyncio.Server | None = None
        self._protocols: web.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, a free one if ``port`` is 0."""
        self._protocols = web.Server(self.handle, access_log=None, handler_cancellation=True)
        self._server = await asyncio.get_running_loop().create_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self) -> asyncio.Protocol:
        assert self._protocols is not None
        faults = self._faults
        if faults is not None and faults.active and faults.take("refuse", self._side):
            return Refusing()
        return self._protocols()

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        if self._protocols is not None:
            self._protocols.pre_shutdown()  # ends the connections that are idle
            await self._protocols.shutdown(_SHUTDOWN_SECONDS)
        if self._server is not None:
            await self._server.wait_closed()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        raise NotImplementedError


class Refusing(asyncio.Protocol):
    """A connection that is reset as soon as it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reset it."""
        assert isinstance(transport, asyncio.Transport)
        reset(transport)


def reset(transport: asyncio.Transport | None) -> None:
    """End a connection at once, so that its other end gets a reset."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
