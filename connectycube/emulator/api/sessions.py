"""REST: sessions. (Server documentation: Auth API.)"""

from __future__ import annotations

from ..domain.times import expiration_date
from .fields import identifier
from .request import Response
from .routing import Auth, Call, route


@route("POST", "session", Auth.NOTHING, inferred="statuses of refused parameters")
def create_session(call: Call) -> Response:
    """Create a session."""
    sessions = call.api.sessions
    session = sessions.create(call.request.json(), call.request.answer)
    return Response(
        status=201,
        content={"session": sessions.json(session)},
        headers={"CB-Token-ExpirationDate": expiration_date(session["expires_at"])},
    )


@route("GET", "session", Auth.SESSION)
def get_session(call: Call) -> Response:
    """Describe the session."""
    assert call.session is not None
    return Response(content={"session": call.api.sessions.json(call.session)})


@route("DELETE", "session", Auth.SESSION)
def destroy_session(call: Call) -> Response:
    """End the session."""
    assert call.session is not None
    call.api.sessions.destroy(call.session)
    return Response()


@route("DELETE", "session/{id}", Auth.USER, inferred="not documented; the user's own sessions")
def destroy_session_by_id(call: Call) -> Response:
    """End one of the user's sessions."""
    session_id = identifier(call.arguments["id"], "Session")
    call.api.sessions.destroy_by_id(call.user_id, session_id)
    return Response()


@route(
    "POST",
    "login",
    Auth.SESSION,
    inferred="202, as the service did before SDK 3.0; external tokens",
)
def log_in(call: Call) -> Response:
    """Log a user in to the session."""
    assert call.session is not None
    user = call.api.sessions.log_in(call.session, call.request.json(), call.request.answer)
    return Response(status=202, content={"user": call.api.accounts.user_json(user)})


@route("DELETE", "login", Auth.SESSION)
def log_out(call: Call) -> Response:
    """Log the user of the session out."""
    assert call.session is not None
    call.api.sessions.log_out(call.session)
    return Response()
