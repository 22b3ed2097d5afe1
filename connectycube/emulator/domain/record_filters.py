"""Filters of records: operators such as eq, gt, in and ctn. (Server documentation: Custom objects API.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .api_error import ApiError
from .values import as_list

__all__ = ["Condition", "conditions_of"]

Condition = Callable[[Mapping[str, Any]], bool]


def conditions_of(filters: Sequence[tuple[str, str, Any]]) -> Condition:
    """Return the condition that all of (field, operator, value) are fulfilled."""
    tests = [_condition(field, operator, value) for field, operator, value in filters]
    return lambda record: all(test(record) for test in tests)


def _condition(field: str, operator: str, value: Any) -> Condition:
    if operator not in _OPERATORS:
        raise ApiError.invalid(field, f"has an unknown operator: {operator}")
    many = operator in ("in", "nin", "all", "or")
    operand = value.split(",") if many and isinstance(value, str) else value
    holds = _OPERATORS[operator]
    return lambda record: holds(record.get(field), as_list(operand) if many else operand)


def _same(one: Any, other: Any) -> bool:
    # a query holds text only, and the type of a field is not known
    if isinstance(one, list):
        return any(_same(each, other) for each in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    return one == other or (one is not None and str(one) == str(other))


def _compare(holds: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def test(one: Any, other: Any) -> bool:
        try:
            return holds(float(one), float(other))
        except (TypeError, ValueError, OverflowError):
            return False

    return test


def _any(one: Any, others: list[Any]) -> bool:
    return any(_same(one, each) for each in others)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda one, other: not _same(one, other),
    "gt": _compare(lambda one, other: one > other),
    "lt": _compare(lambda one, other: one < other),
    "gte": _compare(lambda one, other: one >= other),
    "lte": _compare(lambda one, other: one <= other),
    "in": _any,
    "or": _any,
    "nin": lambda one, others: not _any(one, others),
    "all": lambda one, others: all(_same(one, each) for each in others),
    "ctn": lambda one, other: isinstance(one, str) and str(other) in one,
}
