"""Checks and escapes text that is written as XML. (XML 1.0; RFC 6120, section 11.)"""

from __future__ import annotations

from ..._xml import check_name, check_text, clean

__all__ = ["attribute", "check_name", "check_text", "clean", "text"]

# Parsers turn a literal CR into LF, and each white space character in an attribute into a space.


def text(value: str) -> str:
    """Escape checked text for use between tags."""
    if "&" in value or "<" in value or ">" in value or "\r" in value:
        # The ampersand first, as each escape brings one.
        value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        value = value.replace("\r", "&#13;")
    return value


def attribute(value: str) -> str:
    """Escape checked text for use in a double-quoted attribute."""
    value = text(value)
    if '"' in value or "\n" in value or "\t" in value:
        value = value.replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return value
