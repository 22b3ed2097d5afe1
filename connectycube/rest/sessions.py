"""Sessions: with or without a user, signed where the application has a secret. (Guide: Authentication.)"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from .._checks import check_bool, check_one_of, check_str
from ..errors import ApiAuthenticationError, ArgumentTypeError, ArgumentValueError
from ..models import Session
from ._api import Api
from ._http import CallDeadline, Response
from ._response import read_object, unexpected
from ._session import expiry_of

__all__ = ["PROVIDERS", "Provider", "Sessions", "signature_of"]

_PATH = ("session",)


@frozen(kw_only=True)
class Provider:
    """Who vouches for a user, and with which keys; ``place`` is where the service expects them."""

    place: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_FIREBASE = ("project_id", "access_token")
PROVIDERS = {
    "facebook": Provider(place="keys", required=("token",)),
    "twitter": Provider(place="keys", required=("token", "secret")),
    "firebase_phone": Provider(place="firebase_phone", required=_FIREBASE),
    "firebase_email": Provider(place="firebase_email", required=_FIREBASE),
    "custom_identity": Provider(place="user", required=("token",), optional=("password",)),
}


class Sessions:
    """The sessions of the REST API; every method may be called from any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        *,
        login: str | None = None,
        email: str | None = None,
        password: str | None = None,
        provider: str | None = None,
        guest: bool = False,
        full_name: str | None = None,
        timeout: float | None = None,
        **keys: str,
    ) -> Session:
        """Create a session and use it from now on: of a user, or without arguments of the application.

        A user is named by ``login`` or ``email``, with ``password``; or by ``provider`` with its keys:
        "facebook" (token), "twitter" (token, secret), "firebase_phone" and "firebase_email" (project_id,
        access_token), "custom_identity" (token, and password where the identity provider wants one); or
        is a ``guest``, made for a day, with a ``full_name``. When the service ends the session, the next
        call makes another one with the same credentials, once; not for guests, who would be somebody
        else. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiAuthenticationError for a wrong password, ApiError.
        Source: server API, "Create session token".
        """
        who: dict[str, Any]
        if full_name is not None and not guest:
            raise ArgumentValueError("full_name is for guests; other users have their own")
        named = {"login": login, "email": email, "password": password}
        if check_bool("guest", guest):
            _none_of("a guest", {"login": login, "email": email, "provider": provider, **keys})
            who = {"user": _guest(full_name, password)}
        elif provider is not None:
            _none_of("a provider", {"login": login, "email": email})
            if password is not None:
                keys["password"] = password
            who = _vouched(provider, keys)
        else:
            if keys:
                raise ArgumentTypeError(f"{', '.join(sorted(keys))}: only with a provider")
            who = {} if not any(_given(named)) else {"user": _credentials(**named)}

        def renewal(deadline: CallDeadline) -> Session:
            return self._create(who, deadline)

        session = renewal(self._api.deadline(timeout))
        self._api.adopt(session, None if guest else renewal)
        return session

    def info(self, *, timeout: float | None = None) -> Session:
        """Ask the service what it knows of the current session.

        ``timeout`` is seconds. Raises ApiAuthenticationError if there is no session, ApiError.
        Source: server API, "Get information about session".
        """
        return self._info(self._api.deadline(timeout))

    def _info(self, deadline: CallDeadline) -> Session:
        return _session_of(self._api.call("GET", _PATH, timeout=deadline))

    def destroy(self, *, timeout: float | None = None) -> None:
        """End the current session, here and at the service; nothing happens if there is none.

        ``timeout`` is seconds. Raises ApiError, and the session stays.
        Source: server API, "Destroy session".
        """
        session = self._api.session
        if session is None:
            return
        try:
            self._api.call("DELETE", _PATH, timeout=timeout, renew=False)
        except ApiAuthenticationError:
            pass  # the service has ended it before us
        self._api.forget(session)

    def destroy_others(self, *, timeout: float | None = None) -> None:
        """End all sessions of the user at the service, except the current one.

        ``timeout`` is seconds. Raises ApiAuthenticationError if there is no session, ApiError.
        Source: the official SDKs, ``deleteSessionsExceptCurrent``.
        """
        self._api.call("DELETE", (*_PATH, "list"), timeout=timeout)

    def identify(
        self, *, refused: str | None = None, timeout: float | None = None
    ) -> Session | None:
        """Return the current session with its user, asked of the service if only its token is known.

        It is renewed first, where it can be, if it has expired or its token is ``refused``.
        ``timeout`` is seconds. Raises ApiError. Source: server API, "Get information about session".
        """
        deadline = self._api.deadline(timeout)
        session = self._api.live_session(refused=refused, timeout=deadline)
        if session is None or session.user_id is not None or session.id is not None:
            return session
        known = evolve(self._info(deadline), token=session.token)
        self._api.identify(known)
        return known

    def _create(self, who: Mapping[str, Any], deadline: CallDeadline) -> Session:
        config = self._api.config
        body: dict[str, Any] = {
            "application_id": str(config.app_id),
            "auth_key": config.auth_key,
        }
        body.update(who)
        if config.auth_secret is not None:
            body["nonce"] = str(secrets.randbelow(2**31))
            body["timestamp"] = str(int(time.time()))
            body["signature"] = signature_of(body, config.auth_secret)
        response = self._api.call(
            "POST",
            _PATH,
            body=body,
            timeout=deadline,
            with_session=False,
            secrets=[text for name, text in _flat(who) if name != "user[full_name]"],
        )
        return _session_of(response)


def _credentials(*, login: object, email: object, password: object) -> dict[str, str]:
    """Return the service's fields for one user name and a password, checked."""
    if (login is None) == (email is None):
        raise ArgumentValueError("give login or email, and not both")
    name, value = ("login", login) if email is None else ("email", email)
    return {
        name: check_str(name, value),
        "password": check_str("password", password),
    }


def _given(named: Mapping[str, object]) -> Iterator[str]:
    return (name for name, value in named.items() if value is not None)


def _none_of(who: str, named: Mapping[str, object]) -> None:
    """Refuse what does not go together with the way the user is named."""
    for name in _given(named):
        raise ArgumentTypeError(f"{name} does not go together with {who}")


def _guest(full_name: str | None, password: str | None) -> dict[str, str]:
    _none_of("a guest", {"password": password})
    guest = {"guest": "1"}
    if full_name is not None:
        guest["full_name"] = check_str("full_name", full_name)
    return guest


def _vouched(provider: object, keys: Mapping[str, object]) -> dict[str, Any]:
    """Return the service's fields for a user that a provider vouches for, checked."""
    name = check_str("provider", provider)
    check_one_of("provider", name, PROVIDERS)
    known = PROVIDERS[name]
    for key in known.required:
        if keys.get(key) is None:
            raise ArgumentTypeError(f"{key} is missing: {name} needs {', '.join(known.required)}")
    for key in keys:
        if key not in (*known.required, *known.optional):
            raise ArgumentTypeError(f"{key} is no key of {name}")
    checked = {key: check_str(key, value) for key, value in keys.items()}
    if known.place == "user":  # an identity provider of one's own takes the token as the login
        return {"user": {"login": checked.pop("token"), **checked}}
    return {"provider": name, known.place: checked}


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


def _session_of(response: Response) -> Session:
    """Decode a session, which is of no use without its token."""
    expiry = response.headers.get("CB-Token-ExpirationDate")
    session = Session.from_json(
        read_object(response), expires_at=None if expiry is None else expiry_of(expiry)
    )
    if not session.token:
        raise unexpected(response, "there is no session token in it")
    if session.user_id is None and session.user is not None:
        session = evolve(session, user_id=session.user.id)
    return session
