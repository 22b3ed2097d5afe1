"""Application: checks that a request comes from the application, by its key and its signature.

(Server documentation: Auth API; the signature is that of SDKs before 3.0.)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from connectycube._containers import AnyDict

from ..settings import Settings
from .api_error import ApiError
from .times import Clock
from .values import whole_number

__all__ = ["Application", "same_text"]

_DIGESTS = {40: hashlib.sha1, 64: hashlib.sha256}


class Application:
    """Checks the application's credentials."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def check_auth_key(self, key: str) -> None:
        """Refuse a key that is not the application's."""
        if not same_text(key, self._settings.auth_key):
            raise ApiError(401, "CB-AuthKey is not this application's authorization key")

    def check_admin_key(self, key: str) -> None:
        """Refuse a request without the key of the Administration API, or with another one."""
        if not key:
            raise ApiError(401, "CB-Administration-API-Key is required")
        if not same_text(key, self._settings.admin_key):
            raise ApiError(403, "CB-Administration-API-Key is not that of this application")

    def check_request(self, request: Mapping[str, Any]) -> None:
        """Refuse a session request of another application, or with a wrong signature."""
        missing = [name for name in ("application_id", "auth_key") if not request.get(name)]
        if missing:
            raise ApiError(422, errors={name: ["is required"] for name in missing})
        if str(request["application_id"]) != str(self._settings.app_id):
            raise ApiError.invalid("application_id", "is not that of an application")
        if not same_text(str(request["auth_key"]), self._settings.auth_key):
            raise ApiError.invalid("auth_key", "is not this application's authorization key")
        self._check_signature(request)

    def _check_signature(self, request: Mapping[str, Any]) -> None:
        signature, secret = request.get("signature"), self._settings.auth_secret
        if signature is None:
            if self._settings.require_signature:
                raise ApiError.invalid("signature", "is required")
            return
        for name in ("timestamp", "nonce"):
            if whole_number(request.get(name)) is None:
                raise ApiError.invalid(name, "must be a whole number in a signed request")
        if secret is not None:
            self._compare_signature(request, str(signature), secret)
        off = abs(int(request["timestamp"]) - self._clock.time())
        if off > self._settings.timestamp_seconds:
            raise ApiError.invalid("timestamp", "invalid timestamp")

    def _compare_signature(self, request: Mapping[str, Any], signature: str, secret: str) -> None:
        digest = _DIGESTS.get(len(signature))
        if digest is None:
            raise ApiError(422, "Unexpected signature")
        expected = hmac.new(secret.encode(), _signed_text(request).encode(), digest).hexdigest()
        if not same_text(signature.lower(), expected):
            raise ApiError(422, "Unexpected signature")


def same_text(one: str, other: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _signed_text(request: Mapping[str, Any]) -> str:
    pairs = sorted(
        pair
        for name, value in request.items()
        if name != "signature"
        for pair in _pairs(name, value)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, AnyDict):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    else:
        yield name, str(value)
