"""Values: how the loosely typed values of JSON bodies, forms and queries are read."""

from __future__ import annotations

import re
from typing import Any, cast

from connectycube._containers import AnyList

__all__ = [
    "LARGEST_INTEGER",
    "as_list",
    "column_number",
    "flag",
    "integer",
    "natural",
    "number_in",
    "whole_number",
    "words",
    "yes_or_no",
]

LARGEST_INTEGER = 2**63 - 1
"""The largest integer that a column of SQLite holds."""

_MOST_DIGITS = len(str(LARGEST_INTEGER))
# Shorter than the 24 digits of an id, which is no number.
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def words(value: Any) -> list[str]:
    """Read a list, or one string with commas, as strings without blanks around them; None as no words."""
    if value is None:
        return []
    parts = value if isinstance(value, AnyList) else str(value).split(",")
    return [text for text in (str(part).strip() for part in parts) if text]


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, None as an empty list, and any other value as a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, AnyList) else [value]


def flag(value: Any) -> bool:
    """Read a boolean as JSON or a form writes it; any other value is false."""
    return value in (1, "1", True, "true")


def yes_or_no(text: str) -> bool:
    """Read a boolean as the command line writes it; raise ValueError for any other text."""
    if text not in ("yes", "no"):
        raise ValueError("it must be yes or no")
    return text == "yes"


def whole_number(value: Any) -> int | None:
    """Read a whole number of any size that may be a string; None for any other value."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def column_number(value: Any) -> int | None:
    """Read a whole number that a column holds and that may be a string; None for any other value."""
    number = whole_number(value)
    return number if number is not None and abs(number) <= LARGEST_INTEGER else None


def integer(text: str) -> int:
    """Read a whole number that a column holds; raise ValueError for any other text."""
    number = int(text)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError("out of range")
    return number


def natural(text: str) -> int | None:
    """Read a whole number that is written with ASCII digits alone and fits a column; None for other text."""
    # The length comes first: Python refuses to read thousands of digits.
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        return None
    number = int(text)
    return number if number <= LARGEST_INTEGER else None


def number_in(value: Any) -> int | float | None:
    """Return a number, also one that is written as text; None for any other value."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value) if "." in value else int(value)
    return cast("int | float", value) if type(value) in (int, float) else None
