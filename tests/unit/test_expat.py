"""Elements are reported when their last byte is there, whatever expat would rather wait for."""

from __future__ import annotations

import time
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import _expat
from connectycube._expat import LONGEST_NAMESPACE, TagBuffer

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
    """Counts the complete first-level elements that expat reports of whole tags."""

    def __init__(self) -> None:
        self.depth = self.elements = 0
        self.tags = TagBuffer()
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def feed(self, data):
        self.parser.Parse(self.tags.take(data), False)
        if self.depth <= 1:
            self.parser.Parse(self.tags.take_text(), False)

    def _start(self, name, attributes):
        self.depth += 1

    def _end(self, name):
        self.depth -= 1
        self.elements += self.depth == 1


@given(
    stanzas=st.lists(st.sampled_from(STANZAS), max_size=12),
    cuts=st.lists(st.integers(1, 80), min_size=1, max_size=40),
)
def test_each_element_is_reported_with_its_last_byte(stanzas, cuts):
    data = HEADER + b"".join(stanzas)
    ends = []  # where each element ends
    position = len(HEADER)
    for stanza in stanzas:
        position += len(stanza)
        if not stanza.isspace() and not stanza.startswith(b"<?"):
            ends.append(position)
    reader = Reader()
    fed = step = 0
    while fed < len(data):
        piece = data[fed : fed + cuts[step % len(cuts)]]
        reader.feed(piece)
        fed += len(piece)
        step += 1
        assert reader.elements == sum(end <= fed for end in ends), (piece, data[:fed])
    assert not reader.tags.held, "white space between elements is passed on"


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
        assert len(out) + len(tags.held) == fed


@pytest.mark.parametrize(
    "what",
    [
        b"<<",
        b"<a b=<",
        b"<a b='<",
        b"<!DOCTYPE x [<",
        b"<? x",
        b"<?x<",
        b"<!-- x -- ",
        b"<!-- \0",
        b"<![CDATA[ \x0b",
        b"<a \x1f",
        b"<a b='\xff",
        b"<a b='\xef\xbf\xbe",
    ],
)
def test_what_no_tag_can_be_is_passed_on_for_the_parser_to_refuse(what):
    tags = TagBuffer()
    assert tags.take(b"<a>text") == b"<a>"
    # With the next tag at the latest, as no parser needs more to refuse it.
    passed = tags.take(what) + tags.take(b"</a>")
    assert passed == b"text" + what + b"</a>"
    parser = expat.ParserCreate()
    with pytest.raises(expat.ExpatError):
        parser.Parse(b"<a>" + passed, False)


def test_a_text_is_held_back_until_a_tag_begins():
    tags = TagBuffer()
    assert tags.take(b"<m>") == b"<m>"
    for _ in range(1000):
        assert tags.take(b"x") == b""
    assert len(tags.held) == 1000
    assert tags.take(b"</m") == b"x" * 1000
    assert tags.take(b">") == b"</m>"
    assert not tags.held


class Counted(bytearray):
    """Data that counts how many of its bytes are looked at."""

    looked_at = 0

    def find(self, sub, start=0, end=None):
        found = super().find(sub, start)
        type(self).looked_at += (found if found >= 0 else len(self)) - start
        return found

    def rfind(self, sub, start=0, end=None):
        found = super().rfind(sub, start)
        type(self).looked_at += len(self) - max(found, start)
        return found


class CountedPattern:
    """A regular expression that counts the bytes that it matches, or fails to."""

    def __init__(self, pattern):
        self.pattern = pattern

    def _count(self, found, data, start):
        Counted.looked_at += (len(data) if found is None else found.end()) - start
        return found

    def match(self, data, start=0):
        return self._count(self.pattern.match(data, start), data, start)

    def fullmatch(self, data, start=0):
        return self._count(self.pattern.fullmatch(data, start), data, start)

    def search(self, data, start=0):
        return self._count(self.pattern.search(data, start), data, start)


LONG = 200_000


@pytest.mark.parametrize(
    "data",
    [
        b"<m a='" + b"x" * LONG + b"'/>",
        b"<m a='" + b">" * LONG + b"'/>",
        b"<m " + b"a='1' " * (LONG // 6) + b"/>",
        b"<m" + b" " * LONG + b"/>",
        b"<" + b"m" * LONG + b"/>",
        b"<m>" + b"x" * LONG + b"</m>",
        b"<m>" + b"&amp;" * (LONG // 5) + b"</m>",
        b"<m>" + b"> " * (LONG // 2) + b"</m>",
        b"<m>" + b"<a/>" * (LONG // 4) + b"</m>",
        b"<m>" + b"<a/> x" * (LONG // 6) + b"</m>",
        b"<m><![CDATA[" + b"]] " * (LONG // 3) + b"]]></m>",
        b"<m>" + b"<![CDATA[]]>" * (LONG // 12) + b"</m>",
        b"<m><!--" + b"- " * (LONG // 2) + b"--></m>",
        b"<m><?pi" + b"? " * (LONG // 2) + b"?></m>",
        b"&" + b"x" * LONG,
        b" " * LONG,
    ],
    ids=lambda data: data[:12].decode(),
)
@pytest.mark.parametrize("piece", [1, 16, 1000])
def test_small_pieces_cost_work_that_is_linear_in_their_sum(data, piece, monkeypatch):
    for name in ("_TEXTS_AND_TAGS", "WHOLE_TAG"):
        monkeypatch.setattr(_expat, name, CountedPattern(getattr(_expat, name)))
    for state, (pattern, following) in _expat._STATES.items():
        monkeypatch.setitem(_expat._STATES, state, (CountedPattern(pattern), following))
    tags = TagBuffer()
    tags.held = Counted()
    Counted.looked_at = given = 0
    for start in range(0, len(data), piece):
        given += len(tags.take(data[start : start + piece]))
        given += len(tags.take_text())
    assert given + len(tags.held) == len(data)
    # Each byte some times, and for each piece a constant.
    assert Counted.looked_at < 10 * len(data) + 70 * (len(data) / piece)


@pytest.mark.parametrize(
    "data",
    [
        b"<m>" + b"xmlns" * (LONG // 10) + b"</m>",
        b"<m " + b"xmlns" * (LONG // 10) + b"='1'/>",
        b"<" + b"m" * (LONG // 5) + b" xmlns='" + b"u" * 300 + b"'/>",
    ],
    ids=["text", "attribute", "element"],
)
def test_a_long_word_costs_time_that_is_linear_in_its_length(data):
    began = time.thread_time()
    TagBuffer().take(data)
    assert time.thread_time() - began < 1, "quadratic time is ten times as long"


@pytest.mark.parametrize("quote", [b"'", b'"'])
@pytest.mark.parametrize("name", [b"xmlns", b"xmlns:x"])
def test_a_long_namespace_is_cut_in_its_place(name, quote):
    tag = b"<m a='1' " + name + b" = " + quote + b"urn:%s" + quote + b" b='2'>"
    cut = b"urn:" + b"u" * (LONGEST_NAMESPACE - 4)
    data = tag % (b"u" * 5000)
    assert TagBuffer().take(data) == (tag % b"|").replace(
        b"urn:|" + quote, cut + quote + b" " * (5004 - LONGEST_NAMESPACE)
    )
    short = tag % (b"u" * (LONGEST_NAMESPACE - 4))
    assert TagBuffer().take(short) == short


@pytest.mark.parametrize("value", ["ü" * 5000, "&amp;" * 2000, " " * 5000])
def test_a_long_namespace_stays_wellformed_when_it_is_cut(value):
    reader = Reader()
    reader.feed(f"<m><x xmlns:p='{'u' * 250}{value}'/><x xmlns:p='{value}'/></m>".encode())
    assert reader.elements == 2


@pytest.mark.parametrize("bad", [b"<", b"<a/>", b"\x00", b"\x1f", b"\xff", b"\xef\xbf\xbe"])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "in pieces"])
def test_a_long_namespace_that_is_bad_xml_is_not_cut(bad, in_pieces):
    data = b"<a xmlns='" + b"u" * 500 + bad + b"u'/>"
    buffer = TagBuffer()
    pieces = [data[:505], data[505:]] if in_pieces else [data]
    assert b"".join(map(buffer.take, pieces)) + buffer.held == data


@pytest.mark.parametrize(
    "data",
    [
        b"<m>xmlns='%s'</m>",
        b"<m><![CDATA[<x xmlns='%s'/>]]></m>",
        b"""<m a="xmlns='%s'"/>""",
        b"<m a='%s'/>",
    ],
)
def test_what_only_looks_like_a_namespace_is_left_alone(data):
    data %= b"u" * 5000
    assert TagBuffer().take(data) == data
