"""Fields: checks of the fields of a request. A refusal names the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectycube._containers import AnyDict

from ..domain.api_error import ApiError
from ..domain.values import LARGEST_INTEGER, natural

__all__ = ["count_of", "identifier", "object_of", "one_of", "page", "text_of"]

_MOST_PER_PAGE = 100
_PER_PAGE = 10


def object_of(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that must be an object."""
    value = body.get(name)
    if not isinstance(value, AnyDict):
        raise ApiError.invalid(name, "is required and must be an object")
    return value


def text_of(body: Mapping[str, Any], name: str, *, least: int = 1, most: int | None = None) -> str:
    """Return a field that must be a string with ``least`` to ``most`` characters."""
    value = body.get(name)
    if value is None or value == "":
        raise ApiError.invalid(name, "is required")
    if not isinstance(value, str):
        raise ApiError.invalid(name, "must be a string")
    if len(value) < least or (most is not None and len(value) > most):
        raise ApiError.invalid(name, f"must have {least} to {most} characters")
    return value


def one_of(body: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    """Return a field that must be one of a few words."""
    value = body.get(name)
    if value is None or value == "":
        raise ApiError.invalid(name, "is required")
    if value not in allowed:
        raise ApiError.invalid(name, f"must be {' or '.join(allowed)}")
    return str(value)


def identifier(text: str, what: str) -> int:
    """Read an id in a path; any other text is refused as the id of nothing that exists."""
    number = natural(text)
    if number is None:
        raise ApiError(404, f"{what} {text} does not exist")
    return number


def page(parameters: Mapping[str, str]) -> tuple[int, int]:
    """Return page (from 1) and per_page (1 to 100, 10 by default) of a list in the older style."""
    return (
        count_of(parameters, "page", 1, least=1, most=2**31),
        count_of(parameters, "per_page", _PER_PAGE, least=1, most=_MOST_PER_PAGE),
    )


def count_of(
    parameters: Mapping[str, str],
    name: str,
    default: int,
    *,
    least: int = 0,
    most: int = LARGEST_INTEGER,
) -> int:
    """Return a parameter that must be a whole number from ``least`` to ``most``; ``default`` without it."""
    value = parameters.get(name)
    if value is None:
        return default
    number = natural(value)
    if number is None or not least <= number <= most:
        bounds = f", {least} or more" if most == LARGEST_INTEGER else f" from {least} to {most}"
        raise ApiError.invalid(name, f"must be a whole number{bounds}")
    return number
