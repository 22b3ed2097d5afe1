"""How the service's JSON becomes frozen attrs objects: lenient, table-driven, never raising.

Each model declares its fields with :func:`wire`: the service's name and a reader. A reader returns
None for whatever it cannot understand, so one odd field costs that field and nothing else. What no
field claims is kept in ``extra``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import attrs

__all__ = [
    "EPOCH",
    "as_bool",
    "as_float",
    "as_int",
    "as_ints",
    "as_mapping",
    "as_string",
    "as_strings",
    "as_time",
    "read",
    "wire",
]

Model = TypeVar("Model")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INTEGER = re.compile(r"-?[0-9]{1,30}")
_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138, so anything above counts milliseconds


def wire(name: str, reader: Callable[[Any], Any], *, default: Any = None, **options: Any) -> Any:
    """Declare an attrs field that ``read`` fills from the JSON key ``name`` with ``reader``."""
    return attrs.field(default=default, metadata={"wire": name, "reader": reader}, **options)


def read(cls: type[Model], data: Mapping[str, Any], into: str = "extra", **known: Any) -> Model:
    """Build a ``cls`` from a JSON object; ``known`` are fields that do not come from it.

    What no field claims lands in the field that ``into`` names.
    """
    table = _TABLES.get(cls)
    if table is None:
        table = _TABLES[cls] = {
            entry.metadata["wire"]: (entry.alias, entry.metadata["reader"])
            for entry in attrs.fields(cls)  # type: ignore[arg-type]
            if "wire" in entry.metadata
        }
    values: dict[str, Any] = known
    extra: dict[str, Any] = {}
    for key, value in data.items():
        entry = table.get(key)
        if entry is None:
            extra[key] = value
        elif value is not None:
            understood = entry[1](value)
            if understood is not None:
                values[entry[0]] = understood
    values[into] = extra
    return cls(**values)


_TABLES: dict[type, dict[str, tuple[str, Callable[[Any], Any]]]] = {}


def as_string(value: Any) -> str | None:
    """Strings as they are, numbers as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def as_int(value: Any) -> int | None:
    """Integers, also as text or as a float without a fraction."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)  # a float would round what has more than 15 digits
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() else None


def as_float(value: Any) -> float | None:
    """Finite numbers, also as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_bool(value: Any) -> bool | None:
    """true/false, 1/0, and both as text."""
    if value in (True, "1", "true"):
        return True
    return False if value in (False, "0", "false") else None


def as_time(value: Any) -> datetime | None:
    """ISO 8601 text or unix time (seconds; above 1e11 milliseconds) as an aware datetime in UTC."""
    try:
        if (
            isinstance(value, str) and "-" in value[1:]
        ):  # a date; a number before 1970 begins with it
            moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            if moment.tzinfo is None:
                return moment.replace(tzinfo=timezone.utc)
            return moment.astimezone(timezone.utc)
        number = as_float(value)
        if number is None:
            return None
        return EPOCH + timedelta(seconds=number / 1000 if number > _MILLISECONDS_FROM else number)
    except (ValueError, OverflowError):
        return None


def as_ints(value: Any) -> tuple[int, ...] | None:
    """A list of integers; what is none is left out."""
    if not isinstance(value, list):
        return None
    return tuple([number for number in map(as_int, value) if number is not None])


def as_strings(value: Any) -> tuple[str, ...] | None:
    """A list of strings; what is none is left out."""
    if not isinstance(value, list):
        return None
    return tuple([text for text in map(as_string, value) if text is not None])


def as_mapping(value: Any) -> dict[str, Any] | None:
    """A JSON object as it is."""
    return value if isinstance(value, dict) else None
