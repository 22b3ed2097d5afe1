"""Checks and escapes text that is written as XML. (XML 1.0; RFC 6120, section 11.)"""

from __future__ import annotations

import re

from ..._xml import check_name, check_text, clean

__all__ = ["attribute", "check_name", "check_text", "clean", "text"]

_TEXT_SPECIAL = re.compile("[&<>\r]")
_ATTRIBUTE_SPECIAL = re.compile('[&<>"\r\n\t]')
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    # Parsers turn a literal CR into LF, and each white space character in an attribute into a space.
    "\r": "&#13;",
    "\n": "&#10;",
    "\t": "&#9;",
}


def text(value: str) -> str:
    """Escape checked text for use between tags."""
    return _TEXT_SPECIAL.sub(_escape, value)


def attribute(value: str) -> str:
    """Escape checked text for use in a double-quoted attribute."""
    return _ATTRIBUTE_SPECIAL.sub(_escape, value)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES[found.group()]
