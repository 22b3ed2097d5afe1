"""Identities: users of a social network, of Firebase or of the application's own identity provider.

The emulator connects to none of them. A function of the program maps tokens to users; without one every
token is accepted.
(Server documentation: Auth API; guide "External authentication via Custom Identity Provider".)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from .api_error import ApiError

__all__ = ["IDENTIFYING_FIELD", "SocialIdentity", "accept_every_token", "identity_keys"]

SocialIdentity = Callable[[str, Mapping[str, str]], Mapping[str, Any] | None]
"""Takes a provider and keys; returns the fields of the user, or None when the keys are not valid."""

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
    if not isinstance(keys, dict):
        raise ApiError.invalid(section, "is required and must be an object")
    for name in names:
        if not isinstance(keys.get(name), str) or not keys[name]:
            raise ApiError.invalid(f"{section}[{name}]", "is required and must be a string")
    return provider, {name: keys[name] for name in names}


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
