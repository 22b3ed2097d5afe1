"""Recording: notes HTTP requests and their answers for the log of exchanges, and logs internal errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from ..control.exchanges import Exchanges
from ..control.masking import masked_body, masked_headers, masked_text
from ..db.database import FULL, is_full
from .http_faults import Dropped
from .listener import header_text

__all__ = ["HttpRecord", "failure_of", "recorded"]

_log = logging.getLogger(__name__)


class HttpRecord:
    """A request that is being answered; ``end`` puts it into the log.

    ``body`` and ``user_id`` are set while the request is handled.
    """

    def __init__(
        self, exchanges: Exchanges, side: str, request: web.BaseRequest, now: float
    ) -> None:
        self._exchanges = exchanges
        self._side = side
        self._request = request
        self._at = now
        self._began = time.monotonic()
        self.body = b""
        self.user_id: int | None = None

    def end(self, response: web.StreamResponse | None) -> None:
        """Put the exchange into the log; without a response the client got none."""
        request = self._request
        target = masked_text(request.rel_url.raw_path_qs)
        self._exchanges.add(
            at=self._at,
            side=self._side,
            user_id=self.user_id,
            what=f"{request.method} {request.rel_url.raw_path}",
            about=masked_text(request.rel_url.raw_query_string),
            status=None if response is None else response.status,
            seconds=time.monotonic() - self._began,
            url=f"{request.scheme}://{header_text(request.host)}{target}",
            request_headers=_headers(request.headers),
            request=masked_body(self.body, request.headers.get("Content-Type", "")),
            answer_headers={} if response is None else _headers(response.headers),
            answer=_answer(response),
        )


async def recorded(
    exchanges: Exchanges,
    side: str,
    request: web.BaseRequest,
    now: float,
    respond: Callable[[web.BaseRequest, HttpRecord | None], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Return the response of ``respond(request, record)``, and put both into the log of exchanges.

    Without a log, the record is None. If ``respond`` raises Dropped, the client gets no response.
    """
    record = HttpRecord(exchanges, side, request, now) if exchanges.active else None
    response = None
    try:
        response = await respond(request, record)
        return response
    except Dropped:
        return web.Response()  # the connection is closed already
    finally:  # also without a response, when the client has gone
        if record is not None:
            record.end(response)


def failure_of(request: web.BaseRequest, error: Exception) -> tuple[int, str]:
    """Return the status and the text for an error of the emulator itself, and log it."""
    if is_full(error):
        return 507, FULL
    where = f"{request.method} {request.rel_url.raw_path}"
    _log.error("the emulator failed on %s", where, exc_info=error)
    return 500, "The emulator failed; its log says why"


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return masked_headers({name: header_text(value) for name, value in headers.items()})


def _answer(response: web.StreamResponse | None) -> str:
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes | bytearray):
        return ""
    assert response is not None
    return masked_body(bytes(body), response.headers.get("Content-Type", ""))
