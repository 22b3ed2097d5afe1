"""Control server: the control API over HTTP, for programs on this machine that know the token.

It has a port of its own on the loopback address, so that no fault and no option of the emulator reaches it.
A web page of another origin gets nothing: it does not know the token, no answer has headers of CORS, and
neither its Origin nor a Host that was rebound to this address is accepted.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..control.faults import REST, Faults
from ..control.timers import Timers
from ..db.database import FULL, is_full
from ..domain.application import same_text
from ..net.access import Access
from ..net.bounds import Bounds
from ..net.listener import MALFORMED, NOT_SNIFFED, Listener, begin, header_text, refusal_of
from .verbs import ControlApi

__all__ = ["CONTROL_HOST", "CONTROL_PATH", "ControlServer"]

CONTROL_HOST = "127.0.0.1"
CONTROL_PATH = "/__emulator__"

_log = logging.getLogger(__name__)

_MOST_BYTES = 256 * 1_048_576
_WITHOUT_TOKEN = ("health",)
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

    def __init__(self, api: ControlApi, token: str, timers: Timers, bounds: Bounds) -> None:
        super().__init__(Faults(lambda work: work()), REST, timers, Access(CONTROL_HOST), bounds)
        self._api = api
        self._token = token

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
            return _answer(200, {"result": await self._run(request)})
        except MALFORMED as error:
            return self.refuse(*refusal_of(error))
        except _Refused as refused:
            return _answer(refused.status, {"error": str(refused)}, refused.headers)
        except Exception as error:  # noqa: BLE001  (an error here must not end the server)
            return _failed(request, error)

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP."""
        response = _answer(status, {"error": text})
        response.force_close()
        return response

    async def _run(self, request: web.BaseRequest) -> Any:
        path = unquote(request.rel_url.raw_path)
        start, _, name = path.partition(f"{CONTROL_PATH}/")
        methods = {} if start or not name else self._api.methods(name)
        if name not in _WITHOUT_TOKEN:
            self._check_token(request)
        if not methods:
            raise _Refused(404, f"The control API has no {path}")
        if request.method not in methods:
            allowed = ", ".join(methods)
            raise _Refused(405, f"{path} has the methods {allowed}", Allow=allowed)
        verb, part = methods[request.method]
        return self._api.run(verb, await _body(request), part)

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
    """Return the refusal of a request from a web page of another origin; this server has no pages itself."""
    own = f"http://{request.headers.get('Host', '')}".lower()
    if any(origin.lower() != own for origin in request.headers.getall("Origin", [])):
        return 403, "Web pages of other origins may not control the emulator"
    return None


def _failed(request: web.BaseRequest, error: Exception) -> web.Response:
    """Return the answer to a request whose verb has raised an error."""
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return _answer(status, {"error": str(error.args[0])})
    if is_full(error):
        return _answer(507, {"error": FULL})
    _log.error("the control API failed on %s %s", request.method, request.path, exc_info=error)
    return _answer(500, {"error": "The emulator failed; its log says why"})


def _answer(status: int, content: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"),
        headers={"Cache-Control": "no-store", **NOT_SNIFFED, **(headers or {})},
        content_type="application/json",
        charset="utf-8",
    )
