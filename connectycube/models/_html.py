"""Models as tables of HTML, for notebooks. All text is escaped: other people wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import attrs

from .._containers import AnyMapping, AnyTuple

__all__ = ["html_table"]

_LONGEST = 200  # characters of a cell


def html_table(items: Sequence[Any], caption: str) -> str:
    """Return a table with a row for each model, and a column for each field that says something."""
    names = [
        entry.name
        for entry in (
            attrs.fields(items[0].__class__) if items and attrs.has(items[0].__class__) else ()
        )
        if any(_says_something(getattr(item, entry.name, None)) for item in items)
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr>{''.join(_cell(getattr(item, name, None)) for name in names)}</tr>" for item in items
    )
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _says_something(value: Any) -> bool:
    # Mappings and models would need tables of their own.
    is_nested = isinstance(value, AnyMapping) or attrs.has(value.__class__)
    return value not in (None, "", (), False) and not is_nested


def _cell(value: Any) -> str:
    if not _says_something(value):
        return "<td></td>"
    text = ", ".join(map(str, value)) if isinstance(value, AnyTuple) else str(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"<td>{escape(shown)}</td>"
