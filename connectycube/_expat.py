"""Prepares the bytes of a stream for expat: whole tags only, and no long namespaces.

Older releases of expat scan an incomplete tag from its beginning whenever more of the tag arrives. A tag in
many small pieces costs them quadratic time. Since version 2.6 (and, by a security update, in Debian 12's 2.5)
expat waits for much more data before the next scan, so a complete stanza would stay unreported while no data
follows it. Expat therefore never gets the beginning of a tag without its end.
"""

from __future__ import annotations

import re

__all__ = ["LONGEST_NAMESPACE", "WHOLE_TAG", "TagBuffer", "first_tag"]

LONGEST_NAMESPACE = 256
"""Bytes; a longer namespace is cut to this length."""

_NEVER = rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\xc0\xc1\xf5-\xff]|\xef\xbf[\xbe\xbf]"  # in no XML
_TEXT, _TAG_STATE = "text", "tag"
_OPENINGS = {b"<![CDATA[": "section", b"<!--": "comment", b"<?": "target"}
"""The beginnings of markup other than tags, and the state that each begins."""
_STATES: dict[str, tuple[re.Pattern[bytes], dict[bytes, str]]] = {
    _TAG_STATE: (
        re.compile(rb"[\"'<>]" + _NEVER),
        {b">": _TEXT, b"'": "apostrophe", b'"': "quote"},
    ),
    "apostrophe": (re.compile(rb"['<]" + _NEVER), {b"'": _TAG_STATE}),
    "quote": (re.compile(rb'["<]' + _NEVER), {b'"': _TAG_STATE}),
    "section": (re.compile(rb"\]\]>" + _NEVER), {b"]]>": _TEXT}),
    "comment": (re.compile(rb"--(?:>|(?=[^>]))" + _NEVER), {b"-->": _TEXT}),
    "target": (
        re.compile(rb"(?<!<\?)(?=[ \t\r\n?])|[^-.0-9:A-Z_a-z\x80-\xff]"),
        {b"": "instruction"},
    ),
    "instruction": (re.compile(rb"\?>" + _NEVER), {b"?>": _TEXT}),
}
"""By state: the pattern to look for, and the next state by the match; a match without one is bad XML."""
_OVERLAP = 2  # bytes at the end of the data that may be the beginning of a match

_TEXTS_AND_TAGS = re.compile(rb"""(?:[^<]*<(?![!?])[^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>)*""")
_LONGEST_REFERENCE = 64  # bytes; a longer one is no reference that XMPP allows

# An attribute begins behind white space, and so does the search: from each place in a long word it would read
# on to the end of the word, in quadratic time.
_MAY_BE_LONG = re.compile(
    rb"xmlns(?<=\sxmlns)[^\s=]*\s*=\s*(?:\"[^\"]{%(n)d}|'[^']{%(n)d})"
    % {b"n": LONGEST_NAMESPACE + 1}
)
WHOLE_TAG = re.compile(rb"""<[^<>"'!?]*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>""")
"""A start tag, an end tag or an empty element, from its first to its last byte."""
_SECTION_OR_TAG = re.compile(rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->|" + WHOLE_TAG.pattern, re.DOTALL)
_BAD_VALUE = re.compile(rb"<" + _NEVER)
_ATTRIBUTE = re.compile(rb"""(?<=\s)([^\s=<>"'/]+\s*=\s*)("[^"]*"|'[^']*')""")


def first_tag(data: bytes) -> bytes:
    """Return the whole tag with which ``data`` begins."""
    found = WHOLE_TAG.match(data)
    assert found is not None
    return found[0]


def _has_sections(data: bytes | bytearray, start: int) -> bool:
    """Whether there may be comments or sections. If not, the last "<" begins a tag, as no tag holds one."""
    return data.find(b"<!", start) >= 0 or data.find(b"<?", start) >= 0


def _shorten_namespaces(data: bytes) -> bytes:
    """Return whole tags with each namespace cut to ``LONGEST_NAMESPACE`` bytes, and spaces for the rest.

    Expat and Python put the namespace before each name of an element or attribute, so a stanza with one long
    namespace and many names would need thousands of times its own size. No element with such a namespace
    means anything. The length stays the same, and with it the position of each byte.
    """
    return _SECTION_OR_TAG.sub(_shorten_in, data)


def _shorten_in(tag: re.Match[bytes]) -> bytes:
    return tag[0] if tag[0].startswith(b"<!") else _ATTRIBUTE.sub(_shorten, tag[0])


def _shorten(attribute: re.Match[bytes]) -> bytes:
    name, value = attribute.groups()
    if not name.startswith(b"xmlns") or len(value) <= LONGEST_NAMESPACE + 2:
        return attribute[0]
    if _BAD_VALUE.search(value):
        return attribute[
            0
        ]  # bad XML stays bad: in two pieces the tag would have gone to expat as it is
    # Between ASCII characters, as the cut must not be in the middle of another one or of a reference.
    kept = re.sub(rb"[^!-%'-~].*", b"", value[1 : LONGEST_NAMESPACE + 1], flags=re.DOTALL)
    short = value[:1] + (kept or b"urn:") + value[:1]
    return name + short.ljust(len(value))


class TagBuffer:
    """Holds back the incomplete tag at the end of the data, or the text whose end has not arrived yet.

    To find the end of a tag it knows quotes, CDATA sections, comments and processing instructions. Behind bad
    XML, such as a "<" inside a tag, it holds nothing back, and the parser reports the error.
    """

    def __init__(self) -> None:
        self.held = bytearray()
        """The bytes that are held back."""
        self._position = 0  # the end of the data that was searched
        self._whole = 0  # the end of the data that holds whole tags and texts only
        self._state = _TEXT  # the state at _position
        self._passes = False  # whether bad XML was found: no more data is held back

    @property
    def is_between_tags(self) -> bool:
        """Whether nothing is held back, and what follows begins between tags."""
        return not self.held and self._state == _TEXT and not self._passes

    def take(self, data: bytes) -> bytes:
        """Add ``data``; return, once, all data up to the incomplete tag or text at its end.

        Namespaces in it are shortened: see :func:`_shorten_namespaces`.
        """
        # Nearly all data is whole: it begins and ends between tags. This is the short way for it.
        is_whole = (
            self._state == _TEXT
            and not self.held
            and data.endswith(b">")
            and not _has_sections(data, 0)
            and WHOLE_TAG.fullmatch(data, data.rfind(b"<"))
        )
        if not is_whole:
            data = self._take(data)
        return _shorten_namespaces(data) if _MAY_BE_LONG.search(data) else data

    def _take(self, data: bytes) -> bytes:
        self.held += data
        self._whole = 0
        while not self._passes and self._step():
            pass
        return self._cut(len(self.held) if self._passes else self._whole)

    def take_text(self) -> bytes:
        """Return the text behind the last whole tag, up to an incomplete reference, if no tag has begun."""
        if self._state != _TEXT or b"<" in self.held:
            return b""
        reference = self.held.rfind(b"&", max(0, len(self.held) - _LONGEST_REFERENCE))
        is_open = reference >= 0 and b";" not in self.held[reference:]
        return self._cut(reference if is_open else len(self.held))

    def _skip_whole_tags(self) -> bool:
        """Skip all ordinary tags, which are nearly all data, in one step; return whether there were any."""
        before = self._position
        if _has_sections(self.held, before):
            found = _TEXTS_AND_TAGS.match(self.held, before)
            assert found is not None  # the pattern also matches the empty text
            self._position = found.end()
        elif (last := self.held.rfind(b"<", before)) >= 0:
            tag = WHOLE_TAG.match(self.held, last)
            self._position = last if tag is None else tag.end()
        if self._position == before:
            return False
        self._whole = self._position
        return True

    def _cut(self, end: int) -> bytes:
        taken = bytes(self.held[:end])
        del self.held[:end]
        self._position = max(0, self._position - end)
        return taken

    def _step(self) -> bool:
        """Go to the end of the current text, tag, quotation or section; False if that is not there yet."""
        if self._state == _TEXT:
            return self._skip_whole_tags() or self._begin_tag()
        pattern, following = _STATES[self._state]
        found = pattern.search(self.held, self._position)
        if found is None:
            self._position = max(self._position, len(self.held) - _OVERLAP)
            return False
        self._position = found.end()
        self._passes = found[0] not in following
        self._state = following.get(found[0], _TEXT)
        if self._state == _TEXT:
            self._whole = self._position
        return True

    def _begin_tag(self) -> bool:
        start = self.held.find(b"<", self._position)
        self._position = start if start >= 0 else len(self.held)
        if start < 0:
            return False
        self._whole = start
        rest = bytes(self.held[start : start + max(map(len, _OPENINGS))])
        for opening, state in _OPENINGS.items():
            if rest.startswith(opening):
                self._position += len(opening)
                self._state = state
                return True
            if opening.startswith(rest):
                return False  # the data ends before it shows whether this is a section
        self._position += 1
        self._state = _TAG_STATE
        return True
