"""What XML can carry: the characters of a text and the names of elements. (XML 1.0.)

The chat writes XML, and the service makes XML of what REST stores and delivers to the chat.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from .errors import ArgumentTypeError, ArgumentValueError

__all__ = ["check_name", "check_text", "clean", "is_name"]

# The characters that are not in XML 1.0's Char production: no parser accepts them, escaped or not. Written
# as the complement of Char, the same set takes ten times as long to compile, 3 ms of each import.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ASCII_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*\Z")
_DECLARATION = "xmlns"
_MARKUP = re.compile(r"[\s<>/&:='\"!?\x00]")


def check_text(name: str, value: object, *, remedy: str = "") -> str:
    """Return ``value`` if it is a string that XML can carry.

    Raises ArgumentTypeError or ArgumentValueError that names the argument ``name``, the first
    forbidden character and its position; ``remedy`` ends its message.
    """
    if type(value) is str and value.isprintable():
        return value  # as most are: XML forbids no printable character, and this costs a third
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
    """Return ``value`` if it :func:`is_name`; else raise an error that names the argument ``name``."""
    if type(value) is str and value.isascii() and value.isidentifier() and value != _DECLARATION:
        return value  # as most are: the identifiers of ASCII are names of XML
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must have string keys, not {type(value).__name__}")
    if value == _DECLARATION:
        raise ArgumentValueError(
            f"{name} has the key {value!r}, which declares a namespace in XML: give it another name"
        )
    if not is_name(value):
        raise ArgumentValueError(f"{name} has the key {value!r}, which is not an XML name")
    return value


def is_name(value: str) -> bool:
    """Tell whether ``value`` can name an element or an attribute without a namespace prefix (NCName).

    "xmlns" cannot: as an attribute it puts its element into another namespace, or ends the stream.
    """
    if value == _DECLARATION:
        return False
    return _ASCII_NAME.match(value) is not None or _is_unicode_name(value)


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
