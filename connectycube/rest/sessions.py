"""Sessions: with or without a user, signed where the application has a secret. (Guide: Authentication.)"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from .. import checks
from ..errors import ArgumentValueError, CredentialsError
from ..models import Session
from .answers import Answer
from .http import CallDeadline
from .transport import Transport, expiry_of

__all__ = ["Sessions", "signature_of"]

_PATH = ("session",)


class Sessions:
    """The sessions of the REST API; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        login: str | None = None,
        email: str | None = None,
        password: str | None = None,
        timeout: float | None = None,
    ) -> Session:
        """Create a session and use it from now on: of a user, or without arguments of the application.

        A user is named by ``login`` or ``email``, with ``password``. When the service ends the session,
        the next call makes another one with the same credentials, once. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, CredentialsError for a wrong password, ApiError.
        Source: server API, "Create session token".
        """
        user = None
        if (login, email, password) != (None, None, None):
            user = _credentials(login=login, email=email, password=password)

        def renewal(deadline: CallDeadline) -> Session:
            return self._create(user, deadline)

        session = renewal(self._transport.deadline(timeout))
        self._transport.adopt(session, renewal)
        return session

    def info(self, *, timeout: float | None = None) -> Session:
        """Ask the service what it knows of the current session.

        ``timeout`` is seconds. Raises CredentialsError if there is no session, ApiError.
        Source: server API, "Get information about session".
        """
        return _session_of(self._transport.call("GET", _PATH, timeout=timeout))

    def destroy(self, *, timeout: float | None = None) -> None:
        """End the current session, here and at the service; nothing happens if there is none.

        ``timeout`` is seconds. Raises ApiError, and the session stays.
        Source: server API, "Destroy session".
        """
        session = self._transport.session
        if session is None:
            return
        try:
            self._transport.call("DELETE", _PATH, timeout=timeout, renew=False)
        except CredentialsError:
            pass  # the service has ended it before us
        self._transport.forget(session)

    def _create(self, user: Mapping[str, str] | None, deadline: CallDeadline) -> Session:
        config = self._transport.config
        body: dict[str, Any] = {
            "application_id": str(config.app_id),
            "auth_key": config.auth_key,
        }
        if user is not None:
            body["user"] = user
        if config.auth_secret is not None:
            body["nonce"] = str(secrets.randbelow(2**31))
            body["timestamp"] = str(int(time.time()))
            body["signature"] = signature_of(body, config.auth_secret)
        answer = self._transport.call(
            "POST", _PATH, body=body, timeout=deadline, with_session=False
        )
        return _session_of(answer)


def _credentials(*, login: str | None, email: str | None, password: str | None) -> dict[str, str]:
    """Return the service's fields for one user name and a password, checked."""
    if (login is None) == (email is None):
        raise ArgumentValueError("give login or email, and not both")
    name, value = ("login", login) if email is None else ("email", email)
    return {
        name: checks.a_string(name, value),
        "password": checks.a_string("password", password),
    }


def signature_of(body: Mapping[str, Any], auth_secret: str) -> str:
    """Return the HMAC-SHA1 (hex) of a session request: flat names, sorted, values as they are."""
    message = "&".join(sorted(f"{name}={value}" for name, value in _flat(body)))
    return hmac.new(auth_secret.encode(), message.encode(), hashlib.sha1).hexdigest()


def _flat(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}[{inner}]", text) for inner, text in _flat(value))
        else:
            yield name, value


def _session_of(answer: Answer) -> Session:
    """Decode a session, which is of no use without its token."""
    expiry = answer.headers.get("CB-Token-ExpirationDate")
    session = Session.from_json(
        answer.object(), expires_at=None if expiry is None else expiry_of(expiry)
    )
    if not session.token:
        raise answer.unexpected("there is no session token in it")
    if session.user_id is None and session.user is not None:
        session = evolve(session, user_id=session.user.id)
    return session
