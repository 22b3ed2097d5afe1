"""Identities: users of a social network, of Firebase or of the application's own identity provider.

The emulator connects to no social network. A function of the program maps tokens to users. Without a function
every token of a social network or of Firebase is accepted. A custom identity provider may also be at a URL.
(Server documentation: Auth API; guide "External authentication via Custom Identity Provider".)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from connectycube._checks import check_callable
from connectycube._containers import AnyDict
from connectycube.errors import ArgumentTypeError

from .api_error import ApiError
from .identity_endpoint import Answer, AnswerNeeded, HttpIdentityProvider, provider_error

__all__ = [
    "IDENTIFYING_FIELD",
    "IdentityProvider",
    "SocialIdentity",
    "accept_every_token",
    "check_provider",
    "custom_identity",
    "identity_keys",
    "read_provider",
    "social_fields",
]

SocialIdentity = Callable[[str, Mapping[str, str]], Mapping[str, Any] | None]
"""Takes a provider and keys; returns the fields of the user, or None when the keys are not valid."""

IdentityProvider = Callable[[str], "Mapping[str, Any] | None"]
"""Takes the token sent as login; returns fields of the user with ``uid``, or None when it is not valid."""

IDENTIFYING_FIELD = {
    "facebook": "facebook_id",
    "twitter": "twitter_id",
    "firebase_phone": "phone",
    "firebase_email": "email",
}
"""The field of a user that is the same at each log-in, by provider."""

_KEYS = {
    "facebook": ("keys", ("token",)),
    "twitter": ("keys", ("token", "secret")),
    "firebase_phone": ("firebase_phone", ("project_id", "access_token")),
    "firebase_email": ("firebase_email", ("project_id", "access_token")),
}


def identity_keys(request: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the provider of a session or login request and the keys that it needs."""
    provider = request["provider"]
    if not isinstance(provider, str) or provider not in _KEYS:
        raise ApiError.invalid("provider", f"must be {' or '.join(_KEYS)}")
    section, names = _KEYS[provider]
    keys = request.get(section)
    if not isinstance(keys, AnyDict):
        raise ApiError.invalid(section, "is required and must be an object")
    for name in names:
        if not isinstance(keys.get(name), str) or not keys[name]:
            raise ApiError.invalid(f"{section}[{name}]", "is required and must be a string")
    return provider, {name: keys[name] for name in names}


def social_fields(
    social_identity: SocialIdentity, provider: str, keys: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the fields of the user of a social log-in, among them the identifying one."""
    fields, field = social_identity(provider, keys), IDENTIFYING_FIELD[provider]
    if fields is None:
        raise ApiError(401, f"Unauthorized: {provider} does not know these keys")
    if not isinstance(fields, Mapping) or not fields.get(field):
        raise ApiError(422, f"social_identity of the emulator returned no {field} for {provider}")
    return fields


def read_provider(value: Any) -> Any:
    """Return a custom identity provider, which may be given by its URL alone."""
    return HttpIdentityProvider(url=value) if isinstance(value, str) else value


def check_provider(name: str, value: object) -> None:
    """Raise ArgumentTypeError unless ``value`` is None, a function of a token or an HttpIdentityProvider."""
    if value is None or isinstance(value, HttpIdentityProvider):
        return
    if not callable(value):
        kind = type(value).__name__
        raise ArgumentTypeError(
            f"{name} must be a URL, callable or HttpIdentityProvider, not {kind}"
        )
    check_callable(name, value, "token")


def custom_identity(
    provider: IdentityProvider | HttpIdentityProvider,
    token: str,
    password: str | None,
    answer: Answer | None,
) -> Mapping[str, Any]:
    """Return the fields of a user that a custom identity provider has for a token, among them ``uid``.

    Raises:
        AnswerNeeded: The provider is at a URL, and ``answer`` is None.
    """
    if isinstance(provider, HttpIdentityProvider):
        if answer is None:
            raise AnswerNeeded(provider.question(token, password))
        fields: Mapping[str, Any] = provider.identity(answer)
    else:
        fields = _called(provider, token)
    uid = fields.get("uid") if isinstance(fields, Mapping) else None
    if type(uid) not in (str, int) or uid == "":
        raise ApiError(422, "Custom Identity Provider uid is required")
    return fields


def _called(provider: IdentityProvider, token: str) -> Mapping[str, Any]:
    try:
        fields = provider(token)
    except Exception as error:
        raise provider_error(f"{type(error).__name__}: {error}") from error
    if fields is None:
        raise provider_error("401")
    return fields


def accept_every_token(provider: str, keys: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the fields of a user, always the same for the same token."""
    token = keys.get("token") or keys["access_token"]
    number = int(hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:12], 16)
    value = {
        "facebook": f"{number}",
        "twitter": f"{number}",
        "firebase_phone": f"1{number % 10**10:010}",
        "firebase_email": f"user-{number:x}@example.com",
    }[provider]
    return {IDENTIFYING_FIELD[provider]: value}
