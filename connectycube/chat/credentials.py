"""The credentials of each later login: the session's token, renewed if it has expired or was refused."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from .._checks import check_str, repr_of
from .._deadline import Deadline
from .._secrets import Secret, check_secret
from ..errors import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    ChatAuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    LoginTimeoutError,
    PermissionDeniedError,
)
from ..models import User
from ..models.users import check_user_id
from .link import AttemptCancelled, Waker, run_in_thread
from .protocol import markup
from .protocol.core import Core
from .protocol.events import Credentials

__all__ = [
    "LoginPlan",
    "SessionCredentials",
    "check_resource",
    "plan_attempt",
    "renewed",
    "resolve_credentials",
]

SessionCredentials = Callable[["Secret | None", "float | None"], "tuple[User, Secret]"]
"""A function of a refused token (or None) and a time-out in seconds; it returns the session's user and token.

It renews the session first if the session has expired, or if its token is the refused one.
"""

_PERMANENT = (ArgumentTypeError, ArgumentValueError, ApiAuthenticationError, PermissionDeniedError)
"""The errors of a renewal after which no later attempt would succeed: there is no session any more."""


def check_resource(resource: object) -> None:
    """Raise unless ``resource`` is None or can be the resource of a JID. (RFC 7622, 3.4.)"""
    if resource is not None:
        markup.check_text("resource", check_str("resource", resource, longest=1023))


def resolve_credentials(
    user_id: int | User | None,
    password: object,
    session_credentials: SessionCredentials | None,
    name: str,
    deadline: Deadline,
) -> tuple[User, Secret, bool]:
    """Return the user and the password of a login, and whether that is the token of the REST session.

    Without ``user_id`` the session has both; the thread called ``name`` asks for them.
    """
    if user_id is None:
        if password is not None:
            raise ArgumentValueError("user_id must be given with password")
        if session_credentials is None:
            raise ArgumentValueError("user_id and password must be given: there is no session")
        user, token = _of_session(session_credentials, name, deadline)
        return user, token, True
    check_user_id("user_id", user_id)
    user = user_id if isinstance(user_id, User) else User(id=user_id)
    if password is None:
        raise ArgumentValueError("password must be given with user_id")
    secret = check_secret("password", password)
    if "\0" in secret.open():
        raise ArgumentValueError("password holds a character that cannot be sent")
    return user, secret, False


def _of_session(
    session_credentials: SessionCredentials, name: str, deadline: Deadline
) -> tuple[User, Secret]:
    """Return the session's user and token; raise LoginTimeoutError at the deadline."""
    waker = Waker()
    try:
        return run_in_thread(
            lambda: session_credentials(None, deadline.remaining()),
            name,
            deadline,
            waker,
            is_wanted=lambda: True,
        )
    except TimeoutError as error:
        raise LoginTimeoutError(f"no password for the chat: {_reason(error)}") from error
    finally:
        waker.close()


@frozen
class LoginPlan:
    """The credentials of one attempt to connect; ``renewal``, if not None, renews them first.

    ``refused`` is the token that the server has refused in this attempt, or None.
    """

    credentials: Credentials
    refused: Secret | None
    renewal: SessionCredentials | None
    deadline: Deadline


def plan_attempt(core: Core, renewal: SessionCredentials | None, now: float) -> LoginPlan:
    """Return the plan of the attempt that the core wants; its session, if any, is renewed by ``renewal``."""
    credentials, until = core.credentials, core.attempt_deadline
    assert credentials is not None
    # A login brings fresh credentials. For a later attempt the token may have expired.
    is_old = core.is_reconnecting or core.refused is not None
    deadline = Deadline(None if until is None else max(0.0, until - now))
    return LoginPlan(credentials, core.refused, renewal if is_old else None, deadline)


def renewed(plan: LoginPlan, name: str, waker: Waker, is_wanted: Callable[[], bool]) -> Credentials:
    """Return the credentials of an attempt, with the session's current token if they are to be renewed.

    The thread called ``name`` asks for it, because an application's ``renew_session`` may take long. Raises
    ChatAuthenticationError if no later attempt would succeed, ConnectionLostError if one might, and
    AttemptCancelled once the waker was woken and ``is_wanted()`` is false.
    """
    credentials, renewal = plan.credentials, plan.renewal
    if renewal is None:
        return credentials
    try:
        user, token = run_in_thread(
            lambda: renewal(plan.refused, plan.deadline.remaining()),
            name,
            plan.deadline,
            waker,
            is_wanted,
        )
    except AttemptCancelled:
        raise
    except _PERMANENT as error:
        raise ChatAuthenticationError(
            f"no password for the chat: {error}", condition="credentials-expired"
        ) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(f"no password for the chat: {_reason(error)}") from error
    except BaseException as error:  # also the SystemExit of an application's renew_session
        raise ConnectionLostError(f"no password for the chat: {repr_of(error)}") from error
    if user.id != credentials.user_id:
        raise ChatAuthenticationError(
            f"no password for the chat: the session is now that of user {user.id}, and the chat's is"
            f" {credentials.user_id}",
            condition="not-authorized",
        )
    if token == plan.refused:
        raise ChatAuthenticationError(
            "the chat server refused the session's token, and the session was not renewed:"
            " log in again, or give the client a renew_session that makes another session",
            condition="not-authorized",
        )
    return evolve(credentials, password=token)


def _reason(error: TimeoutError) -> str:
    # Only the time-out of run_in_thread has no text of its own.
    return str(error) or "the session was not renewed in time"
