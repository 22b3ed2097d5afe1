"""The values that a program may give, as types: custom parameters of messages, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["CustomValue", "JsonValue"]

CustomValue: TypeAlias = "str | int | float | bool | Mapping[str, CustomValue]"
"""A custom parameter of a message; a mapping is written as nested elements."""

JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
"""What JSON can carry; of sequences lists and tuples."""
