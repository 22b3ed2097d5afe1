"""Feeds expat so that it reports each element as soon as its last byte is there.

Since version 2.6 (and, by a security update, in Debian 12's 2.5) expat defers a tag that was incomplete: it
parses the tag again only after much more data. So a complete stanza stays unreported while no data follows
it. Newer Pythons can switch that off. If a Python cannot, expat gets whole tags only, and the incomplete tag
is held back here.
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
"""The beginnings and ends of markup that is no tag."""


class EagerFeeder:
    """Gives a parser its data; ``between_elements()`` says whether the parser is inside no stanza.

    There text is passed on at once, so that white space, which keeps a connection alive, is not held back.
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
        """Give the parser whole tags only, even if it defers none itself."""
        self._tags = TagBuffer()

    @property
    def held(self) -> int:
        """The number of bytes that are held back."""
        return self._tags.held if self._tags is not None else 0

    def feed(self, data: bytes) -> None:
        """Parse the tags that ``data`` completes; raises the errors of the parser and its handlers."""
        if self._tags is None:
            self._parser.Parse(data, False)
            return
        self._parser.Parse(self._tags.take(data), False)
        if self._between_elements():
            self._parser.Parse(self._tags.take_text(), False)


@functools.cache
def _is_lazy() -> bool:
    """Whether expat defers a tag that was incomplete.

    This is found by trial, because distributions bring the change to older versions.
    """
    reported: list[str] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, attributes: reported.append(name)
    for piece in (b"<stream>", b"<an-incomplete-tag", b">"):
        parser.Parse(piece, False)
    return len(reported) < 2


class TagBuffer:
    """Holds back the incomplete tag at the end of the data, and the text before it.

    To find the end of a tag it knows quotes, CDATA sections, comments and processing instructions. After a
    "<" inside a tag, which is no XML, it holds nothing back, and the parser refuses the data.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._position = 0  # the data before it was searched
        # The end of the current part. None means: inside a tag, where _tag_step looks for several ends.
        self._until: bytes | None = b"<"
        self._passes = False  # whether no more data is held back

    @property
    def held(self) -> int:
        """The number of bytes that are held back."""
        return len(self._data)

    def take(self, data: bytes) -> bytes:
        """Add ``data``; return, once, all data up to the end of the last whole tag."""
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
        """Return the text behind the last whole tag, without an incomplete reference, if no tag has begun."""
        if self._until != b"<" or b"<" in self._data:
            return b""
        reference = self._data.rfind(b"&")
        is_open = reference >= 0 and b";" not in self._data[reference:]
        return self._cut(reference if is_open else len(self._data))

    def _skip_whole_tags(self) -> bool:
        """Skip all ordinary tags, which are nearly all data, in one step; return whether there were any."""
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
        """Look for the end of a text, a quotation or a section; return whether a whole part ends there."""
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
                return  # the data ends before it shows whether this is a section
        self._position += 1
        self._until = None

    def _tag_step(self) -> bool:
        """Look, in a tag, for its end or for a quotation; return whether the tag ends there."""
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
