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
_TEXT_PAIR = re.compile(
    rf"(?P<name>(?:{_SECRET_NAME.pattern})[^\s=:]*(?:\s*(?:=>|=|:)\s*|\s+)[\"']?)(?P<value>[^\s\"',;&}}]+)",
    re.IGNORECASE,
)
_SHORTEST_TO_SEARCH = 6
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
    """Mask the given secrets in a text, the longest first.

    A short secret may well be a part of other words. It is masked only as the value of a secret name, as in
    ``password a``, ``password=a`` or ``"password": "a"``.
    """
    text = _TEXT_PAIR.sub(lambda pair: _mask_known(pair, secrets), text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_TO_SEARCH:
            text = text.replace(secret, MASK)
    return text


def _mask_known(pair: re.Match[str], secrets: Collection[str]) -> str:
    return pair["name"] + MASK if pair["value"] in secrets else pair[0]
