"""The value of a cursor store: a small mapping that JSON can carry."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from attrs import frozen

from .._checks import repr_of
from .._containers import AnyList, AnyMapping, AnyTuple
from .protocol.seen_messages import Key

__all__ = ["CursorValue", "value_of"]

_SCHEMA = 1
_END_OF_CALENDAR = 253_402_300_799  # unix seconds: 9999-12-31T23:59:59Z
_MOST_HANDLED, _MOST_OLDER = 140_000, 40_000  # bytes of JSON


@frozen
class CursorValue:
    """Where a connection was; times are unix seconds by the service's clock.

    ``identity`` identifies the bot: the ids of its answers derive from it, so it never changes. ``first`` is
    the moment of the first login, ``low`` the moment before which every message was handled. ``handled`` are
    the messages since then, with the times, that were handled as well. ``older`` are the messages of the
    second of the first login that history had before it, and that have not arrived since.
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

    def to_json(self) -> dict[str, object]:
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


def value_of(data: object) -> CursorValue:
    """Read a mapping of :meth:`CursorValue.to_json`; raises ValueError, which says what is wrong."""
    if not isinstance(data, AnyMapping):
        raise ValueError(f"it is a {type(data).__name__}, and no mapping")
    schema = data.get("schema")
    if schema is True or schema != _SCHEMA:
        raise ValueError(f"its schema is {_shown(schema)}, and this release reads {_SCHEMA}")
    identity = _text(data, "identity")
    if not identity.isalnum():
        raise ValueError(f"identity is {_shown(identity)}")
    return CursorValue(
        app_id=_number("app_id", data.get("app_id")),
        user_id=_number("user_id", data.get("user_id")),
        chat_host=_text(data, "chat_host"),
        identity=identity,
        first=_time_or_none("first", data.get("first")),
        low=_time_or_none("low", data.get("low")),
        handled=tuple(
            (_key("handled", key), _time("handled", at))
            for *key, at in _entries("handled", data.get("handled"), 4)
        ),
        # A value that was saved before this field was added has none.
        older=tuple(_key("older", key) for key in _entries("older", data.get("older", []), 3)),
    )


def _text(data: Mapping[object, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_shown(value)}, and no text")
    return value


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {_shown(value)}, and no whole number")
    return value


def _time(name: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _END_OF_CALENDAR:  # type: ignore[operator]
        raise ValueError(f"{name} is {_shown(value)}, and no time in unix seconds")
    return float(value)  # type: ignore[arg-type]


def _time_or_none(name: str, value: object) -> float | None:
    return None if value is None else _time(name, value)


def _entries(name: str, value: object, size: int) -> list[Sequence[object]]:
    if not isinstance(value, (AnyList, AnyTuple)):
        raise ValueError(f"{name} is {_shown(value)}, and no list")
    for entry in value:
        if not isinstance(entry, (AnyList, AnyTuple)) or len(entry) != size:
            raise ValueError(f"{name} has {_shown(entry)}, and no list of {size}")
    return list(value)


def _key(name: str, parts: Sequence[object]) -> Key:
    conversation, sender, message_id = parts
    if not isinstance(conversation, str) or not isinstance(message_id, str):
        raise ValueError(f"{name} has {_shown(list(parts))}, and no key of a message")
    return conversation, _number(f"a sender in {name}", sender), message_id


def _shown(value: object) -> str:
    text = repr_of(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _newest(entries: list[list[object]], most: int) -> list[list[object]]:
    """Return the last entries that take so many bytes as JSON at most."""
    for number, entry in enumerate(reversed(entries)):
        most -= len(json.dumps(entry)) + 2
        if most < 0:
            return entries[-number:] if number else []
    return entries
