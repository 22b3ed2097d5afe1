"""The look-up language of lists: Django's words for fields and operators, as the service's query string.

Each resource declares one :class:`QuerySchema`: a table of its fields. ``schema.query(lookups)`` checks every
value, names the argument that is wrong, and returns the pairs of the query string.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .._checks import (
    check_id,
    check_int,
    check_list,
    check_number,
    check_one_of,
    check_str,
    check_time,
    nearest,
)
from .._containers import AnyDict, AnyMapping
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import DialogType, User
from ._arguments import check_user_id

__all__ = [
    "IDS_PER_REQUEST",
    "LIST_OPERATORS",
    "OPERATORS",
    "Pairs",
    "QueryField",
    "QuerySchema",
    "check_any_filter",
    "check_id_filter",
    "check_int_filter",
    "check_text_filter",
    "check_time_filter",
    "check_type_filter",
    "check_user_filter",
    "chunked",
    "comma_separated",
]

Pairs = list[tuple[str, "str | int"]]
"""Pairs of a query string, in the service's names."""

OPERATORS: Mapping[str, str] = {
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
"""Django's words, and the service's, for dialogs and messages."""

LIST_OPERATORS = ("in", "nin", "all", "or")
"""The operators that compare with a list of values."""

IDS_PER_REQUEST = 50
"""Ids have 24 characters each: so many are well below what servers accept as a URL."""


# --- values -------------------------------------------------------------------------------------

FilterCheck = Callable[[str, object, str], "str | int"]
"""Checks one value of a look-up: (argument's name, value, operator or "")."""

_ROUNDING: Mapping[str, Callable[[float], int]] = {
    # towards the wider answer: no record is lost between two whole seconds
    "lt": math.ceil,
    "lte": math.ceil,
    "gt": math.floor,
    "gte": math.floor,
}


def check_id_filter(name: str, value: object, operator: str) -> str:
    """Return an id, given as such or as a model that has one."""
    return check_id(name, getattr(value, "id", value))


def check_int_filter(name: str, value: object, operator: str) -> int:
    """Return an int, given as such, as a member of an enumeration of ints, or as a User."""
    return check_int(name, value.id if isinstance(value, User) else value)


def check_user_filter(name: str, value: object, operator: str) -> int:
    """Return the id of a user, given as such or as a User."""
    return check_user_id(name, value)


def check_text_filter(name: str, value: object, operator: str) -> str:
    """Return a text."""
    return check_str(name, value)


def check_time_filter(name: str, value: object, operator: str) -> int:
    """Return unix seconds, given as such or as an aware datetime."""
    return check_time(name, value, _ROUNDING.get(operator))


def check_type_filter(name: str, value: object, operator: str) -> int:
    """Return a dialog type."""
    check_one_of(name, value, tuple(DialogType))
    return int(check_int(name, value))


def check_any_filter(name: str, value: object, operator: str) -> str | int:
    """Return a value of a field whose type only the application knows."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return check_int(name, value)
    if isinstance(value, float):
        return str(check_number(name, value))
    if isinstance(value, str):
        return check_str(name, value)
    return check_time(name, value)


# --- tables -------------------------------------------------------------------------------------


@frozen
class QueryField:
    """One field that a list can be looked up by.

    Args:
        wire: The service's name of the field.
        check: Checks one value.
        operators: The operators of the field, in Django's words.
    """

    wire: str
    check: FilterCheck
    operators: Collection[str] = tuple(OPERATORS)


@frozen(kw_only=True)
class QuerySchema:
    """What one list of the service can be asked for: the fields to look up and to sort by.

    Args:
        fields: The fields, by our names.
        sortable: The names of the fields to sort by.
        nested: Fields whose keys are the application's (``extensions={"location": "Lima"}``, or
            ``extensions__location="Lima"``, which no type checker knows).
        open_field: Makes a field of a name that is not in ``fields`` (argument's name, field's name), where
            the application has fields of its own; None where there are no others.
        operators: The operators in Django's words, with the service's.
        is_list_repeated: Whether a list is sent as one pair for each value, and not as one with commas.
        skip_name: The service's name of ``skip``.
        most: The largest ``limit``, or None.
        primary: The fields and operators of which the service wants one look-up at least; none by default.
    """

    fields: Mapping[str, QueryField] = field(factory=AnyDict)
    sortable: Collection[str] = ()
    nested: tuple[str, ...] = ()
    open_field: Callable[[str, str], QueryField] | None = None
    operators: Mapping[str, str] = OPERATORS
    is_list_repeated: bool = False
    skip_name: str = "skip"
    most: int | None = None
    primary: tuple[Collection[str], Collection[str]] = ((), ())

    def query(
        self,
        lookups: Mapping[str, object],
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
    ) -> Pairs:
        """Return the pairs of the query.

        Raises:
            ArgumentTypeError: An argument does not exist or has a wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
        """
        pairs = [pair for name, value in lookups.items() for pair in self._pairs(name, value)]
        if limit is not None:
            pairs.append(("limit", check_int("limit", limit, least=1, most=self.most)))
        if skip is not None:
            pairs.append((self.skip_name, check_int("skip", skip, least=0)))
        if sort is not None:
            pairs.append(self._order(sort))
        self._check_primary(lookups)
        return pairs

    def criteria(self, lookups: Mapping[str, object]) -> dict[str, object]:
        """Return the look-ups as the JSON object of a call that takes criteria in its body.

        Raises:
            ArgumentTypeError: A look-up does not exist or has a wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value, there is none, or two contradict each other.
        """
        if not lookups:
            raise ArgumentValueError("there is no look-up: every record would match")
        criteria: dict[str, Any] = {}
        for argument, value in lookups.items():
            found, operator = self._resolve(argument)
            wanted = _as_json(value, self._checked(found, argument, value, operator))
            if found.wire in criteria and not (operator and isinstance(criteria[found.wire], dict)):
                raise ArgumentValueError(f"{argument} is given beside another look-up of its field")
            if operator:
                criteria.setdefault(found.wire, {})[self.operators[operator]] = wanted
            else:
                criteria[found.wire] = wanted
        return criteria

    def _order(self, sort: object) -> tuple[str, str]:
        text = check_str("sort", sort)
        name = text.removeprefix("-")
        if self.open_field is None:
            check_one_of("sort (without its minus)", name, self.sortable)
        return ("sort_desc" if text.startswith("-") else "sort_asc", self._field("sort", name).wire)

    def _pairs(self, argument: str, value: object) -> Pairs:
        if argument in self.nested:
            return self._nested_pairs(argument, value)
        found, operator = self._resolve(argument)
        key = f"{found.wire}[{self.operators[operator]}]" if operator else found.wire
        checked = self._checked(found, argument, value, operator)
        if not isinstance(checked, list):
            return [(key, checked)]
        if self.is_list_repeated:
            return [(f"{key}[]", entry) for entry in checked]
        return [(key, comma_separated(argument, checked))]

    def _nested_pairs(self, argument: str, value: object) -> Pairs:
        if not isinstance(value, AnyMapping) or not value:
            raise ArgumentTypeError(
                f'{argument} must be a mapping such as {{"key": "value"}}, not {type(value).__name__}'
            )
        return [
            pair
            for key, text in value.items()
            for pair in self._pairs(f"{argument}__{check_str(f'a key of {argument}', key)}", text)
        ]

    def _check_primary(self, lookups: Mapping[str, object]) -> None:
        fields, operators = self.primary
        parts = (argument.partition("__") for argument in lookups)
        if fields and not any(name in fields and word in operators for name, _, word in parts):
            words = " or ".join(f"__{word}" for word in operators if word)
            raise ArgumentValueError(
                f"give at least one look-up by {', '.join(fields)}: as it is, or with {words}"
            )

    def _checked(
        self, found: QueryField, argument: str, value: object, operator: str
    ) -> str | int | list[str | int]:
        if operator not in LIST_OPERATORS:
            return found.check(argument, value, operator)
        values = check_list(argument, value, "values", empty=False)
        return [found.check(argument, entry, operator) for entry in values]

    def _resolve(self, argument: str) -> tuple[QueryField, str]:
        """Return the field of an argument such as ``date_sent__gt``, and its operator or ""."""
        name, *words = argument.split("__")
        if self.open_field is not None and len(words) > 1:  # the application's names may hold "__"
            name, words = "__".join((name, *words[:-1])), words[-1:]
        if name in self.nested and words and words[0]:
            found = QueryField(f"{name}[{words.pop(0)}]", check_text_filter)
        else:
            found = self._field(argument, name)
        if not words:
            return found, ""
        operators = [word for word in found.operators if word in self.operators]
        if len(words) > 1 or words[0] not in operators:
            known = ", ".join(operators)
            raise ArgumentTypeError(f"{argument} has no such look-up; {name} has: {known}")
        return found, words[0]

    def _field(self, argument: str, name: str) -> QueryField:
        found = self.fields.get(name)
        if found is not None:
            return found
        if self.open_field is not None:
            return self.open_field(argument, name)
        known = sorted({*self.fields, *self.nested})
        raise ArgumentTypeError(
            f"{argument} is no argument and no field to look up: {nearest(name, known)}"
        )


def _as_json(value: object, checked: str | int | list[str | int]) -> object:
    """Return a value as JSON has it: a query string has texts only."""
    if isinstance(checked, list):
        values: list[object] = list(value)  # type: ignore[call-overload]
        return [_as_json(each, text) for each, text in zip(values, checked, strict=True)]
    return value if isinstance(value, (bool, int, float)) else checked


# --- lists of values ----------------------------------------------------------------------------


def comma_separated(name: str, values: Iterable[str | int]) -> str:
    """Return values as the service takes a list of them; it has no way to quote a comma.

    Raises:
        ArgumentValueError: A value holds a comma.
    """
    texts = [str(value) for value in values]
    for text in texts:
        if "," in text:
            raise ArgumentValueError(f"{name} must not hold a comma: {text!r}")
    return ",".join(texts)


def chunked(ids: list[str]) -> Iterator[list[str]]:
    """Yield lists of ids that fit into a URL, of like sizes: one id alone is another request."""
    chunks = math.ceil(len(ids) / IDS_PER_REQUEST)
    for number in range(chunks):
        yield ids[len(ids) * number // chunks : len(ids) * (number + 1) // chunks]
