"""Texts of other people, as a terminal may get them."""

from __future__ import annotations

__all__ = ["one_line", "printable"]

_JOINERS = "\u200c\u200d"  # emoji, Persian and Indian scripts are written with them


def printable(text: str) -> str:
    """Escape what would steer the terminal or end the line."""
    return "".join(
        each
        if each.isprintable() or each in _JOINERS
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def one_line(text: str, longest: int = 500) -> str:
    """Return a text on one line, cut at so many characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
