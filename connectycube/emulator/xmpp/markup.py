"""Markup: finds the ends of tags, comments and other markup in data that arrives in pieces.

It searches each byte once, whatever the sizes of the pieces, so a client cannot slow it down.
"""

from __future__ import annotations

import re

__all__ = ["MarkupBuffer"]

_OPENING = re.compile(rb"<")
_IN_TAG = re.compile(rb"""["'<>]""")
# A tag with a "<" in it is broken. It counts as complete, so that expat refuses it at once.
_QUOTED = {b'"': re.compile(rb'["<]'), b"'": re.compile(rb"['<]")}
_SECTIONS = {
    b"<!--": re.compile(rb"-->"),
    b"<![CDATA[": re.compile(rb"\]\]>"),
    b"<?": re.compile(rb"\?>"),
}
"""The beginnings of markup other than tags, and the patterns of their ends."""
_LONGEST_OPENING = max(map(len, _SECTIONS))
_LONGEST_END = 3


class MarkupBuffer:
    """Holds the text and the incomplete markup at the end of the data."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._markup: int = 0  # the end of the text in front of the incomplete markup
        self._position: int = 0  # the first byte that was not searched yet
        self._wanted = _OPENING  # the pattern to look for from there on

    def __len__(self) -> int:
        return len(self._data)

    def take(self, data: bytes) -> bytes:
        """Return the held bytes up to the end of the last complete markup; keep the rest."""
        self._data += data
        end = 0
        while self._step():
            if self._wanted is _OPENING:
                end = self._position
        return self._cut(end)

    def take_text(self) -> bytes:
        """Return the held text in front of the first reference or markup; keep the rest."""
        reference = self._data.find(b"&", 0, self._markup)
        return self._cut(self._markup if reference < 0 else reference)

    def _cut(self, end: int) -> bytes:
        taken = bytes(self._data[:end])
        del self._data[:end]
        self._markup -= end
        self._position -= end
        return taken

    def _step(self) -> bool:
        """Go to the next match, and choose the next pattern; return False if there is no match yet."""
        found = self._wanted.search(self._data, self._position)
        if found is None:
            # The end of a section may have arrived in part.
            overlap = _LONGEST_END - 1 if self._wanted in _SECTIONS.values() else 0
            self._position = max(self._position, len(self._data) - overlap)
            if self._wanted is _OPENING:
                self._markup = self._position
            return False
        if self._wanted is _OPENING:
            return self._open(found.start())
        self._position = found.end()
        if self._wanted is _IN_TAG:
            self._wanted = _QUOTED.get(found[0], _OPENING)
        else:
            closes_value = found[0] in _QUOTED
            self._wanted = _IN_TAG if closes_value else _OPENING
        return True

    def _open(self, start: int) -> bool:
        """Find out which markup this "<" begins; return False if that needs more bytes."""
        opening = bytes(self._data[start : start + _LONGEST_OPENING])
        self._markup = self._position = start
        for beginning, end in _SECTIONS.items():
            if opening.startswith(beginning):
                self._position, self._wanted = start + len(beginning), end
                return True
            if beginning.startswith(opening):
                return False
        self._position, self._wanted = start + 1, _IN_TAG
        return True
