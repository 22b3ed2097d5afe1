"""Where markup ends, in data that is cut anywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.xmpp import markup
from connectycube.emulator.xmpp.markup import MarkupBuffer

# Text and the piece of markup that ends it, any number of times, as one expression.
COMPLETE = re.compile(
    rb"""(?: [^<]*
            (?: <!--.*?-->
            |   <!\[CDATA\[.*?\]\]>
            |   <\?.*?\?>
            |   <(?! !-- | !\[CDATA\[ | \? )
                [^"'<>]* (?: "[^"<]*" [^"'<>]* | '[^'<]*' [^"'<>]* )*
                (?: [<>] | "[^"<]*< | '[^'<]*< )
            ) )*""",
    re.DOTALL | re.VERBOSE,
)
PIECES = st.sampled_from(
    [
        *b'<>"&-]?! ax',
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?",
        b"?>",
        b"<a b='>'>",
        b"</a>",
        b"'",
    ]
).map(lambda piece: piece if isinstance(piece, bytes) else bytes([piece]))


@given(st.lists(PIECES).map(b"".join), st.lists(st.integers(1, 9)))
def test_every_cut_gives_the_same_end_as_one_expression(data, lengths):
    buffer, taken, rest = MarkupBuffer(), b"", data
    for length in [*lengths, len(data)]:
        taken += buffer.take(rest[:length])
        rest = rest[length:]
        whole = COMPLETE.match(data[: len(data) - len(rest)])
        assert taken == whole[0]
        assert len(buffer) == len(data) - len(rest) - len(taken)


@pytest.mark.parametrize(
    ("opening", "filling"),
    [
        (b'<a b="', b">"),
        (b"<a b='", b">"),
        (b"<![CDATA[", b">"),
        (b"<![CDATA[", b"]"),
        (b"<!--", b"-"),
        (b"<?", b"?"),
        (b"text", b">"),
        (b"<a ", b"b='' "),
    ],
)
def test_each_byte_is_looked_at_once_however_it_is_cut(monkeypatch, opening, filling):
    looked_at = 0

    class Counting:
        def __init__(self, pattern):
            self._pattern = pattern

        def search(self, data, position):
            nonlocal looked_at
            found = self._pattern.search(data, position)
            looked_at += (len(data) if found is None else found.end()) - position
            return found

    for name in ("_OPENING", "_IN_TAG"):
        monkeypatch.setattr(markup, name, Counting(getattr(markup, name)))
    for name in ("_QUOTED", "_SECTIONS"):
        table = {key: Counting(pattern) for key, pattern in getattr(markup, name).items()}
        monkeypatch.setattr(markup, name, table)
    buffer, data = MarkupBuffer(), opening + filling * 5_000
    for byte in data:
        assert buffer.take(bytes([byte])) == b""
    assert looked_at <= 4 * len(data)


def test_text_is_taken_up_to_a_reference():
    buffer = MarkupBuffer()
    assert (buffer.take(b" \n &am"), buffer.take_text()) == (b"", b" \n ")
    assert (buffer.take(b"p; "), buffer.take_text(), len(buffer)) == (b"", b"", 6)


@pytest.mark.parametrize(
    "markup", [b"<", b"<!", b"<a", b"<a b='", b"<?pi ", b"<!-- ", b"<![CDATA["]
)
def test_text_is_taken_up_to_incomplete_markup(markup):
    buffer = MarkupBuffer()
    assert (buffer.take(b" " + markup), buffer.take_text()) == (b"", b" ")
    assert (buffer.take(b"x"), buffer.take_text(), len(buffer)) == (b"", b"", len(markup) + 1)
