"""Recording: notes one HTTP request and its answer for the log of exchanges."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from ..control.exchanges import Exchanges
from ..control.masking import masked_body, masked_headers, masked_text
from .listener import header_text

__all__ = ["HttpRecord"]


class HttpRecord:
    """A request that is being answered; ``end`` puts it into the log.

    ``body`` and ``user_id`` are set while the request is handled. ``is_dropped``: the client gets no answer.
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
        self.is_dropped = False

    def end(self, response: web.StreamResponse | None) -> None:
        """Put the exchange into the log; without a response the client got none."""
        request = self._request
        target = masked_text(request.rel_url.raw_path_qs)
        answered = response is not None and not self.is_dropped
        self._exchanges.add(
            at=self._at,
            side=self._side,
            user_id=self.user_id,
            what=f"{request.method} {request.rel_url.raw_path}",
            about=masked_text(request.rel_url.raw_query_string),
            status=response.status if answered and response is not None else None,
            seconds=time.monotonic() - self._began,
            url=f"{request.scheme}://{header_text(request.host)}{target}",
            request_headers=_headers(request.headers),
            request=masked_body(self.body, request.headers.get("Content-Type", "")),
            answer_headers=_headers(response.headers) if answered and response is not None else {},
            answer=_answer(response) if answered else "",
        )


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return masked_headers({name: header_text(value) for name, value in headers.items()})


def _answer(response: web.StreamResponse | None) -> str:
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes | bytearray):
        return ""
    assert response is not None
    return masked_body(bytes(body), response.headers.get("Content-Type", ""))
