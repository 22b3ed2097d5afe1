"""Feeding expat so that it reports each element as soon as its last byte is there.

Since version 2.6 (and, by a security update, in Debian 12's 2.5) expat does not look again at a tag
that was incomplete until much more data has come: a complete stanza may stay unreported for as long
as nothing follows it. Newer Pythons can switch that off. Where one cannot and its expat does so, expat is
never shown an incomplete tag: what is not complete is held back here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from xml.parsers.expat import ParserCreate, XMLParserType

__all__ = ["EagerFeeder", "TagBuffer"]

_TEXTS_AND_TAGS = re.compile(rb"""(?:[^<]*<(?![!?])[^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>)*""")
_QUOTE_OR_END = re.compile(rb"[\"'<>]")
_SECTIONS = {b"<![CDATA[": b"]]>", b"<!--": b"-->", b"<?": b"?>"}
"""What is no tag: how it begins, and what ends it."""


class EagerFeeder:
    """Gives a parser its data; ``between_elements()`` says whether what follows is no element's content.

    Between elements text is passed on at once, so that white space which keeps a connection alive is
    not held back for ever.
    """

    def __init__(self, parser: XMLParserType, between_elements: Callable[[], bool]) -> None:
        self._parser = parser
        self._between_elements = between_elements
        self._tags: TagBuffer | None = None
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)
        elif _is_lazy():
            self.hold_back()

    def hold_back(self) -> None:
        """Show the parser whole tags only, whatever it can do itself."""
        self._tags = TagBuffer()

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return self._tags.held if self._tags is not None else 0

    def feed(self, data: bytes) -> None:
        """Parse what ``data`` completes; raises what the parser and its handlers raise."""
        if self._tags is None:
            self._parser.Parse(data, False)
            return
        self._parser.Parse(self._tags.take(data), False)
        if self._between_elements():
            self._parser.Parse(self._tags.take_text(), False)


@functools.cache
def _is_lazy() -> bool:
    """Whether expat, left alone, does not look again at a tag whose end has come.

    Tried, because its version does not tell: distributions bring the change to older ones.
    """
    reported: list[str] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, attributes: reported.append(name)
    for piece in (b"<stream>", b"<an-incomplete-tag", b">"):
        parser.Parse(piece, False)
    return len(reported) < 2


class TagBuffer:
    """Holds back the unfinished tag at the end of the data so far, and the text before it.

    It knows just enough of XML to tell where a tag ends: quotes, CDATA sections, comments and
    processing instructions. From what no tag can be on it holds nothing back: that is for the parser to
    refuse.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._position = 0  # up to where the data was looked at
        self._until: bytes | None = b"<"  # what ends the part at the position; None: see _tag_step
        self._passes = False

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._data)

    def take(self, data: bytes) -> bytes:
        """Add ``data``; return, once, everything up to the end of the last whole tag."""
        self._data += data
        complete = 0
        while not self._passes:
            before = self._position
            ended = self._tag_step() if self._until is None else self._step(self._until)
            if ended:
                complete = self._position
            elif self._position == before or self._position >= len(self._data):
                break
        return self._cut(len(self._data) if self._passes else complete)

    def take_text(self) -> bytes:
        """Return the text that is held back behind the last whole tag, if no tag has begun."""
        if self._until != b"<" or b"<" in self._data:
            return b""
        reference = self._data.rfind(b"&")
        is_open = reference >= 0 and b";" not in self._data[reference:]
        return self._cut(reference if is_open else len(self._data))

    def _skip_whole_tags(self) -> bool:
        """Pass the ordinary tags, which are nearly all there is, at once; whether there were any."""
        found = _TEXTS_AND_TAGS.match(self._data, self._position)
        assert found is not None  # it matches nothing as well
        before, self._position = self._position, found.end()
        return self._position > before

    def _cut(self, end: int) -> bytes:
        taken = bytes(self._data[:end])
        del self._data[:end]
        self._position = max(0, self._position - end)
        return taken

    def _step(self, until: bytes) -> bool:
        """Look for the end of a text, a quotation or a section; whether something whole ends there."""
        if until == b"<" and self._skip_whole_tags():
            return True
        found = self._data.find(until, self._position)
        if found < 0:
            self._position = max(self._position, len(self._data) - len(until) + 1)
            return False
        if until == b"<":
            self._begin_tag(found)
            return False
        self._position = found + len(until)
        whole = until in _SECTIONS.values()
        self._until = b"<" if whole else None
        return whole

    def _begin_tag(self, start: int) -> None:
        self._position = start
        rest = bytes(self._data[start : start + max(map(len, _SECTIONS))])
        for opening, closing in _SECTIONS.items():
            if rest.startswith(opening):
                self._position += len(opening)
                self._until = closing
                return
            if opening.startswith(rest):
                return  # too little is there to tell
        self._position += 1
        self._until = None

    def _tag_step(self) -> bool:
        """Inside a tag: look for its end or for a quotation; whether the tag ends there."""
        found = _QUOTE_OR_END.search(self._data, self._position)
        if found is None:
            self._position = len(self._data)
            return False
        self._position = found.end()
        if found.group() == b"<":
            self._passes = True
            return False
        ends = found.group() == b">"
        self._until = b"<" if ends else found.group()
        return ends
