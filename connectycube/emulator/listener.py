"""Listener: one HTTP port, with aiohttp."""

from __future__ import annotations

import asyncio

from aiohttp import web

__all__ = ["Listener"]

_SHUTDOWN_SECONDS = 0.5


class Listener:
    """Listens, and gives each request to ``handle``; to be used on one event loop."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._protocols: web.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, a free one if ``port`` is 0."""
        self._protocols = web.Server(self.handle, access_log=None)
        self._server = await asyncio.get_running_loop().create_server(self._protocols, host, port)
        return int(self._server.sockets[0].getsockname()[1])

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
