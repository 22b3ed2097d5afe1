"""HTTP: the REST API on a socket, with aiohttp."""

from __future__ import annotations

import ssl

from aiohttp import web
from attrs import evolve

from connectycube._containers import AnyDict

from ..control.exchanges import Exchanges
from ..control.faults import REST, Faults
from ..control.timers import Timers
from ..domain.api_error import ApiError
from ..domain.identity_endpoint import AnswerNeeded
from ..domain.times import Clock, http_date
from ..net.access import Access
from ..net.bounds import Bounds
from ..net.http_faults import Dropped, RestFaults
from ..net.identity_client import IdentityClient
from ..net.listener import MALFORMED, Listener, header_text, refusal_of
from ..net.recording import HttpRecord, failure_of, recorded
from ..settings import Settings
from . import Api, Request, Response

__all__ = ["HttpServer"]


class HttpServer(Listener):
    """Serves an Api."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        timers: Timers,
        faults: Faults,
        access: Access,
        bounds: Bounds,
        *,
        settings: Settings,
        exchanges: Exchanges,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(faults, REST, timers, access, bounds, context)
        self.api = api
        self._rest_faults = RestFaults(faults, timers, api.store)
        self._clock = clock
        self._settings = settings
        self._exchanges = exchanges
        self._identities = IdentityClient()

    def most_bytes(self) -> int:
        """Return the size of the largest body of a request."""
        return self._settings.body_bytes

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        now = self._clock.time()
        return await recorded(self._exchanges, REST, request, now, self._respond)

    def _user(self, request: web.BaseRequest) -> int | None:
        session = self.api.store.session(header_text(request.headers.get("CB-Token", "")))
        return None if session is None else session["user_id"]

    async def _respond(
        self, request: web.BaseRequest, record: HttpRecord | None
    ) -> web.StreamResponse:
        if record is not None:
            record.user_id = self._user(request)
        try:
            if self.faults.active:
                await self._rest_faults.before(request)
            response = await self._answer(request, record)
        except Dropped:
            raise
        except MALFORMED as error:
            return self.refuse(*refusal_of(error))
        except ApiError as refusal:
            response = Response.refused(refusal)
        except Exception as error:  # noqa: BLE001  (an error here must not end the server)
            response = Response.refused(ApiError(*failure_of(request, error)))
        if record is not None and record.user_id is None:
            record.user_id = self._user(request) or _new_user(response)
        body = response.body()
        if self.faults.active:
            await self._rest_faults.after(request, len(body))
        return self._as_aiohttp(response, body)

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP."""
        refusal = Response.refused(ApiError(status, text))
        response = self._as_aiohttp(refusal, refusal.body())
        response.force_close()
        return response

    def _as_aiohttp(self, response: Response, body: bytes) -> web.Response:
        return web.Response(
            status=response.status,
            body=body,
            # The emulator's time: clients compare Date with CB-Token-ExpirationDate.
            headers={"Date": http_date(self._clock.time()), **response.headers},
            content_type="application/json" if response.content is not None else "text/plain",
            charset="utf-8",
        )

    async def _answer(self, request: web.BaseRequest, record: HttpRecord | None) -> Response:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self._settings.body_bytes:
                raise ApiError(413, f"The body is larger than {self._settings.body_bytes} bytes")
        if record is not None:
            record.body = bytes(body)
        whole = Request(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            scheme=request.scheme,
            headers={name.lower(): header_text(value) for name, value in request.headers.items()},
            body=bytes(body),
        )
        try:
            return self.api.handle(whole)
        except AnswerNeeded as needed:
            # Nothing was changed before it was raised, so the request is handled from the start.
            answer = await self._identities.ask(needed.question)
        return self.api.handle(evolve(whole, answer=answer))


def _new_user(response: Response) -> int | None:
    """Return the user of a session that an answer begins."""
    content = response.content
    session = content.get("session") if isinstance(content, AnyDict) else None
    return session.get("user_id") if isinstance(session, AnyDict) else None
