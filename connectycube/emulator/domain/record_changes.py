"""Changes of records: plain values, and the operators inc, push, pull, pop and others.

(Server documentation: Custom objects API, Special update operators.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from typing import Any

from connectycube._containers import AnyDict, AnyList

from .api_error import ApiError
from .record_filters import conditions_of
from .values import as_list, natural

__all__ = ["changed_fields"]


def changed_fields(
    fields: Mapping[str, Any], body: Mapping[str, Any], reserved: Container[str]
) -> dict[str, Any]:
    """Return a record's fields after an update by plain values and operators; ``reserved`` names stay."""
    changed = dict(fields)
    for name, value in body.items():
        if name in reserved or name == "search_criteria":
            continue
        if name == "inc" and isinstance(value, AnyDict):
            for field, operand in value.items():
                changed[field] = _number(field, changed.get(field) or 0) + _number(field, operand)
        elif name in _LIST_CHANGES and isinstance(value, AnyDict):
            for field, operand in value.items():
                changed[field] = _LIST_CHANGES[name](as_list(changed.get(field)), operand)
        else:  # also a field that has the name of an operator
            changed[name] = _replaced(changed.get(name), value)
    return changed


def _replaced(before: Any, value: Any) -> Any:
    # {"0": x} replaces the first element of a list.
    if not isinstance(before, AnyList) or not isinstance(value, AnyDict):
        return value
    by_index = {natural(index): each for index, each in value.items()}
    if len(by_index) != len(value) or any(
        index is None or index >= len(before) for index in by_index
    ):
        raise ApiError(422, "An array is changed by the numbers of its elements")
    return [by_index.get(index, each) for index, each in enumerate(before)]


def _pull(items: list[Any], operand: Any) -> list[Any]:
    if isinstance(operand, AnyDict):  # a filter
        pulled = conditions_of([("element", name, value) for name, value in operand.items()])
        return [each for each in items if not pulled({"element": each})]
    return [each for each in items if each != operand]


def _pop(items: list[Any], operand: Any) -> list[Any]:
    return items[1:] if str(operand) == "-1" else items[:-1]


def _add_to_set(items: list[Any], operand: Any) -> list[Any]:
    for each in as_list(operand):
        if each not in items:
            items = [*items, each]
    return items


_LIST_CHANGES: dict[str, Callable[[list[Any], Any], list[Any]]] = {
    "push": lambda items, operand: [*items, *as_list(operand)],
    "pull": _pull,
    "pull_all": lambda items, operand: [each for each in items if each not in as_list(operand)],
    "pop": _pop,
    "add_to_set": _add_to_set,
}


def _number(field: str, value: Any) -> int | float:
    try:
        number = int(value) if str(value).lstrip("+-").isdigit() else float(value)
        if math.isfinite(number):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise ApiError.invalid(field, "is not a number")
