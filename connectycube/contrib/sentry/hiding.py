"""What a report must not show: local variables of this package and below, and queries of its requests."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from connectycube._containers import AnyDict, AnyList

__all__ = ["hide_frames", "hide_queries"]

_BELOW = frozenset({"connectycube", "http", "requests", "socket", "ssl", "urllib3", "xmpp"})
"""The top modules whose frames hold headers, bodies and stanzas."""
_QUERY = ("http.query", "http.fragment", "url.query", "url.full")
_MASK = "[Filtered]"


def hide_frames(event: dict[str, Any]) -> None:
    """Remove the local variables of the frames that are not the application's."""
    for part in ("exception", "threads"):
        for value in _values(event.get(part)):
            trace: dict[str, Any] = value.get("stacktrace") or {}
            frames: list[dict[str, Any]] = trace.get("frames") or []
            for frame in frames:
                module: str = frame.get("module") or ""
                if module.partition(".")[0] in _BELOW:
                    frame.pop("vars", None)


def hide_queries(event: dict[str, Any], hosts: Collection[str]) -> None:
    """Mask the query in breadcrumbs and spans of requests to these hosts: it may hold a login, or a text."""
    for part in [*_values(event.get("breadcrumbs")), *_values({"values": event.get("spans")})]:
        data = part.get("data")
        if not isinstance(data, AnyDict) or urlsplit(str(data.get("url"))).netloc not in hosts:
            continue
        for name in _QUERY:
            if data.get(name):
                data[name] = _MASK


def _values(part: Any) -> Iterator[dict[str, Any]]:
    values = part.get("values") if isinstance(part, AnyDict) else None
    for value in values if isinstance(values, AnyList) else ():
        if isinstance(value, AnyDict):
            yield value
