"""Listener: one HTTP or HTTPS port, with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from weakref import WeakSet

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ..control.faults import Faults
from ..control.timers import Timers
from . import cors
from .access import Access
from .bounds import Bounds
from .connections import RefusedConnection, TlsHandshake

__all__ = ["MALFORMED", "NOT_SNIFFED", "Listener", "begin", "header_text", "refusal_of"]


class BodyTooLarge(web.RequestPayloadError):
    """A body is larger than the largest of its port."""

    status = 413


class BodyTooSlow(web.RequestPayloadError):
    """A client sends a body so slowly that it could go on forever."""

    status = 408


class TooManyBodies(web.RequestPayloadError):
    """The bodies that are held in memory are too large together."""

    status = 503


MALFORMED = (HttpProcessingError, web.RequestPayloadError)
"""The exceptions of aiohttp when the body of a request is not HTTP."""

NOT_SNIFFED = {"X-Content-Type-Options": "nosniff"}
"""The header of every answer: a browser must not take it for a page or a script. (Fetch, 3.6.)"""

# aiohttp bounds the number of lines of a head and the length of each, but not the sum of the lengths.
_MOST_HEAD_BYTES = 65_536
_CLOSED = b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large" + _CLOSED
_HEAD_TOO_SLOW = b"HTTP/1.1 408 Request Timeout" + _CLOSED
# So many bytes of a body at least must arrive in so many seconds.
_BODY_SECONDS = 30.0
_LEAST_BODY_BYTES = 4096
_SHUTDOWN_SECONDS = 0.5
# How long the rest of a refused request is read: while data comes, and until so many seconds without data.
_DISCARD_SECONDS = 5.0
_SILENT_SECONDS = 0.3


def header_text(value: str) -> str:
    """Return a header's value with U+FFFD in place of bytes that are not UTF-8 (aiohttp: surrogates)."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def refusal_of(error: Exception) -> tuple[int, str]:
    """Return the status and the text for one of ``MALFORMED``."""
    status = getattr(error, "status", None)
    if status is not None:
        return int(status), str(error)
    return 400, f"The body is malformed: {type(error).__name__}"


class Listener:
    """Listens, with TLS if there is a context, and passes each request to ``handle``; for one event loop.

    The faults of ``side`` can refuse its connections. ``access`` accepts requests, or refuses them.
    ``bounds`` counts the connections. ``most_bytes()`` is the largest body. If ``holds_bodies`` is True,
    bodies are kept in memory until they are complete.
    """

    holds_bodies = True

    def __init__(
        self,
        faults: Faults,
        side: str,
        timers: Timers,
        access: Access,
        bounds: Bounds,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults
        self.timers = timers
        self.access = access
        self.bounds = bounds
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
            self._handshakes,
            self._context,
            self.timers,
            self.bounds,
            self._make_protocol,
            self._accepted,
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
        """Answer one request, if it is accepted; a browser gets the headers of CORS, too."""
        begin(request)
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

    def most_bytes(self) -> int:
        """Return the size of the largest body of a request."""
        return 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        raise NotImplementedError

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP, or is not accepted; the connection ends."""
        raise NotImplementedError


def begin(request: web.BaseRequest) -> None:
    """Note that the head of a request is complete."""
    connection = request.protocol
    assert isinstance(connection, _Connection)
    connection.begin(request)


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

    The head of a request has a bound of bytes and of time. A body has a bound of bytes, and must not become
    slower than a bound.
    """

    __slots__ = (
        "_body_size",
        "_discarded",
        "_head_size",
        "_is_refused",
        "_last_body",
        "_listener",
        "_requests",
        "_too_slow",
    )

    def __init__(self, listener: Listener, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,  # a small body could become a very large one
        )
        self._listener = listener
        self._is_refused = False
        self._discarded: asyncio.Event | None = None
        self._requests = 0  # the requests with a complete head that are not answered yet
        self._last_body: StreamReader = EMPTY_PAYLOAD
        self._head_size = 0
        self._body_size = 0
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if self._listener.bounds.add(self):
            self._expect_head()
        else:
            transport.abort()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing happens before the client sends something. (Connection.)"""
        request = self._current_request
        if request is None:
            return not self._messages
        return not request.content.is_eof()

    def drop(self) -> None:
        """End the connection at once. (Connection.)"""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._discarded is not None:
            self._discarded.set()
            return
        before = len(self._messages)
        super().data_received(data)
        if self._requests:
            self._count_body(len(data))
        elif len(self._messages) <= before and self._last_body.is_eof():
            self._count_head(len(data))
        if len(self._messages) <= before:
            return
        self._requests += len(self._messages) - before
        # aiohttp reports an error in a body as another message, and the reader of that body would wait for
        # ever. A message behind a body that has not ended is such an error, so that reader gets it.
        bodies = [payload for _, payload in self._messages]
        if self._current_request is not None:
            bodies.insert(0, self._current_request.content)
        for body in bodies[:-1]:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("A chunk is malformed"))
                body.feed_eof()  # otherwise aiohttp reads on after the answer

    # --- bounds -------------------------------------------------------------------------------------

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _MOST_HEAD_BYTES:
            self._end(_HEAD_TOO_LARGE)
        elif self._too_slow is None:
            self._expect_head()

    def _expect_head(self) -> None:
        """Give the client its time for the head of a request."""
        seconds = self._listener.bounds.head_seconds
        self._too_slow = self._loop.call_later(seconds, self._end, _HEAD_TOO_SLOW)

    def _end(self, answer: bytes) -> None:
        """End a connection on which no request has begun."""
        self._stop_timer()
        if self.transport is not None and not self._requests:
            if self._head_size:
                self.transport.write(answer)
            self.transport.close()

    def _count_body(self, size: int) -> None:
        if self._current_request is None or self._payload_parser is not None:
            return  # a request that has not begun, or a WebSocket
        self._body_size += size
        if self._body_size > self._listener.most_bytes() + _MOST_HEAD_BYTES:
            self._refuse_body(BodyTooLarge("The body is too large"))
        elif self._listener.holds_bodies and not self._listener.bounds.hold(size):
            self._refuse_body(TooManyBodies("Too many bodies are being received"))

    def begin(self, request: web.BaseRequest) -> None:
        """Note that the head of a request is complete."""
        self._stop_timer()
        self._head_size = 0
        received = request.content.total_bytes
        if received:
            self._count_body(received)
        if not request.content.is_eof():
            self._watch_body(received)

    def _watch_body(self, before: int) -> None:
        self._too_slow = self._loop.call_later(_BODY_SECONDS, self._check_body, before)

    def _check_body(self, before: int) -> None:
        request = self._current_request
        if request is None or request.content.is_eof():
            return
        received = request.content.total_bytes
        # Not if a handler does not read, because of a fault: then the client is paused.
        if received - before < _LEAST_BODY_BYTES and not request.content._size:
            self._refuse_body(BodyTooSlow("The body comes too slowly"))
        else:
            self._watch_body(received)

    def _refuse_body(self, error: web.RequestPayloadError) -> None:
        request = self._current_request
        if request is not None and not request.content.is_eof():
            request.content.set_exception(error)
            request.content.feed_eof()
            self._is_refused = True
            self._discarded = asyncio.Event()

    def _stop_timer(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _forget_body(self) -> None:
        if self._body_size and self._listener.holds_bodies:
            self._listener.bounds.hold(-self._body_size)
        self._body_size = 0

    # --- answers ------------------------------------------------------------------------------------

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
        self._requests -= 1
        self._last_body = request.content
        self._stop_timer()
        self._forget_body()
        finished = await super().finish_response(request, resp, start_time)
        self._listener.bounds.used(self)
        if self._is_refused or request.content.exception() is not None:
            await self._discard_rest()
        return finished

    async def _discard_rest(self) -> None:
        """Read until the client has closed the connection or has sent nothing for a moment."""
        transport = self.transport
        if transport is None:
            return
        if transport.can_write_eof():  # not with TLS
            transport.write_eof()
        self._discarded = self._discarded or asyncio.Event()
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
        self._listener.bounds.remove(self)
        self._stop_timer()
        self._forget_body()
        if self._discarded is not None:
            self._discarded.set()
