"""Filters of records: operators such as eq, gt, in and ctn. (Server documentation: Custom objects API.)"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectycube._containers import AnyList

from .api_error import ApiError
from .values import as_list

__all__ = ["Condition", "conditions_of"]

_EARTH_RADIUS = 6_371_000.0  # meters

Condition = Callable[[Mapping[str, Any]], bool]


def conditions_of(filters: Sequence[tuple[str, str, Any]]) -> Condition:
    """Return the condition that all of (field, operator, value) are fulfilled."""
    tests = [_condition(field, operator, value) for field, operator, value in filters]
    return lambda record: all(test(record) for test in tests)


def _condition(field: str, operator: str, value: Any) -> Condition:
    if operator == "near":
        return _near(field, value)
    if operator not in _OPERATORS:
        raise ApiError.invalid(field, f"has an unknown operator: {operator}")
    operand = value
    if operator in ("in", "nin", "all", "or"):
        operand = value.split(",") if isinstance(value, str) else as_list(value)
    holds = _OPERATORS[operator]
    return lambda record: holds(record.get(field), operand)


def _near(field: str, value: Any) -> Condition:
    """Return the condition that a location is within a radius: ``longitude,latitude;radius`` in meters."""
    center, _, radius = str(value).partition(";")
    place, meters = _location(center), _number(radius)
    if place is None or meters is None or meters < 0:
        raise ApiError.invalid(field, f"near must be longitude,latitude;radius, not {value}")

    def holds(record: Mapping[str, Any]) -> bool:
        found = _location(record.get(field))
        return found is not None and _meters(place, found) <= meters

    return holds


def _location(value: Any) -> tuple[float, float] | None:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, AnyList) or len(parts) != 2:
        return None
    longitude, latitude = map(_number, parts)
    if longitude is None or latitude is None or abs(longitude) > 180 or abs(latitude) > 90:
        return None
    return longitude, latitude


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _meters(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of two places on a sphere, by the haversine formula."""
    (west, south), (east, north) = (map(math.radians, place) for place in (one, other))
    half_chord = (
        math.sin((north - south) / 2) ** 2
        + math.cos(south) * math.cos(north) * math.sin((east - west) / 2) ** 2
    )
    return 2 * _EARTH_RADIUS * math.asin(min(1.0, math.sqrt(half_chord)))


def _same(one: Any, other: Any) -> bool:
    # As text, because a query holds only text, and the type of a field is not known.
    if isinstance(one, AnyList):
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
