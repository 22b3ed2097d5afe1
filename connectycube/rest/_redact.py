"""Secrets: which values are secret, and how they are kept out of logs and exceptions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit, urlunsplit

__all__ = ["MASK", "redact_text", "redact_url", "secrets_in"]

MASK = "***"
_SECRET_NAME = re.compile(
    r"token|password|secret|signature|credential|policy|auth[_-]?key", re.IGNORECASE
)
_QUERY_PAIR = re.compile(r"(?P<name>[^&=]+)=(?P<value>[^&]*)")


def redact_url(url: str) -> str:
    """Mask the values of secret query parameters, and any user information, in a URL."""
    parts = urlsplit(url)
    query = _QUERY_PAIR.sub(_mask_pair, parts.query)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _mask_pair(pair: re.Match[str]) -> str:
    return f"{pair['name']}={MASK}" if _SECRET_NAME.search(pair["name"]) else pair[0]


def secrets_in(body: object) -> Iterator[str]:
    """Yield the strings that stand under secret names in a JSON value."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if isinstance(value, str) and _SECRET_NAME.search(name):
                yield value
            else:
                yield from secrets_in(value)
    elif isinstance(body, (list, tuple)):
        for value in body:
            yield from secrets_in(value)


def redact_text(text: str, secrets: Collection[str]) -> str:
    """Mask every occurrence of the given secrets, the longest first."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
