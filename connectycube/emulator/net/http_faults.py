"""HTTP faults: the faults of the REST API and the storage bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from ..control.faults import REST, Fault, Faults
from ..control.timers import Timers
from ..db.store import Store
from ..domain.api_error import ApiError
from .connections import reset
from .listener import header_text

__all__ = ["Dropped", "HttpFaults", "RestFaults"]


class Dropped(Exception):
    """The connection of a request was reset, so there is no answer."""


class HttpFaults:
    """Applies the faults of one side to requests and answers."""

    def __init__(self, faults: Faults, side: str, timers: Timers) -> None:
        self._faults = faults
        self._side = side
        self._timers = timers

    async def before(self, request: web.BaseRequest) -> None:
        """Apply the faults that act before a request is handled; raise ApiError or Dropped."""
        if self._take("drop", request):
            reset(request.transport)
            raise Dropped
        if self._take("half_open", request):
            await asyncio.get_running_loop().create_future()  # cancelled when the client gives up
        self._refuse(request)
        failed = self._take("server_error", request)
        if failed is not None:
            raise ApiError(failed.parameters["status"], "A fault of the emulator")

    async def after(self, request: web.BaseRequest, size: int) -> None:
        """Delay an answer of ``size`` bytes."""
        seconds = 0.0
        late = self._take("delay", request)
        if late is not None:
            seconds += late.parameters["seconds"]
        slow = self._take("throttle", request)
        if slow is not None:
            seconds += size / slow.parameters["bytes_per_second"]
        if seconds:
            await self._sleep(seconds)

    def _refuse(self, request: web.BaseRequest) -> None:
        """Hook: raise ApiError for the faults of this side alone."""

    def _take(self, name: str, request: web.BaseRequest) -> Fault | None:
        if not self._faults.active:
            return None
        return self._faults.take(name, self._side, *self._sender(request))

    def _sender(self, request: web.BaseRequest) -> tuple[int | None, str | None]:
        """Return the user and the connection that a request belongs to."""
        return None, None

    async def _sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._timers.schedule(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()


class RestFaults(HttpFaults):
    """The faults of the REST API, where a request has a token."""

    def __init__(self, faults: Faults, timers: Timers, store: Store) -> None:
        super().__init__(faults, REST, timers)
        self._store = store

    def _refuse(self, request: web.BaseRequest) -> None:
        token = _token(request)
        if self._store.session(token) is not None and self._take("expire_session", request):
            self._store.delete_session(token)
        limited = self._take("rate_limit", request)
        if limited is not None:
            raise ApiError(429, "Too many requests", headers=_retry_after(limited.parameters))

    def _sender(self, request: web.BaseRequest) -> tuple[int | None, str | None]:
        session = self._store.session(_token(request))
        return None if session is None else session["user_id"], _token(request)


def _token(request: web.BaseRequest) -> str:
    return header_text(request.headers.get("CB-Token", ""))


def _retry_after(parameters: Mapping[str, int | None]) -> dict[str, str]:
    seconds = parameters["retry_after"]
    return {} if seconds is None else {"Retry-After": str(seconds)}
