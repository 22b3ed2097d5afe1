"""Checks and escapes text that is written as XML. (XML 1.0; RFC 6120, section 11.)"""

from __future__ import annotations

import re
from xml.parsers import expat

from ...errors import ArgumentTypeError, ArgumentValueError

__all__ = ["attribute", "check_name", "check_text", "clean", "text"]

# The complement of XML 1.0's Char production. No parser accepts these characters, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
_ASCII_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*\Z")
_MARKUP = re.compile(r"[\s<>/&:='\"!?\x00]")


def check_text(name: str, value: object, *, remedy: str = "") -> str:
    """Return ``value`` if it is a string that XML can carry.

    Raises ArgumentTypeError or ArgumentValueError that names the argument ``name``, the first
    forbidden character and its position; ``remedy`` ends its message.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a string, not {type(value).__name__}")
    found = _FORBIDDEN.search(value)
    if found:
        raise ArgumentValueError(
            f"{name} holds U+{ord(found.group()):04X} at position {found.start()}, which XML forbids"
            f"{remedy}"
        )
    return value


def clean(value: str) -> str:
    """Replace every character that XML forbids by U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", value)


def check_name(name: str, value: object) -> str:
    """Return ``value`` if it can be the name of an element without a namespace prefix (NCName)."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must have string keys, not {type(value).__name__}")
    if not _ASCII_NAME.match(value) and not _is_unicode_name(value):
        raise ArgumentValueError(f"{name} has the key {value!r}, which is not an XML name")
    return value


def _is_unicode_name(value: str) -> bool:
    # Parsers follow different editions of XML. So expat, which reads the streams of our peers, decides
    # instead of a table.
    if not value or value.isascii() or _MARKUP.search(value):
        return False
    try:
        expat.ParserCreate("UTF-8", " ").Parse(f"<{value}/>".encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True


def text(value: str) -> str:
    """Escape checked text for use between tags."""
    return _TEXT_SPECIAL.sub(_escape, value)


def attribute(value: str) -> str:
    """Escape checked text for use in a double-quoted attribute."""
    return _ATTRIBUTE_SPECIAL.sub(_escape, value)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES[found.group()]
