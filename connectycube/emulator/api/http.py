"""HTTP: the REST API on a socket, with aiohttp."""

from __future__ import annotations

import logging
import ssl

from aiohttp import web

from ..listener import Listener
from ..refusal import Refusal
from . import Api, Reply, Request

__all__ = ["HttpServer"]

_log = logging.getLogger(__name__)


class HttpServer(Listener):
    """Serves an Api."""

    def __init__(self, api: Api, *, body_bytes: int, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.api = api
        self._body_bytes = body_bytes

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
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
        return self.api.handle(
            Request(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                scheme=request.scheme,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=bytes(body),
            )
        )
