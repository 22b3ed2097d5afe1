"""Elements are reported when their last byte is there, whatever expat would rather wait for."""

from __future__ import annotations

from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._expat import EagerFeeder, TagBuffer

STANZAS = (
    b"<a/>",
    b"<m to='x'><body>text > with \"quotes\" ' and &lt;</body></m>",
    b"<m a='>' b=\">'>\" c='\"'/>",
    b"<m><![CDATA[ <not> a 'tag ]> ]]]]></m>",
    b"<m><b>" + b"x" * 300 + b"</b></m>",
    b"<m\n  a = '1'\n>\r\n</m  >",
    "<m>Здравствуй 👩‍🚀 —</m>".encode(),
    b" ",
    b"\r\n\t",
    b"<m><!-- > a 'comment \" --></m>",
    b"<?pi some > 'data ?>",
    b"<x:y xmlns:x='u'><x:z q='&quot;&gt;'/></x:y>",
)
HEADER = b"<?xml version='1.0' encoding=\"UTF-8\"?>\n<stream a='>'>"


class Reader:
    """Counts the complete first-level elements that expat reports through a feeder."""

    def __init__(self, *, hold_back: bool) -> None:
        self.depth = self.elements = 0
        parser = expat.ParserCreate("UTF-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self.feeder = EagerFeeder(parser, lambda: self.depth <= 1)
        if hold_back:
            self.feeder.hold_back()

    def _start(self, name, attributes):
        self.depth += 1

    def _end(self, name):
        self.depth -= 1
        self.elements += self.depth == 1


@given(
    stanzas=st.lists(st.sampled_from(STANZAS), max_size=12),
    cuts=st.lists(st.integers(1, 80), min_size=1, max_size=40),
    hold_back=st.booleans(),
)
def test_each_element_is_reported_with_its_last_byte(stanzas, cuts, hold_back):
    data = HEADER + b"".join(stanzas)
    ends = []  # where each element ends
    position = len(HEADER)
    for stanza in stanzas:
        position += len(stanza)
        if not stanza.isspace() and not stanza.startswith(b"<?"):
            ends.append(position)
    reader = Reader(hold_back=hold_back)
    fed = step = 0
    while fed < len(data):
        piece = data[fed : fed + cuts[step % len(cuts)]]
        reader.feeder.feed(piece)
        fed += len(piece)
        step += 1
        assert reader.elements == sum(end <= fed for end in ends), (piece, data[:fed])
    if hold_back:
        assert reader.feeder.held == 0, "white space between elements is passed on"


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 30), min_size=1))
def test_no_byte_is_lost_or_moved(data, cuts):
    tags, out = TagBuffer(), b""
    fed = step = 0
    while fed < len(data):
        piece = data[fed : fed + cuts[step % len(cuts)]]
        out += tags.take(piece)
        fed += len(piece)
        step += 1
        assert data[:fed].startswith(out)
        assert len(out) + tags.held == fed


@pytest.mark.parametrize("what", [b"<<", b"<a b=<", b"<!DOCTYPE x [<"])
def test_what_no_tag_can_be_is_passed_on_for_the_parser_to_refuse(what):
    tags = TagBuffer()
    assert tags.take(b"<a>text") == b"<a>"
    assert tags.take(what) == b"text" + what
    assert tags.take(b"anything <") == b"anything <"


def test_a_long_text_is_held_back_until_its_tag_is_whole():
    tags = TagBuffer()
    assert tags.take(b"<m>") == b"<m>"
    for _ in range(1000):
        assert tags.take(b"x") == b""
    assert tags.held == 1000
    assert tags.take(b"</m") == b""
    assert tags.take(b">") == b"x" * 1000 + b"</m>"
    assert tags.held == 0


def test_errors_of_handlers_come_through():
    def refuse(name, attributes):
        raise KeyError(name)

    parser = expat.ParserCreate()
    parser.StartElementHandler = refuse
    feeder = EagerFeeder(parser, lambda: False)
    feeder.hold_back()
    with pytest.raises(KeyError):
        feeder.feed(b"<a>")
