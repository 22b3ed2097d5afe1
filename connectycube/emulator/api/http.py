"""HTTP: the REST API on a socket, with aiohttp."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from ..refusal import Refusal
from . import Api, Reply, Request

__all__ = ["HttpServer"]

_log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 0.5


class HttpServer:
    """Serves an Api; to be used on one event loop."""

    def __init__(self, api: Api, *, body_bytes: int) -> None:
        self._api = api
        self._body_bytes = body_bytes
        self._server: asyncio.Server | None = None
        self._protocols: web.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, a free one if ``port`` is 0."""
        self._protocols = web.Server(self._handle, access_log=None)
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

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            reply = await self._reply(request)
        except Refusal as refusal:
            reply = Reply.refused(refusal)
        except Exception:  # noqa: BLE001  (it must neither end the server nor reach the client)
            _log.exception("the emulator failed on %s %s", request.method, request.rel_url.raw_path)
            reply = Reply.refused(Refusal(500, "The emulator failed; its log says why"))
        return web.Response(
            status=reply.status,
            body=reply.body(),
            headers=reply.headers,
            content_type="application/json" if reply.content is not None else "text/plain",
            charset="utf-8",
        )

    async def _reply(self, request: web.BaseRequest) -> Reply:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self._body_bytes:
                raise Refusal(413, f"The body is larger than {self._body_bytes} bytes")
        return self._api.handle(
            Request(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=bytes(body),
            )
        )
