"""URLs and a peer's texts as errors and logs may repeat them: no secret, no control character, and short."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from ._containers import AnyList, AnyMapping, AnyTuple
from ._secrets import Secret

__all__ = ["MASK", "peer_text", "redact_url", "secrets_in"]

MASK = "***"
_MOST_CHARACTERS = 500
# Unicode categories: control and format characters, surrogates, line and paragraph separators.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # Persian words and emojis are written with them
_SECRET_NAME = re.compile(
    r"token|password|secret|signature|credential|policy|(?:auth|admin|api)[_-]?key", re.IGNORECASE
)
_TEXT_PAIR = re.compile(
    rf"(?P<name>(?:{_SECRET_NAME.pattern})[^\s=:]*(?:\s*(?:=>|=|:)\s*|\s+)[\"']?)(?P<value>[^\s\"',;&}}]+)",
    re.IGNORECASE,
)
_SHORTEST_TO_SEARCH = 6  # characters; a shorter secret is masked behind a secret name only
_QUERY_PAIR = re.compile(r"(?P<name>[^&=]+)=(?P<value>[^&]*)")


def redact_url(url: str) -> str:
    """Mask the values of secret query parameters, and any user information, in a URL."""
    parts = urlsplit(url)
    query = _QUERY_PAIR.sub(_mask_pair, parts.query)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _mask_pair(pair: re.Match[str]) -> str:
    return f"{pair['name']}={MASK}" if _SECRET_NAME.search(pair["name"]) else pair[0]


def secrets_in(body: Any) -> Iterator[Secret]:
    """Yield the Secrets in a JSON value, and the strings that stand under secret names."""
    # By name and by index, so that no local of this frame holds a secret.
    if isinstance(body, Secret):
        yield body
    elif isinstance(body, AnyMapping):
        for name in body:
            if isinstance(body[name], str) and _SECRET_NAME.search(name):
                yield Secret(body[name])
            else:
                yield from secrets_in(body[name])
    elif isinstance(body, (AnyList, AnyTuple)):
        for index in range(len(body)):
            yield from secrets_in(body[index])


def peer_text(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return a server's or another client's text as an error or a log may repeat it.

    The given secrets are masked, control characters are escaped, and the result has at most 500 characters.

    A secret of fewer than six characters may be a part of other words. It is masked only as the value of a
    secret name, as in ``password a``, ``password=a`` or ``"password": "a"``.

    Args:
        text: The text, of any length.
        secrets: The secrets to mask in it: as they are, and as URLs and HTML write them.
    """
    from html import escape

    values = {secret.open() for secret in secrets}
    written = {each(value) for value in values for each in (str, quote, escape)}
    # Before the text is cut, so that no part of a secret is left at its end. The longest first, because a
    # secret may be a part of another one.
    for secret in sorted(written, key=len, reverse=True):
        if len(secret) >= _SHORTEST_TO_SEARCH:
            text = text.replace(secret, MASK)
    text = text[: 2 * _MOST_CHARACTERS]  # the pattern is slow on long texts
    text = _TEXT_PAIR.sub(lambda pair: _mask_known(pair, values), text)
    text = "".join(map(_escaped, text[: _MOST_CHARACTERS + 1]))
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _mask_known(pair: re.Match[str], values: Collection[str]) -> str:
    return pair["name"] + MASK if pair["value"] in values else pair[0]


def _escaped(character: str) -> str:
    """Escape a character that could end a line, change its direction or hide in it."""
    if character not in _JOINERS and unicodedata.category(character) in _INVISIBLE:
        return character.encode("unicode_escape").decode()
    return character
