"""Record query: the filters, order and page of a list of custom objects.

(Server documentation: Custom objects API, Retrieve objects.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from ..domain.api_error import ApiError
from ..domain.record_filters import Condition, conditions_of
from ..domain.values import flag
from .fields import count_of

__all__ = ["MOST_ITEMS", "Filter", "RecordQuery", "criteria_of", "filters_of"]

MOST_ITEMS = 100
_LAST = -1
"""The limit that asks for the last record alone."""
_FILTER = re.compile(r"(\w+)(?:\[(\w+)\])?(?:\[\])?", re.ASCII)
_OPTIONS = ("limit", "skip", "count", "sort_asc", "sort_desc", "permissions")
_NOT_IMPLEMENTED = ("output", "near", "calc", "group_by")

Record = dict[str, Any]
Filter = tuple[str, str, Any]
"""A field, an operator and the operand."""


def filters_of(parameters: Sequence[tuple[str, str]]) -> list[Filter]:
    """Read ``field=value`` and ``field[operator]=value``; values of one name are a list with commas."""
    filters: dict[tuple[str, str], list[str]] = {}
    for name, value in parameters:
        if name in _OPTIONS:
            continue
        found = _FILTER.fullmatch(name)
        if found is None or found[1] in _NOT_IMPLEMENTED or found[2] in _NOT_IMPLEMENTED:
            raise ApiError.invalid(name, "is not a filter that the emulator knows")
        filters.setdefault((found[1], found[2] or "eq"), []).append(value)
    return [(field, operator, ",".join(values)) for (field, operator), values in filters.items()]


def criteria_of(criteria: Mapping[str, Any]) -> list[Filter]:
    """Read ``{field: value}`` and ``{field: {operator: value}}``."""
    filters: list[Filter] = []
    for field, wanted in criteria.items():
        operators = wanted if isinstance(wanted, dict) else {"eq": wanted}
        filters += [(field, operator, value) for operator, value in operators.items()]
    return filters


@frozen(kw_only=True)
class RecordQuery:
    """What a list of records asks for; ``order`` is a field and whether the largest value is first."""

    condition: Condition
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
            order=order,
            limit=_LAST if is_last else count_of(options, "limit", MOST_ITEMS),
            skip=count_of(options, "skip", 0),
            count=flag(options.get("count")),
        )

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
    # nothing first, then numbers, then text
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, value, ""
    return 2, 0.0, str(value)
