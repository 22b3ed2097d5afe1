"""Control server: the control API over HTTP, for programs on this machine that know the token.

It has a port of its own on the loopback address, so that no fault and no option of the emulator reaches it.
A web page of another origin gets nothing: it does not know the token, no answer has headers of CORS, and
neither its Origin nor a Host that was rebound to this address is accepted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from aiohttp import web

from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..control.faults import REST, Faults
from ..control.timers import Timers
from ..domain.application import same_text
from ..net.access import Access
from ..net.bounds import Bounds
from ..net.listener import MALFORMED, NOT_SNIFFED, Listener, begin, header_text, refusal_of
from ..net.recording import failure_of
from .feed import Feed
from .verbs import STREAM, ControlApi, Verb

__all__ = ["CONTROL_HOST", "CONTROL_PATH", "ControlServer"]

CONTROL_HOST = "127.0.0.1"
CONTROL_PATH = "/__emulator__"

_MOST_BYTES = 256 * 1_048_576
_WITHOUT_TOKEN = ("health",)
_TRUE = ("yes", "true", "1")
# How long a reader of events may take for what is written at once.
_WRITE_SECONDS = 30.0
_STATUSES: dict[type[Exception], int] = {
    ArgumentTypeError: 422,
    ArgumentValueError: 422,
    LookupError: 404,
    RuntimeError: 503,  # the emulator is starting or stopping
}


class _Refused(Exception):
    """A request is refused with this status."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class ControlServer(Listener):
    """Serves a ControlApi to programs that know its token."""

    holds_bodies = False  # a program that knows the token may load much data
    headers: ClassVar[Mapping[str, str]] = {}
    """Headers of every answer, besides those that all ports have."""

    def __init__(
        self, api: ControlApi, token: str, feed: Feed, timers: Timers, bounds: Bounds
    ) -> None:
        super().__init__(Faults(lambda work: work()), REST, timers, Access(CONTROL_HOST), bounds)
        self._api = api
        self._token = token
        self._feed = feed

    @property
    def answer_headers(self) -> dict[str, str]:
        """The headers that every answer has."""
        return {"Cache-Control": "no-store", **NOT_SNIFFED, **self.headers}

    async def finish(self) -> None:
        """End the streams of events, which would go on forever."""
        self._feed.close()

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, without headers of CORS."""
        begin(request)
        refusal = self.access.refusal(request) or _foreign_page(request)
        if refusal is not None:
            return self.refuse(*refusal)
        return await self.handle(request)

    def most_bytes(self) -> int:
        """Return the size of the largest body of a request."""
        return _MOST_BYTES

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            verb, part = self._verb(request)
            if verb is STREAM:
                return await self._stream(request)
            return self._answer(200, {"result": self._api.run(verb, await _body(request), part)})
        except MALFORMED as error:
            return self.refuse(*refusal_of(error))
        except ConnectionError:  # the client has closed the connection
            raise
        except _Refused as refused:
            return self._answer(refused.status, {"error": str(refused)}, refused.headers)
        except Exception as error:  # noqa: BLE001  (an error here must not end the server)
            return self._answer(*_failure(request, error))

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP."""
        response = self._answer(status, {"error": text})
        response.force_close()
        return response

    def _answer(
        self, status: int, content: Any, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        return web.Response(
            status=status,
            body=json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"),
            headers={**self.answer_headers, **(headers or {})},
            content_type="application/json",
            charset="utf-8",
        )

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with events until the reader goes or the emulator stops. (HTML, server-sent events.)"""
        wants_exchanges = request.rel_url.query.get("exchanges") in _TRUE
        subscription = self._feed.subscribe(wants_exchanges)
        if subscription is None:
            raise _Refused(503, "Too many programs and pages read events, or the emulator stops")
        response = web.StreamResponse(
            headers={**self.answer_headers, "Content-Type": "text/event-stream"}
        )
        try:
            await response.prepare(request)
            while (events := await subscription.take()) is not None:
                await asyncio.wait_for(response.write(events), _WRITE_SECONDS)
            await response.write_eof()
        except asyncio.TimeoutError:  # the reader has stopped to read
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._feed.unsubscribe(subscription)
        return response

    def _verb(self, request: web.BaseRequest) -> tuple[Verb, str]:
        """Return the verb that a request asks for, and the id in its path."""
        path = unquote(request.rel_url.raw_path)
        start, _, name = path.partition(f"{CONTROL_PATH}/")
        methods: Mapping[str, tuple[Verb, str]] = (
            {} if start or not name else self._api.methods(name)
        )
        if name not in _WITHOUT_TOKEN:
            self._check_token(request)
        if not methods:
            raise _Refused(404, f"The control API has no {path}")
        if request.method not in methods:
            allowed = ", ".join(methods)
            raise _Refused(405, f"{path} has the methods {allowed}", Allow=allowed)
        return methods[request.method]

    def _check_token(self, request: web.BaseRequest) -> None:
        kind, _, given = header_text(request.headers.get("Authorization", "")).partition(" ")
        if kind.lower() != "bearer" or not same_text(given.strip(), self._token):
            raise _Refused(
                401,
                "The header Authorization must be Bearer and the control token of the emulator",
                **{"WWW-Authenticate": "Bearer"},
            )


async def _body(request: web.BaseRequest) -> Any:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _Refused(413, f"The body is larger than {_MOST_BYTES} bytes")
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"The body is not JSON: {error}") from None


def _foreign_page(request: web.BaseRequest) -> tuple[int, str] | None:
    """Return the refusal of a request from a web page of another origin."""
    own = f"http://{request.headers.get('Host', '')}".lower()
    if any(origin.lower() != own for origin in request.headers.getall("Origin", [])):
        return 403, "Web pages of other origins may not control the emulator"
    return None


def _failure(request: web.BaseRequest, error: Exception) -> tuple[int, dict[str, str]]:
    """Return status and content of the answer to a request whose verb has raised an error."""
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return status, {"error": str(error.args[0])}
    status, text = failure_of(request, error)
    return status, {"error": text}
