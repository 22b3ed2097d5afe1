"""What callers pass, as what the service understands; each check names its argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import field, frozen

from .._checks import check_id, check_int, check_number, check_one_of, check_str
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import DialogRef, DialogType, Message, User
from ..models.user import check_user_id

__all__ = [
    "IDS_PER_REQUEST",
    "QuerySchema",
    "check_dialog",
    "check_dialog_id",
    "check_id_filter",
    "check_int_filter",
    "check_json_object",
    "check_list",
    "check_message_id",
    "check_nonempty_list",
    "check_text_filter",
    "check_time",
    "check_time_filter",
    "check_type_filter",
    "check_user_id",
    "chunked",
]

IDS_PER_REQUEST = 50
"""Ids have 24 characters each: this is well below what servers accept as a URL."""


def check_dialog(name: str, value: object) -> DialogRef:
    """Return what is known of a dialog that is given as an id, a dialog or one of its messages."""
    if isinstance(value, DialogRef):
        return value
    if isinstance(value, Message):
        known = value.dialog or DialogRef()
        return DialogRef(id=known.id or value.dialog_id, type=known.type, peer_id=known.peer_id)
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"{name} must be a dialog's id, a Dialog or a Message, not {type(value).__name__}"
        )
    return DialogRef(id=check_id(name, value))


def check_dialog_id(name: str, value: object) -> str:
    """Return the id of a dialog that is given as an id, a dialog or one of its messages."""
    dialog = check_dialog(name, value)
    if dialog.id is None:
        raise ArgumentValueError(f"{name} is a dialog without an id")
    return check_id(name, dialog.id)


def check_message_id(name: str, value: object) -> str:
    """Return the id of a message, given as an id or a Message."""
    if isinstance(value, Message):
        value = value.id
        if value is None:
            raise ArgumentValueError(f"{name} is a message without an id")
    elif not isinstance(value, str):
        raise ArgumentTypeError(
            f"{name} must be a message's id or a Message, not {type(value).__name__}"
        )
    return check_id(name, value)


def check_time(name: str, value: object, whole: Callable[[float], int] | None = None) -> int:
    """Return unix seconds, given as such or as an aware datetime.

    The service counts whole seconds. ``whole`` (math.floor, math.ceil) rounds; without it a fraction
    is an error.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise ArgumentValueError(
                f"{name} is a naive datetime: it does not say in which time zone"
            )
        seconds = value.timestamp()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = check_number(name, value)
    else:
        raise ArgumentTypeError(
            f"{name} must be an aware datetime or unix seconds, not {type(value).__name__}"
        )
    if whole is None and not seconds.is_integer():
        raise ArgumentValueError(f"{name} has fractions of a second; the service has none")
    return (whole or int)(seconds)


# --- look-ups -----------------------------------------------------------------------------------

_OPERATORS = {
    "lt": "lt",
    "lte": "lte",
    "gt": "gt",
    "gte": "gte",
    "ne": "ne",
    "in": "in",
    "nin": "nin",
    "all": "all",
    "contains": "ctn",
}
_LISTS = ("in", "nin", "all")
_ROUNDING: Mapping[str, Callable[[float], int]] = {
    # towards the wider answer: no record is lost between two whole seconds
    "lt": math.ceil,
    "lte": math.ceil,
    "gt": math.floor,
    "gte": math.floor,
}

Reader = Callable[[str, object, str], "str | int"]
"""Checks one value of a look-up: (argument's name, value, operator or "")."""


def check_id_filter(name: str, value: object, operator: str) -> str:
    """Read an id, or a model that has one."""
    return check_id(name, getattr(value, "id", value))


def check_int_filter(name: str, value: object, operator: str) -> int:
    """Read an int, a member of an enumeration of ints, or a user."""
    return check_int(name, value.id if isinstance(value, User) else value)


def check_text_filter(name: str, value: object, operator: str) -> str:
    """Read text; in a list the service separates values with commas, so they may hold none."""
    text = check_str(name, value)
    if operator in _LISTS and "," in text:
        raise ArgumentValueError(f"{name} must not hold a comma: {text!r}")
    return text


def check_time_filter(name: str, value: object, operator: str) -> int:
    """Read an aware datetime or unix seconds."""
    return check_time(name, value, _ROUNDING.get(operator))


def check_type_filter(name: str, value: object, operator: str) -> int:
    """Read a dialog type."""
    check_one_of(name, value, tuple(DialogType))
    return int(check_int(name, value))


@frozen
class QuerySchema:
    """What one list of the service can be asked for: the fields to look up and to sort by.

    ``fields`` maps our names to the service's and to how a value is checked; ``nested`` are fields whose
    keys are the application's (``extensions__location="Lima"``).
    """

    fields: Mapping[str, tuple[str, Reader]]
    sortable: tuple[str, ...]
    nested: tuple[str, ...] = field(default=())

    def query(
        self,
        lookups: Mapping[str, object],
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
    ) -> list[tuple[str, str | int]]:
        """Return the query's pairs; raises ArgumentTypeError or ArgumentValueError, naming the argument."""
        pairs = [self._pair(name, value) for name, value in lookups.items()]
        if limit is not None:
            pairs.append(("limit", check_int("limit", limit, least=1)))
        if skip is not None:
            pairs.append(("skip", check_int("skip", skip, least=0)))
        if sort is not None:
            pairs.append(self._order(sort))
        return pairs

    def _order(self, sort: object) -> tuple[str, str]:
        text = check_str("sort", sort)
        name = text.removeprefix("-")
        check_one_of("sort (without its minus)", name, self.sortable)
        return ("sort_desc" if text.startswith("-") else "sort_asc", name)

    def _pair(self, argument: str, value: object) -> tuple[str, str | int]:
        wire, reader, operator = self._resolve(argument)
        key = f"{wire}[{_OPERATORS[operator]}]" if operator else wire
        if operator in _LISTS:
            if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
                raise ArgumentTypeError(
                    f"{argument} must be a list of values, not {type(value).__name__}"
                )
            values = [str(reader(argument, entry, operator)) for entry in value]
            if not values:
                raise ArgumentValueError(f"{argument} must not be empty")
            return key, ",".join(values)
        return key, reader(argument, value, operator)

    def _resolve(self, argument: str) -> tuple[str, Reader, str]:
        name, *rest = argument.split("__")
        if name in self.nested and rest and rest[0]:
            wire = f"{name}[{rest.pop(0)}]"
            reader: Reader = check_text_filter
        elif name in self.fields:
            wire, reader = self.fields[name]
        else:
            known = ", ".join(sorted({*self.fields, *self.nested}))
            raise ArgumentTypeError(f"{argument} is no argument; fields to look up are: {known}")
        if not rest:
            return wire, reader, ""
        if len(rest) > 1 or rest[0] not in _OPERATORS:
            known = ", ".join(_OPERATORS)
            raise ArgumentTypeError(f"{argument} has no such look-up; there are: {known}")
        return wire, reader, rest[0]


# --- lists --------------------------------------------------------------------------------------

Value = TypeVar("Value")


def check_list(name: str, value: object, read: Callable[[str, object], Value]) -> list[Value]:
    """Return what one value or an iterable of them holds, each read, without repetitions."""
    if isinstance(value, (str, int, DialogRef, Message, User)):
        return [read(name, value)]
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise ArgumentTypeError(f"{name} must be one or a list, not {type(value).__name__}")
    return list(dict.fromkeys(read(name, entry) for entry in value))


def check_nonempty_list(
    name: str, value: object, read: Callable[[str, object], Value]
) -> list[Value]:
    """Return what ``check_list`` does, and refuse an empty list."""
    values = check_list(name, value, read)
    if not values:
        raise ArgumentValueError(f"{name} must not be empty")
    return values


def chunked(ids: list[str]) -> Iterator[list[str]]:
    """Yield ids in pieces that fit into a URL; they are of like sizes, as one id alone is another request."""
    pieces = math.ceil(len(ids) / IDS_PER_REQUEST)
    for number in range(pieces):
        yield ids[len(ids) * number // pieces : len(ids) * (number + 1) // pieces]


# --- JSON ---------------------------------------------------------------------------------------


def check_json_object(name: str, value: object) -> dict[str, Any]:
    """Return a copy of a mapping that JSON can carry, with texts as keys."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(value).__name__}")
    copy: dict[str, Any] = _json_value(name, value, _DEEPEST)
    return copy


_DEEPEST = 32


def _json_value(name: str, value: object, depth: int) -> Any:
    if depth == 0:
        raise ArgumentValueError(f"{name} is nested too deeply")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return check_str(name, value, empty=True)
    if isinstance(value, float):
        return check_number(name, value)
    if isinstance(value, Mapping):
        return {
            check_str(f"a key of {name}", key): _json_value(f"{name}[{key!r}]", entry, depth - 1)
            for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_json_value(f"{name}[{n}]", entry, depth - 1) for n, entry in enumerate(value)]
    raise ArgumentTypeError(f"{name} is nothing that JSON can carry: {type(value).__name__}")
