"""The value of a cursor store: a small mapping that JSON can carry."""

from __future__ import annotations

import json
import math
from typing import Any

from attrs import frozen

from .protocol.seen_messages import Key

__all__ = ["CursorValue", "value_of"]

_SCHEMA = 1
_MOST_HANDLED, _MOST_OLDER = 140_000, 40_000  # bytes of JSON


@frozen
class CursorValue:
    """Where a connection was; times are unix seconds by the service's clock.

    ``identity`` is that of the bot: the ids of its answers derive from it, so it never changes. ``first`` is
    the moment of the first login, ``low`` the one before which every message was handled. ``handled`` are the
    messages since then, with the times, that were handled as well. ``older`` are those of the second of the
    first login that history had before, and that did not arrive since.
    """

    app_id: int
    user_id: int
    chat_host: str
    identity: str
    first: float | None = None
    low: float | None = None
    handled: tuple[tuple[Key, float], ...] = ()
    older: tuple[Key, ...] = ()

    @property
    def owner(self) -> tuple[int, int, str]:
        """The user to whom it belongs: the application, the id and the host."""
        return self.app_id, self.user_id, self.chat_host

    def to_json(self) -> dict[str, Any]:
        """Return the mapping that is saved."""
        return {
            "schema": _SCHEMA,
            "app_id": self.app_id,
            "user_id": self.user_id,
            "chat_host": self.chat_host,
            "identity": self.identity,
            "first": self.first,
            "low": self.low,
            "handled": _newest([[*key, math.floor(at)] for key, at in self.handled], _MOST_HANDLED),
            "older": _newest([[*key] for key in self.older], _MOST_OLDER),
        }


def value_of(data: Any) -> CursorValue:
    """Read a mapping of :meth:`CursorValue.to_json`; raises ValueError, TypeError or KeyError."""
    if data["schema"] != _SCHEMA:
        raise ValueError(f"schema {data['schema']!r}, and this release reads {_SCHEMA} alone")
    if not isinstance(data["identity"], str) or not data["identity"].isalnum():
        raise ValueError("no identity")
    return CursorValue(
        app_id=int(data["app_id"]),
        user_id=int(data["user_id"]),
        chat_host=str(data["chat_host"]),
        identity=data["identity"],
        first=_time(data["first"]),
        low=_time(data["low"]),
        handled=tuple(
            ((str(conversation), int(sender), str(message_id)), float(at))
            for conversation, sender, message_id, at in data["handled"]
        ),
        older=tuple(
            (str(conversation), int(sender), str(message_id))
            for conversation, sender, message_id in data.get("older", ())
        ),
    )


def _newest(entries: list[list[Any]], most: int) -> list[list[Any]]:
    """Return the last entries that take so many bytes as JSON at most."""
    for number, entry in enumerate(reversed(entries)):
        most -= len(json.dumps(entry)) + 2
        if most < 0:
            return entries[-number:] if number else []
    return entries


def _time(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return float(value)
