"""Credentials of the session for each later login: its token, renewed where it has ended or was refused."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from .._deadline import Deadline
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
from .link import AttemptCancelled, Waker, run_in_thread
from .protocol.events import Credentials

__all__ = ["SessionCredentials", "first_credentials", "renewed"]

SessionCredentials = Callable[["str | None", "float | None"], "tuple[User, str]"]
"""Return the session's user and token; renewed if it has expired, or its token is the given, refused one.

The other argument is a time-out in seconds.
"""

_PERMANENT = (ArgumentTypeError, ArgumentValueError, ApiAuthenticationError, PermissionDeniedError)
"""What a renewal raises when there is no session any more: no later attempt would find one."""


def first_credentials(
    session_credentials: SessionCredentials, name: str, deadline: Deadline
) -> tuple[User, str]:
    """Return the session's user and token for a login, asked on a thread of its own, called ``name``.

    Raises LoginTimeoutError at the deadline, and what the session raises.
    """
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
        raise LoginTimeoutError(f"no password for the chat: {_words(error)}") from error
    finally:
        waker.close()


def renewed(
    credentials: Credentials,
    session_credentials: SessionCredentials,
    refused: str | None,
    name: str,
    deadline: Deadline,
    waker: Waker,
    is_wanted: Callable[[], bool],
) -> Credentials:
    """Return the credentials with the session's token of now, which is not ``refused``.

    The session is asked on a thread of its own, called ``name``: an application's ``renew_session`` may take
    its time. Raises ChatAuthenticationError where no later attempt would fare better, ConnectionLostError
    where one might, AttemptCancelled when nobody wants the attempt any more.
    """
    try:
        user, token = run_in_thread(
            lambda: session_credentials(refused, deadline.remaining()),
            name,
            deadline,
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
        raise ConnectTimeoutError(f"no password for the chat: {_words(error)}") from error
    except BaseException as error:  # also SystemExit of an application's renew_session
        raise ConnectionLostError(f"no password for the chat: {error!r}") from error
    if user.id != credentials.user_id:
        raise ChatAuthenticationError(
            f"no password for the chat: the session is now that of user {user.id}, and the chat's is"
            f" {credentials.user_id}",
            condition="not-authorized",
        )
    if token == refused:
        raise ChatAuthenticationError(
            "the chat server refused the session's token, and the session was not renewed:"
            " log in again, or give the client a renew_session that makes another session",
            condition="not-authorized",
        )
    return evolve(credentials, password=token)


def _words(error: TimeoutError) -> str:
    return str(error) or "the session was not renewed in time"
