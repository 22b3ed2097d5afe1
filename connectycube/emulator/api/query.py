"""Query: the filters, order and page of a list request, as SQL.

A filter is ``field=value`` or ``field[operator]=value``. (Server documentation: Chat API, Retrieve
chat dialogs and Retrieve messages.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

from attrs import frozen

from ..domain.api_error import ApiError
from ..domain.values import flag
from .fields import count_of

__all__ = ["Column", "ListQuery", "text", "time"]

_DEFAULT_LIMIT = 100
_NAME = re.compile(r"([\w.]+)(?:\[(\w+)\])?(?:\[\])?")
_NESTED_NAME = re.compile(r"(\w+)\[([\w-]+)\](?:\[(\w+)\])?(?:\[\])?")
# The SQL of each operator. A row with many values of a field fulfils the condition if any value does.
_COMPARISONS = {
    "eq": "{} = ?",
    "ne": "{} IS ?",
    "lt": "{} < ?",
    "lte": "{} <= ?",
    "gt": "{} > ?",
    "gte": "{} >= ?",
    "all": "{} = ?",
    "ctn": "instr({}, ?) > 0",
}
_LISTS = ("in", "nin", "all")


def text(value: str) -> str:
    """Read a value that is a string."""
    return value


def time(value: str) -> float:
    """Read a time: unix seconds or ISO 8601, in UTC if it names no zone."""
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        if not math.isfinite(number):
            raise ValueError("no time")
        return number
    # Before Python 3.11 datetime.fromisoformat() reads no "Z", and no decimals but three or six.
    moment = datetime.fromisoformat(re.sub(r"\.\d+", "", value).replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@frozen
class Column:
    """A field that can be filtered: its SQL expression, and the function that reads a value.

    If a row can have many values of the field, ``template`` is the SQL around the comparison.
    """

    expression: str
    read: Callable[[str], Any]
    template: str = "{}"

    def condition(self, name: str, operator: str, values: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the SQL and the values of one filter."""
        if operator in _LISTS:
            values = [part.strip() for value in values for part in value.split(",")]
        try:
            read = [self.read(value) for value in values]
        except (ValueError, OverflowError):
            raise ApiError.invalid(name, f"has a wrong value: {', '.join(values)}") from None
        return self._comparison(name, operator, len(read)), read

    def _comparison(self, name: str, operator: str, count: int) -> str:
        if operator in ("in", "nin"):
            marks = ", ".join("?" * count)
            # IS TRUE: a row without a value is in no list, so it passes "nin".
            sql = self.template.format(f"({self.expression} IN ({marks})) IS TRUE")
            return f"NOT ({sql})" if operator == "nin" else sql
        if operator not in _COMPARISONS:
            raise ApiError.invalid(name, f"has an unknown operator: {operator}")
        sql = self.template.format(_COMPARISONS[operator].format(self.expression))
        if operator == "ne":  # no value is the given one
            sql = f"NOT ({sql})"
        return " AND ".join([sql] * count)


@frozen(kw_only=True)
class ListQuery:
    """The query of a list request; ``where`` is SQL with ``values``, ``order`` is SQL."""

    where: str
    values: list[Any]
    order: str
    limit: int
    skip: int
    count: bool
    options: Mapping[str, str]

    @classmethod
    def parse(
        cls,
        parameters: Sequence[tuple[str, str]],
        *,
        columns: Mapping[str, Column],
        sortable: Mapping[str, str],
        default_order: str,
        options: Sequence[str] = (),
        nested: Mapping[str, Callable[[str], Column]] = MappingProxyType({}),
    ) -> ListQuery:
        """Read the parameters; ``options`` are names that belong to the endpoint itself.

        ``nested`` makes the column of ``field[key]`` or ``field[key][operator]``.
        """
        known = {"limit", "skip", "count", "sort_asc", "sort_desc", *options}
        plain = {name: value for name, value in parameters if name in known}
        filters: dict[tuple[str, str], list[str]] = {}
        found = dict(columns)
        for name, value in parameters:
            if name not in known:
                filters.setdefault(_filter(name, found, nested), []).append(value)
        where = ["1"]
        values: list[Any] = []
        for (name, operator), given in filters.items():
            sql, read = found[name].condition(name, operator, given)
            where.append(f"({sql})")
            values += read
        return cls(
            where=" AND ".join(where),
            values=values,
            order=_order(plain, sortable, default_order),
            limit=count_of(plain, "limit", _DEFAULT_LIMIT),
            skip=count_of(plain, "skip", 0),
            count=flag(plain.get("count")),
            options=plain,
        )

    def page(self, items: list[Any], **more: Any) -> dict[str, Any]:
        """Write a page of results."""
        return {**more, "skip": self.skip, "limit": self.limit, "items": items}


def _filter(
    name: str, columns: dict[str, Column], nested: Mapping[str, Callable[[str], Column]]
) -> tuple[str, str]:
    inner = _NESTED_NAME.fullmatch(name)
    if inner is not None and inner[1] in nested:
        field = f"{inner[1]}[{inner[2]}]"
        columns[field] = nested[inner[1]](inner[2])
        return field, inner[3] or "eq"
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in columns:
        raise ApiError.invalid(name, "is not a parameter of this list that the emulator knows")
    return found[1], found[2] or "eq"


def _order(plain: Mapping[str, str], sortable: Mapping[str, str], default: str) -> str:
    for name, direction in (("sort_asc", "ASC"), ("sort_desc", "DESC")):
        if name in plain:
            expressions = sortable.get(plain[name])
            if expressions is None:
                raise ApiError.invalid(name, f"must be {' or '.join(sortable)}")
            return expressions.replace("{}", direction)
    return default
