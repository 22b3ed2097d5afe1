"""Sessions of a user or of the application, signed if the application has a secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypedDict

from attrs import evolve, frozen

from .. import models
from .._checks import check_bool, check_one_of, check_str, keywords_only
from .._containers import AnyMapping
from .._not_copied import NotCopied
from .._redact import secrets_in
from .._secrets import Secret, check_secret, confined, hides
from ..errors import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    ValidationError,
)
from ._api import Api
from ._http import CallDeadline, Response
from ._response import read_object, unexpected
from ._session import expiry_of

if TYPE_CHECKING:
    from ..models import Session
    from ._shared_session import SharedSessions

__all__ = [
    "OTHER_WORDS",
    "PROVIDERS",
    "SECRET_ARGUMENTS",
    "Credentials",
    "Provider",
    "Sessions",
    "check_login",
    "signature_of",
]

_PATH = ("session",)
_REFUSED = re.compile(r"Custom Identity Provider responded with an error\D*\b40[13]\b")
_CLOCKS_DIFFER = 10.0  # seconds: more than the whole seconds of Date and the time on the way


@frozen(kw_only=True)
class Provider:
    """A provider that identifies users: its keys, and the place where the service expects them."""

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


OTHER_WORDS = {
    "name": "login",
    "user": "login",
    "username": "login",
    "mail": "email",
    "useremail": "email",
    "passwd": "password",
    "pwd": "password",
}
"""Other services' words for the arguments of a login, and ours."""

SECRET_ARGUMENTS = ("password", "token", "secret", "access_token")
"""The arguments of a login that are secrets."""


class Credentials(TypedDict, total=False):
    """The arguments of :meth:`ConnectyCube.login`, for functions that pass them on."""

    login: str | None
    email: str | None
    password: str | None
    provider: str | None
    token: str | None
    secret: str | None
    project_id: str | None
    access_token: str | None
    guest: bool
    full_name: str | None
    timeout: float | None


class Sessions(NotCopied):
    """The sessions of the REST API; every method may be called from any thread.

    Example:
        >>> cube.sessions.info().user_id == cube.user.id
        True
    """

    def __init__(self, api: Api, shared: SharedSessions | None = None) -> None:
        self._api = api
        self._shared = shared

    @hides(*SECRET_ARGUMENTS)
    @keywords_only("sessions.create(login=…, password=…)", **OTHER_WORDS)
    def create(
        self,
        *,
        login: str | None = None,
        email: str | None = None,
        password: str | None = None,
        provider: str | None = None,
        token: str | None = None,
        secret: str | None = None,
        project_id: str | None = None,
        access_token: str | None = None,
        guest: bool = False,
        full_name: str | None = None,
        timeout: float | None = None,
    ) -> Session:
        """Create a session and use it from now on. (Server API: Create session token.)

        There are three ways to name a user: ``login`` or ``email`` with a ``password``; a ``provider`` with
        its keys; or ``guest``. Without arguments the session is of the application alone. When the service
        ends the session, the next call creates another one with the same credentials; not for guests, who
        would be another guest.

        Args:
            login: The user's login.
            email: The user's e-mail address, instead of the login.
            password: The user's password. With the provider "custom_identity" it is the one that the
                identity provider wants, if any.
            provider: "facebook" (needs token), "twitter" (token, secret), "firebase_phone" or
                "firebase_email" (project_id, access_token), or "custom_identity" (token).
            token: The token that the provider gave the user.
            secret: The secret that belongs to a token of Twitter.
            project_id: The id of the Firebase project.
            access_token: The access token of Firebase.
            guest: True creates a new user who lives for a day.
            full_name: The name of a guest.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The session. Its token is a secret.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiAuthenticationError: The credentials are wrong.
            ApiError: The call failed; a subclass says how.
        """
        who: dict[str, object]
        named = {"login": login, "email": email, "password": password}
        keys = {
            "token": token,
            "secret": secret,
            "project_id": project_id,
            "access_token": access_token,
        }
        who = _who(named, _given(keys), provider, guest, full_name)

        def renewal(deadline: CallDeadline) -> Session:
            return self._create(who, deadline)

        within = self._api.deadline(timeout)
        if self._shared is None or guest or not who:
            session = renewal(within)
            self._api.adopt(session, None if guest else renewal)
            return session
        shared = self._shared.session_of(who, self._api.service_time)
        session = shared.obtain(None, within, renewal) or renewal(within)
        self._api.adopt(session, renewal, shared)
        return session

    def info(self, *, timeout: float | None = None) -> Session:
        """Return the service's record of the current session. (Server API: Get information about session.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The session.

        Raises:
            ApiAuthenticationError: There is no session.
            ApiError: The call failed; a subclass says how.
        """
        return self._info(self._api.deadline(timeout))

    def _info(self, deadline: CallDeadline) -> Session:
        return _session_of(self._api.call("GET", _PATH, timeout=deadline))

    def destroy(self, *, timeout: float | None = None) -> None:
        """End the current session, here and at the service. (Server API: Destroy session.)

        Nothing happens if there is none.

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ApiError: The call failed, and the session stays.
        """
        session = self._api.session
        if session is None:
            return
        deadline = self._api.deadline(timeout)
        try:
            self._api.call("DELETE", _PATH, timeout=deadline, renew=False)
        except ApiAuthenticationError:
            pass  # the service has ended it before us
        shared = self._api.shared_session
        if shared is not None:
            shared.forget(session, deadline)
        self._api.forget(session)

    def identify(
        self, *, refused: Secret | None = None, timeout: float | None = None
    ) -> Session | None:
        """Return the current session with its user; the service is asked if only the token is known.

        The session is renewed first, if it can be, when it has expired or its token is ``refused``. (Server
        API: Get information about session.)

        Args:
            refused: A token that a server did not accept, or None.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The session; None if there is none.

        Raises:
            ApiError: The call failed; a subclass says how.
        """
        deadline = self._api.deadline(timeout)
        session = self._api.live_session(refused=refused, timeout=deadline)
        if session is None or session.user_id is not None or session.id is not None:
            return session
        known = evolve(self._info(deadline), token=session.token)
        self._api.identify(known)
        return known

    def user_id(self) -> int | None:
        """Return the id of the session's user; the service is asked if only the token is known.

        Returns:
            The id; None for a session of the application alone, and without a session.

        Raises:
            ApiError: The call failed; a subclass says how.
        """
        if self._api.user_id is None:
            self.identify()
        return self._api.user_id

    def _create(self, who: Mapping[str, object], deadline: CallDeadline) -> Session:
        """Create a session; sign once more where the service says that our clock is wrong."""
        now = self._now()
        try:
            return self._request(who, now, deadline)
        except (ValidationError, ApiAuthenticationError) as error:
            words = " ".join(error.messages).lower()
            if "timestamp" not in words and "signature" not in words:
                raise
            if self._api.config.auth_secret is None or abs(self._now() - now) < _CLOCKS_DIFFER:
                raise
        return self._request(who, self._now(), deadline)  # its Date has just told the time

    def _now(self) -> float:
        """Return unix seconds by the service's clock; by ours before its first response."""
        now = self._api.service_time()
        return time.time() if now is None else now

    def _request(self, who: Mapping[str, object], now: float, deadline: CallDeadline) -> Session:
        config = self._api.config
        body: dict[str, object] = {
            "application_id": str(config.app_id),
            "auth_key": Secret(config.auth_key),
        }
        body.update(who)
        if config.auth_secret is not None:
            body["nonce"] = str(secrets.randbelow(2**31))
            body["timestamp"] = str(int(now))
            body["signature"] = signature_of(body, Secret(config.auth_secret))
        try:
            response = self._api.call(
                "POST",
                _PATH,
                body=body,
                timeout=deadline,
                session="none",
                secrets=list(secrets_in(who)),
            )
        except ValidationError as error:
            if error.status >= 300 and not any(map(_REFUSED.search, error.messages)):
                raise
            # Also a success that holds nothing but errors: an identity provider refused the user.
            refused = error
        else:
            return _session_of(response)
        raise ApiAuthenticationError(
            str(refused),
            method=refused.method,
            url=refused.url,
            status=refused.status,
            messages=refused.messages,
        )


@hides(*SECRET_ARGUMENTS)
def check_login(
    *,
    login: str | None = None,
    email: str | None = None,
    password: str | None = None,
    provider: str | None = None,
    token: str | None = None,
    secret: str | None = None,
    project_id: str | None = None,
    access_token: str | None = None,
    guest: bool = False,
    full_name: str | None = None,
) -> None:
    """Raise what a login with these arguments would raise before anything is sent."""
    if provider is None and not guest and login is None and email is None:
        raise ArgumentValueError("give login or email with password, a provider, or guest=True")
    named = {"login": login, "email": email, "password": password}
    keys = {
        "token": token,
        "secret": secret,
        "project_id": project_id,
        "access_token": access_token,
    }
    _who(named, _given(keys), provider, guest, full_name)


def _who(
    named: Mapping[str, object],
    keys: Mapping[str, object],
    provider: str | None,
    guest: bool,
    full_name: str | None,
) -> dict[str, object]:
    """Return the user of a login, as the service reads it: the arguments, all checked."""
    if full_name is not None and not guest:
        raise ArgumentValueError("full_name is for guests; other users have their own")
    if check_bool("guest", guest):
        _refuse({**keys, **_given({**named, "provider": provider})}, "a guest")
        return {"user": _guest(full_name)}
    if provider is not None:
        _refuse(_given({"login": named["login"], "email": named["email"]}), "a provider")
        return _of_provider(provider, {**keys, **_given({"password": named["password"]})})
    _refuse(keys, "a login without a provider")
    return {"user": _credentials(**named)} if _given(named) else {}


def _credentials(*, login: object, email: object, password: object) -> dict[str, object]:
    """Return the service's fields for one user name and a password, checked."""
    if (login is None) == (email is None):
        raise ArgumentValueError("give login or email, and not both")
    name, value = ("login", login) if email is None else ("email", email)
    if password is None:
        raise ArgumentTypeError(f"password is missing: {name} and password go together")
    return {
        name: check_str(name, value),
        "password": check_secret("password", password),
    }


def _given(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def _refuse(arguments: Mapping[str, object], kind: str) -> None:
    """Refuse arguments that do not go together with the way in which the user is named."""
    for name in arguments:
        raise ArgumentTypeError(f"{name} does not go together with {kind}")


def _guest(full_name: str | None) -> dict[str, str]:
    guest = {"guest": "1"}
    if full_name is not None:
        guest["full_name"] = check_str("full_name", full_name)
    return guest


def _of_provider(provider: object, keys: Mapping[str, object]) -> dict[str, object]:
    """Return the service's fields for a user whom a provider identifies, checked."""
    name = check_str("provider", provider)
    check_one_of("provider", name, PROVIDERS)
    known = PROVIDERS[name]
    for key in known.required:
        if key not in keys:
            raise ArgumentTypeError(f"{key} is missing: {name} needs {', '.join(known.required)}")
    for key in keys:
        if key not in (*known.required, *known.optional):
            raise ArgumentTypeError(f"{key} is no key of {name}")
    checked = {
        key: check_secret(key, value) if key in SECRET_ARGUMENTS else check_str(key, value)
        for key, value in keys.items()
    }
    if known.place == "user":  # an identity provider of one's own takes the token as the login
        return {"user": {"login": checked.pop("token"), **checked}}
    return {"provider": name, known.place: checked}


@confined
def signature_of(body: Mapping[str, object], auth_secret: Secret) -> Secret:
    """Return the HMAC-SHA1 (hex) of a session request: flat names, sorted, values as they are."""
    message = "&".join(sorted(f"{name}={value}" for name, value in _flat(body)))
    made = hmac.new(auth_secret.open().encode(), message.encode(), hashlib.sha1)
    return Secret(made.hexdigest())


def _flat(body: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        if isinstance(value, AnyMapping):
            yield from ((f"{name}[{inner}]", text) for inner, text in _flat(value))
        else:
            yield name, value.open() if isinstance(value, Secret) else str(value)


def _session_of(response: Response) -> Session:
    """Decode a session, which is of no use without its token."""
    expiry = response.headers.get("CB-Token-ExpirationDate")
    session = models.Session.from_json(
        read_object(response), expires_at=None if expiry is None else expiry_of(expiry)
    )
    if not session.token:
        raise unexpected(response, "there is no session token in it")
    if session.user_id is None and session.user is not None:
        session = evolve(session, user_id=session.user.id)
    return session
