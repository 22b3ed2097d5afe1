"""Routing: the table of REST endpoints, and the authorization of requests before their handlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from urllib.parse import unquote

from attrs import frozen

from ..db.store import Row, Store
from ..domain.accounts import Accounts
from ..domain.address_book import AddressBook
from ..domain.api_error import ApiError
from ..domain.conversations import ChatDelivery, Conversations
from ..domain.events import Events
from ..domain.meetings import Meetings
from ..domain.pushes import Pushes
from ..domain.records import Records
from ..domain.rest_sessions import RestSessions
from ..domain.times import expiration_date
from ..storage import Files
from .request import Request, Response

__all__ = ["ROUTES", "Api", "Auth", "Call", "Route", "route"]


class Auth(Enum):
    """The credentials that a request must have."""

    NOTHING = "nothing"
    OPTIONAL = "nothing, or a session in the header or as the parameter token"
    KEY = "a session, or the application's authorization key"
    SESSION = "a session"
    USER = "a session with a user"
    ADMIN = "the key of the Administration API"


Handler = Callable[["Call"], Response]


@frozen(kw_only=True)
class Route:
    """One row of the table; the parts of ``pattern`` in braces are the handler's arguments.

    ``inferred`` names the parts of the answer that the documentation leaves open.
    """

    method: str
    pattern: str
    auth: Auth
    handler: Handler
    inferred: str | None

    def match(self, path: str) -> dict[str, str] | None:
        """Return the arguments, if this route's pattern is that of ``path``."""
        expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.pattern))
        found = re.fullmatch(expression, path)
        return found.groupdict() if found else None


ROUTES: list[Route] = []
"""Every endpoint that is implemented; the first route that matches a request is used."""


def route(
    method: str, pattern: str, auth: Auth, *, inferred: str | None = None
) -> Callable[[Handler], Handler]:
    """Put a handler into the table."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(
            Route(method=method, pattern=pattern, auth=auth, handler=handler, inferred=inferred)
        )
        return handler

    return register


@frozen(kw_only=True)
class Call:
    """One request, as its handler gets it."""

    api: Api
    request: Request
    arguments: dict[str, str]
    session: Row | None

    @property
    def user_id(self) -> int:
        """The user of the session, in handlers of Auth.USER."""
        assert self.session is not None
        return int(self.session["user_id"])


@frozen(kw_only=True)
class Api:
    """The REST API as a function from Request to Response."""

    store: Store
    accounts: Accounts
    sessions: RestSessions
    conversations: Conversations
    chat: ChatDelivery
    pushes: Pushes
    events: Events
    files: Files
    address_book: AddressBook
    records: Records
    meetings: Meetings
    online: Callable[[], Sequence[int]]
    """The ids of the users who are connected to the chat."""

    def handle(self, request: Request) -> Response:
        """Answer one request; a refusal becomes the service's error body."""
        try:
            return self._handle(request)
        except ApiError as refusal:
            return Response.refused(refusal)

    def _handle(self, request: Request) -> Response:
        found, arguments = _find(request)
        session = self._authorize(found.auth, request)
        call = Call(api=self, request=request, arguments=arguments, session=session)
        response = found.handler(call)
        if session is None:
            return response
        expires = {"CB-Token-ExpirationDate": expiration_date(session["expires_at"])}
        return Response(
            status=response.status,
            content=response.content,
            headers={**expires, **response.headers},
        )

    def _authorize(self, auth: Auth, request: Request) -> Row | None:
        token, key = (request.headers.get(name, "") for name in ("cb-token", "cb-authkey"))
        if auth is Auth.NOTHING:
            return None
        if auth is Auth.ADMIN:
            given = request.headers.get("cb-administration-api-key", "")
            self.sessions.application.check_admin_key(given)
            return None
        if auth is Auth.KEY and key and not token:
            self.sessions.application.check_auth_key(key)
            return None
        if auth is Auth.OPTIONAL:
            return self._session_if_any(token or dict(request.parameters()).get("token", ""))
        session = self.sessions.find(token)
        if auth is Auth.USER and session["user_id"] is None:
            raise ApiError(403, "Forbidden. Need user.")
        return session

    def _session_if_any(self, token: str) -> Row | None:
        try:
            return self.sessions.find(token)
        except ApiError:
            return None


def _find(request: Request) -> tuple[Route, dict[str, str]]:
    try:
        path = unquote(request.path, errors="strict").strip("/")
    except UnicodeDecodeError:
        raise ApiError(400, "The path is not UTF-8") from None
    path = path.removesuffix(".json")
    allowed: list[str] = []
    for candidate in ROUTES:
        arguments = candidate.match(path)
        if arguments is not None:
            if candidate.method == request.method:
                return candidate, arguments
            allowed.append(candidate.method)
    if allowed:
        raise ApiError(
            405,
            f"The emulator does not implement {request.method} /{path}, "
            f"only {', '.join(sorted(set(allowed)))}",
            headers={"Allow": ", ".join(sorted(set(allowed)))},
        )
    raise ApiError(501, f"The emulator does not implement {request.method} /{path}")
