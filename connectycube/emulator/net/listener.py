"""Listener: one HTTP or HTTPS port, with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from weakref import WeakSet

from aiohttp import web
from aiohttp.http import HttpProcessingError

from ..control.faults import Faults
from ..control.timers import Timers
from . import cors
from .access import Access
from .connections import RefusedConnection, TlsHandshake

__all__ = ["MALFORMED", "NOT_SNIFFED", "Listener", "header_text"]

MALFORMED = (HttpProcessingError, web.RequestPayloadError)
"""The exceptions of aiohttp when the body of a request is not HTTP."""

NOT_SNIFFED = {"X-Content-Type-Options": "nosniff"}
"""The header of every answer: a browser must not take it for a page or a script. (Fetch, 3.6.)"""

_SHUTDOWN_SECONDS = 0.5
# How long the rest of a refused request is read: while data comes, and until so many seconds without data.
_DISCARD_SECONDS = 5.0
_SILENT_SECONDS = 0.3


def header_text(value: str) -> str:
    """Return a header's value with U+FFFD in place of bytes that are not UTF-8 (aiohttp: surrogates)."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Listener:
    """Listens, with TLS if there is a context, and passes each request to ``handle``; for one event loop.

    The faults of ``side`` can refuse its connections. ``access`` lets in requests, or refuses them.
    """

    def __init__(
        self,
        faults: Faults,
        side: str,
        timers: Timers,
        access: Access,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults
        self.timers = timers
        self.access = access
        self._side = side
        self._context = context
        self._server: asyncio.Server | None = None
        self._protocols: web.Server | None = None
        self._handshakes: set[TlsHandshake] = set()
        self._accepted: WeakSet[asyncio.Transport] = WeakSet()  # below TLS

    async def start(self, host: str, port: int) -> int:
        """Start to listen; return the port, which is a free one if ``port`` is 0."""
        self._protocols = _Server(self)
        self._server = await asyncio.get_running_loop().create_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self) -> asyncio.Protocol:
        if self.faults.active and self.faults.take("refuse", self._side):
            return RefusedConnection()
        if self._context is None:
            return self._make_protocol()
        return TlsHandshake(
            self._handshakes, self._context, self.timers, self._make_protocol, self._accepted
        )

    def _make_protocol(self) -> asyncio.Protocol:
        assert self._protocols is not None
        return self._protocols()

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        # New connections end first, then those in their handshake, then the idle ones and those at work.
        if self._server is not None:
            self._server.close()
        for handshake in list(self._handshakes):
            handshake.drop()
        await self.finish()
        if self._protocols is not None:
            self._protocols.pre_shutdown()  # ends idle connections
            await self._protocols.shutdown(_SHUTDOWN_SECONDS)
        for transport in list(self._accepted):
            transport.abort()  # closing would wait for the client to end TLS
        if self._server is not None:
            await self._server.wait_closed()

    async def finish(self) -> None:
        """Hook: end the work on connections, after the last was accepted and before all are closed."""

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, if it is let in; a browser gets the headers of CORS, too."""
        refusal = self.access.refusal(request)
        if refusal is not None:
            refused = self.refuse(*refusal)
            refused.headers.update(NOT_SNIFFED)
            return refused
        if cors.is_preflight(request):
            return cors.preflight(request)
        response = await self.handle(request)
        if not response.prepared:
            response.headers.update({**NOT_SNIFFED, **cors.allowed(request)})
        return response

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        raise NotImplementedError

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP, or is not let in; the connection ends."""
        raise NotImplementedError


class _Server(web.Server):
    def __init__(self, listener: Listener) -> None:
        super().__init__(listener.respond, handler_cancellation=True)
        self._listener = listener

    def __call__(self) -> web.RequestHandler:
        return _Connection(self._listener, self)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        if handler.transport is not None and not handler.transport.is_closing():
            handler.transport.abort()  # Python 3.10 counts TLS as open until it is aborted
        super().connection_lost(handler, exc)


class _Connection(web.RequestHandler):
    """One connection. The listener answers an error of HTTP, which aiohttp would log.

    After such an answer the rest of the request is read and discarded before the connection is closed.
    Otherwise the unread data resets the connection, and the client loses the answer. (RFC 9112, 9.6.)
    """

    __slots__ = ("_discarded", "_is_refused", "_listener")

    def __init__(self, listener: Listener, server: web.Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]
        self._listener = listener
        self._is_refused = False
        self._discarded: asyncio.Event | None = None

    def data_received(self, data: bytes) -> None:
        if self._discarded is not None:
            self._discarded.set()
            return
        before = len(self._messages)
        super().data_received(data)
        if len(self._messages) <= before:
            return
        # aiohttp reports an error in a body as another message, and leaves the reader of that body
        # waiting. A message behind a body that has not ended is such an error: tell the reader.
        bodies = [payload for _, payload in self._messages]
        if self._current_request is not None:
            bodies.insert(0, self._current_request.content)
        for body in bodies[:-1]:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("A chunk is malformed"))
                body.feed_eof()  # otherwise aiohttp reads on after the answer

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):  # the client has closed the connection
            raise exc
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        reason = (exc.message or type(exc).__name__).strip().splitlines()[0]
        self._is_refused = True
        response = self._listener.refuse(exc.code, f"The request is not HTTP: {reason}")
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        if self._is_refused or request.content.exception() is not None:
            await self._discard_rest()
        return finished

    async def _discard_rest(self) -> None:
        """Read until the client has closed the connection or has sent nothing for a moment."""
        if self.transport is None:
            return
        if self.transport.can_write_eof():  # not with TLS
            self.transport.write_eof()
        self._discarded = asyncio.Event()
        self.resume_reading()
        loop = asyncio.get_running_loop()
        latest = loop.time() + _DISCARD_SECONDS
        while self.transport is not None and loop.time() < latest:
            self._discarded.clear()
            try:
                await asyncio.wait_for(self._discarded.wait(), _SILENT_SECONDS)
            except asyncio.TimeoutError:
                return

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._discarded is not None:
            self._discarded.set()
