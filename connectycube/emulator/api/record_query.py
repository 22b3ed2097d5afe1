"""Record query: the filters, order and page of a list of custom objects.

(Server documentation: Custom objects API, Retrieve objects.)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from connectycube._containers import AnyDict

from ..domain.api_error import ApiError
from ..domain.record_filters import Condition, conditions_of
from ..domain.values import flag, number_in, words
from .fields import count_of

__all__ = ["MOST_ITEMS", "Filter", "RecordQuery", "criteria_of", "filters_of"]

MOST_ITEMS = 100
_LAST = -1
"""The limit that asks for the last record alone."""
_FILTER = re.compile(r"(\w+)(?:\[(\w+)\])?(?:\[\])?", re.ASCII)
_OUTPUTS = ("output[include]", "output[exclude]")
_OPTIONS = ("limit", "skip", "count", "sort_asc", "sort_desc", "permissions", "group_by", *_OUTPUTS)
_CALCULATION = re.compile(r"(\w+)\[calc\]", re.ASCII)
_CALCULATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "min": min,
    "max": max,
    "sum": sum,
}

Record = dict[str, Any]
Filter = tuple[str, str, Any]
"""A field, an operator and the operand."""


def filters_of(parameters: Sequence[tuple[str, str]]) -> list[Filter]:
    """Read ``field=value`` and ``field[operator]=value``; values of one name are a list with commas."""
    filters: dict[tuple[str, str], list[str]] = {}
    for name, value in parameters:
        if name in _OPTIONS or _CALCULATION.fullmatch(name):
            continue
        found = _FILTER.fullmatch(name)
        if found is None or found[1] == "output":
            raise ApiError.invalid(name, "is not a filter that the emulator knows")
        filters.setdefault((found[1], found[2] or "eq"), []).append(value)
    return [(field, operator, ",".join(values)) for (field, operator), values in filters.items()]


def criteria_of(criteria: Mapping[str, Any]) -> list[Filter]:
    """Read ``{field: value}`` and ``{field: {operator: value}}``."""
    filters: list[Filter] = []
    for field, wanted in criteria.items():
        operators = wanted if isinstance(wanted, AnyDict) else {"eq": wanted}
        filters += [(field, operator, value) for operator, value in operators.items()]
    return filters


@frozen(kw_only=True)
class Aggregation:
    """Groups of records by the value of a field, and the values that are calculated for each group."""

    group_by: str
    calculations: Mapping[str, str]
    """The operator by field."""

    @classmethod
    def parse(cls, parameters: Sequence[tuple[str, str]]) -> Aggregation | None:
        """Read ``field[calc]=operator`` and ``group_by=field``, which need each other."""
        group_by = dict(parameters).get("group_by")
        calculations = {
            found[1]: value
            for name, value in parameters
            if (found := _CALCULATION.fullmatch(name)) is not None
        }
        for field, operator in calculations.items():
            if operator not in _CALCULATIONS:
                raise ApiError.invalid(f"{field}[calc]", f"must be {' or '.join(_CALCULATIONS)}")
        if bool(group_by) != bool(calculations):
            raise ApiError(422, "group_by=field and field[calc]=operator need each other")
        return cls(group_by=group_by, calculations=calculations) if group_by else None

    def of(self, records: Sequence[Record]) -> list[Record]:
        """Return an item for each group, in the order of the group's value. (The form is inferred.)"""
        groups: dict[str, list[Record]] = {}
        for record in records:
            groups.setdefault(json.dumps(record.get(self.group_by)), []).append(record)
        items = [
            {
                self.group_by: group[0].get(self.group_by),
                **{
                    field: _calculate(operator, [record.get(field) for record in group])
                    for field, operator in self.calculations.items()
                },
            }
            for group in groups.values()
        ]
        return sorted(items, key=lambda item: _sort_key(item[self.group_by]))


def _calculate(operator: str, values: Sequence[Any]) -> float | None:
    numbers = [number for number in map(number_in, values) if number is not None]
    try:
        result = _CALCULATIONS[operator](numbers) if numbers else None
    except OverflowError:
        return None
    return result if result is not None and math.isfinite(result) else None


@frozen(kw_only=True)
class RecordQuery:
    """The query of a list of records; ``order`` is a field, and whether the largest value is first.

    ``include`` are the fields of the answer, all if it is empty; the fields in ``exclude`` are left out.
    """

    condition: Condition
    aggregation: Aggregation | None
    include: Sequence[str]
    exclude: Sequence[str]
    order: tuple[str, bool] | None
    limit: int
    skip: int
    count: bool

    @classmethod
    def parse(cls, parameters: Sequence[tuple[str, str]]) -> RecordQuery:
        """Read the parameters of a list."""
        options = {name: value for name, value in parameters if name in _OPTIONS}
        orders = {"sort_asc": False, "sort_desc": True}
        order = next(((options[name], orders[name]) for name in orders if name in options), None)
        is_last = options.get("limit") == str(_LAST)
        return cls(
            condition=conditions_of(filters_of(parameters)),
            aggregation=Aggregation.parse(parameters),
            include=words(options.get("output[include]")),
            exclude=words(options.get("output[exclude]")),
            order=order,
            limit=_LAST if is_last else count_of(options, "limit", MOST_ITEMS),
            skip=count_of(options, "skip", 0),
            count=flag(options.get("count")),
        )

    def find(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that fulfil the condition, or the groups of them."""
        found = [record for record in records if self.condition(record)]
        return found if self.aggregation is None else self.aggregation.of(found)

    def output(self, record: Record) -> Record:
        """Return the fields of an item that the answer has; the id of a record is always there."""
        return {
            name: value
            for name, value in record.items()
            if name == "_id" or (name not in self.exclude and name in (self.include or record))
        }

    def page(self, records: list[Record]) -> list[Record]:
        """Sort records and return those of the page."""
        if self.order is not None:
            field, descending = self.order
            records = sorted(
                records, key=lambda record: _sort_key(record.get(field)), reverse=descending
            )
        rest = records[self.skip :]
        return rest[-1:] if self.limit == _LAST else rest[: min(self.limit, MOST_ITEMS)]


def _sort_key(value: Any) -> tuple[int, float, str]:
    # Records without a value first, then numbers, then text.
    if value is None:
        return 0, 0.0, ""
    number = int(value) if isinstance(value, bool) else number_in(value)
    if number is not None:
        return 1, number, ""
    return 2, 0.0, str(value)
