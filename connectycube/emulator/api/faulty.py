"""Faulty: where faults come between the REST API and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from ..faults import REST, Fault, Faults
from ..listener import reset
from ..refusal import Refusal
from ..store import Store
from ..timers import Timers

__all__ = ["Dropped", "RestFaults"]


class Dropped(Exception):
    """A request whose connection was reset: nothing is answered."""


class RestFaults:
    """What happens to requests and answers while any fault is on."""

    def __init__(self, faults: Faults, timers: Timers, store: Store) -> None:
        self._faults = faults
        self._timers = timers
        self._store = store

    async def before(self, request: web.BaseRequest) -> None:
        """Let go wrong what does so before a request is handled; raise Refusal or Dropped."""
        token = request.headers.get("CB-Token", "")
        if self._take("drop", token):
            reset(request.transport)
            raise Dropped
        if self._take("half_open", token):
            await asyncio.get_running_loop().create_future()  # cancelled when the client gives up
        if self._user_of(token)[1] and self._take("expire_session", token):
            self._store.delete_session(token)
        limited = self._take("rate_limit", token)
        if limited is not None:
            raise Refusal(429, "Too many requests", headers=_retry_after(limited.parameters))
        failed = self._take("server_error", token)
        if failed is not None:
            raise Refusal(failed.parameters["status"], "A fault of the emulator")

    async def after(self, request: web.BaseRequest, size: int) -> None:
        """Let an answer of so many bytes be late and slow."""
        token, seconds = request.headers.get("CB-Token", ""), 0.0
        late = self._take("delay", token)
        if late is not None:
            seconds += late.parameters["seconds"]
        slow = self._take("throttle", token)
        if slow is not None:
            seconds += size / slow.parameters["bytes_per_second"]
        if seconds:
            await self._sleep(seconds)

    def _take(self, name: str, token: str) -> Fault | None:
        if not self._faults.active:
            return None
        return self._faults.take(name, REST, self._user_of(token)[0], token)

    def _user_of(self, token: str) -> tuple[int | None, bool]:
        session = self._store.session(token) if token else None
        return (None, False) if session is None else (session["user_id"], True)

    async def _sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._timers.schedule(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()


def _retry_after(parameters: Mapping[str, int | None]) -> dict[str, str]:
    seconds = parameters["retry_after"]
    return {} if seconds is None else {"Retry-After": str(seconds)}
