"""Fields: how a request's body is read; what is wrong is refused by the field's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.api_error import ApiError
from .query import integer

__all__ = ["flag", "identifier", "object_of", "one_of", "page", "text_of", "words"]

_MOST_PER_PAGE = 100
_PER_PAGE = 10


def object_of(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that must be an object."""
    value = body.get(name)
    if not isinstance(value, dict):
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


def words(value: Any) -> list[str]:
    """Read a list, or one string with commas, as strings without blanks around them."""
    parts = value if isinstance(value, list) else str(value).split(",")
    return [part for part in (str(part).strip() for part in parts) if part]


def flag(value: Any) -> bool:
    """Read a yes or no as JSON or a form writes it."""
    return value in (1, "1", True, "true")


def identifier(text: str, what: str) -> int:
    """Read a number in a path; a word there names nothing that exists."""
    try:
        if text.isascii() and text.isdigit():
            return integer(text)
    except ValueError:
        pass
    raise ApiError(404, f"{what} {text} does not exist")


def page(parameters: Mapping[str, str]) -> tuple[int, int]:
    """Return page (from 1) and per_page (1 to 100, 10 by default) of a list in the older style."""
    return (
        _count(parameters, "page", 1, most=2**31),
        _count(parameters, "per_page", _PER_PAGE, most=_MOST_PER_PAGE),
    )


def _count(parameters: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    value = parameters.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:12]) <= most:
        raise ApiError.invalid(name, f"must be a whole number from 1 to {most}")
    return int(value)
