"""Checks and escapes text that is written as XML. (XML 1.0; RFC 6120, section 11.)"""

from __future__ import annotations

from ..._xml import check_name, check_text, clean

__all__ = ["attribute", "check_name", "check_text", "clean", "text"]

# Parsers turn a literal CR into LF, and each white space character in an attribute into a space.


def text(value: str) -> str:
    """Escape checked text for use between tags."""
    # The ampersand first, as each escape brings one. Where nothing is found, replace() is a search in C.
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace("\r", "&#13;")


def attribute(value: str) -> str:
    """Escape checked text for use in a double-quoted attribute."""
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    value = value.replace("\r", "&#13;").replace('"', "&quot;")
    return value.replace("\n", "&#10;").replace("\t", "&#9;")
