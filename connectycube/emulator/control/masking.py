"""Masking: takes the secrets out of recorded requests, answers and stanzas, before anything is kept.

A secret is known by its name: that of a header, of a field of JSON, of a form or of a query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from connectycube._containers import AnyDict, AnyList

__all__ = ["MASK", "masked_body", "masked_headers", "masked_text"]

MASK = "***"
"""What stands in place of a secret."""

_HEADERS = frozenset(
    (
        *("authorization", "cb-administration-api-key", "cb-authkey", "cb-token", "cookie"),
        *("proxy-authorization", "set-cookie"),
    )
)
_NAMES = frozenset(
    (
        *("access_token", "auth_key", "auth_secret", "client_identification_sequence", "nonce"),
        *("old_password", "password", "policy", "secret", "signature", "token", "web_auth"),
        *("web_p256dh", "x-amz-credential", "x-amz-security-token", "x-amz-signature"),
    )
)
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_WORDS = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
# name=value as in a query, with [name] or %5Bname%5D as in a form.
_PAIR = re.compile(rf"(?i)((?<![\w-])(?:{_WORDS})(?:\]|%5D)?=)[^&\s\"'<>]+")
# "name": "value" of JSON that cannot be read as a whole.
_FIELD = re.compile(rf'(?i)("(?:{_WORDS})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}\]]+)')


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without the values that let somebody in."""
    return {
        name: MASK if name.lower() in _HEADERS else masked_text(value)
        for name, value in headers.items()
    }


def masked_text(text: str) -> str:
    """Return a text, such as a URL, without the secrets that it has as ``name=value``."""
    return _PAIR.sub(rf"\g<1>{MASK}", text)


def masked_body(body: bytes, content_type: str) -> str:
    """Return the text of a body without its secrets; of bytes that are no text, their number."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(body):,} bytes that are no text)"
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (_FORM, _JSON, "") and not kind.startswith("text/"):
        return f"({len(body):,} bytes of {kind})"
    if text.lstrip()[:1] in ("{", "["):
        return _masked_json(text)
    if kind == _FORM or "=" in text:
        return _masked_form(text)
    return masked_text(text)


def _masked_json(text: str) -> str:
    try:
        return json.dumps(_without_secrets(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return masked_text(_FIELD.sub(rf'\g<1>"{MASK}"', text))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, AnyDict):
        return {
            name: MASK if _is_secret(name, inner) else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, AnyList):
        return [_without_secrets(inner) for inner in value]
    return masked_text(value) if isinstance(value, str) else value


def _is_secret(name: str, value: Any) -> bool:
    return name.lower() in _NAMES and not isinstance(value, dict | list) and value is not None


def _masked_form(text: str) -> str:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=10_000)
    except ValueError:
        return masked_text(text)
    if not pairs:
        return masked_text(text)
    return "&".join(
        f"{quote(name, safe='[]')}={MASK if _last_part(name) in _NAMES else quote(masked_text(value))}"
        for name, value in pairs
    )


def _last_part(name: str) -> str:
    """Return the innermost name: that of ``user[password]`` is ``password``."""
    return name.rstrip("[]").rpartition("[")[2].lower()
