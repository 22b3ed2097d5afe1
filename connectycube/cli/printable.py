"""Texts and dates of other people, as a terminal may get them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

__all__ = ["json_line", "local_time", "one_line", "printable"]

_JOINERS = "\u200c\u200d"  # emoji, Persian and Indian scripts are written with them


# What ends a line for some readers, steers a terminal, or is no character.
_ESCAPED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_line(data: Any) -> str:
    """Return JSON on one line, whatever a reader takes for the end of one."""
    text = json.dumps(data, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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


def local_time(at: datetime | None, pattern: str) -> str:
    """Return a date in the time zone of this machine, or as it is if that zone does not reach so far.

    The first and the last day of the calendar may have no local time, and on Windows no date before 1970 has
    one. None is an empty text.
    """
    if at is None:
        return ""
    try:
        at = at.astimezone()
    except (OSError, OverflowError, ValueError):
        pass
    return at.strftime(pattern)
