"""Runs of whole messages are read as trees, and read just as expat's events would tell of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectycube.chat.protocol import parser
from connectycube.chat.protocol.message_trees import MessageTrees
from tests.bench import chat_material as material
from tests.support.parsers import HEADER, check_both_ways
from tests.unit.emulator.xmpp.test_parser_differential import CUTS, MESSAGES, cut, streams

CORPUS = Path(__file__).parents[3] / "fuzz" / "corpus" / "stream"
LIMITS = {"stanza_bytes": 400, "stanza_depth": 5, "stanza_elements": 12}


@given(data=streams(), cuts=CUTS)
def test_trees_and_events_read_the_same(data, cuts):
    for limits in ({}, LIMITS):
        check_both_ways(cut(data, cuts), **limits)


@st.composite
def runs(draw):
    """Messages one behind the other, some with what a tree may not be trusted with."""
    odd = st.sampled_from(
        [
            *(
                "<r xmlns='urn:xmpp:sm:3'/>",
                "<presence/>",
                " ",
                "<message/>",
                "<message></message >",
                "<message><?a b?><body>c</body></message>",
                "<message><body>?<?a b?></body></message>",
            ),
            *("<messages></messages>", "<!-- </message> -->", "<![CDATA[</message>]]>", "<?a b?>"),
            *("<message><message></message></message>", "<p:message xmlns:p='jabber:client'/>"),
            *("<message><a><![CDATA[</message>", "<message>]]></a></message >", "<message><!--"),
            *("<message xmlns='urn:x'></message>", "<message><a xmlns='u v'/></message>"),
            *(
                "<message><a p:b='1' xmlns:p='u&#32;v'/></message>",
                "<message><a xmlns:p='a}b'/></message>",
            ),
            *(
                "<message>&a;</message>",
                "<message><a></message>",
                "<message></a></message>",
                "\x00",
            ),
            *(
                "<message>" + "<a>" * 7 + "</a>" * 7 + "</message>",
                "<message>" + "<a/>" * 13 + "</message>",
            ),
            *(
                f"<message><a xmlns='{'n' * 300}'/></message>",
                f"<message><body>{'b' * 400}</body></message>",
            ),
            *(
                "<message xml:lang='en'><body>a<b>c</b>d</body><body>e</body></message>",
                "<message",
                "</message>",
            ),
        ]
    )
    parts = draw(st.lists(MESSAGES | MESSAGES | odd, max_size=8))
    return HEADER + "".join(parts).encode()


@given(data=runs(), cuts=CUTS)
@example(data=HEADER + b"<message><a><![CDATA[</message><message>]]></a></message >" * 2, cuts=[])
@example(data=HEADER + b"<message></message>" * 3 + b"<message><!-- </message>", cuts=[])
@example(data=HEADER + b"<message></message><message xmlns='urn:x'></message>", cuts=[len(HEADER)])
@example(data=HEADER + b"<message></message><x<message", cuts=[len(HEADER) + 9])
def test_runs_of_messages_are_read_as_events_tell_of_them(data, cuts):
    for pieces in (cut(data, cuts), [HEADER, data[len(HEADER) :]]):
        for limits in ({}, LIMITS, {**LIMITS, "stanza_depth": 3}):
            check_both_ways(pieces, **limits)


@pytest.mark.parametrize(
    "inside", ["<?a b?>", "<!-- a -->", "<body>a<?b?></body>", "<body><!--a--></body>"]
)
def test_a_message_with_what_xmpp_forbids_is_refused(inside):
    made, items = new_parser(), []
    made.feed(material.message(1) + f"<message id='2'>{inside}</message>".encode(), items)
    assert [type(item) for item in items] == [parser.MessageStanza, parser.RefusedElement]


@pytest.mark.parametrize("number", range(len(sorted(CORPUS.iterdir()))))
def test_the_corpus_of_streams_is_read_the_same(number):
    data = sorted(CORPUS.iterdir())[number].read_bytes()
    for size in (7, 100, 100_000):
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        check_both_ways(pieces, **LIMITS)


@pytest.fixture
def read(monkeypatch):
    """How many messages were read as trees."""
    counts = []
    original = MessageTrees.read

    def count(self, data, number):
        trees = original(self, data, number)
        counts.append(0 if trees is None else len(trees))
        return trees

    monkeypatch.setattr(MessageTrees, "read", count)
    return counts


def new_parser(**limits):
    chosen = {"stanza_bytes": 100_000, "stanza_depth": 64, "stanza_elements": 10_000, **limits}
    made = parser.StreamParser(**chosen)
    made.feed(HEADER, [])
    return made


def test_messages_are_read_as_trees_wherever_a_read_ends(read):
    made, items = new_parser(), []
    for chunk in next(material.bursts()):
        made.feed(chunk, items)
    assert len(items) == material.BURST + 1
    assert sum(read) >= material.BURST - 2 * len(next(material.bursts()))


def test_a_message_alone_in_a_read_is_read_as_a_tree(read):
    made, items = new_parser(), []
    for chunk in next(material.singles())[:5]:
        made.feed(chunk, items)
    assert read == [1] * 5 and len(items) == 5


@pytest.mark.parametrize("cut", [10, 60, 150, 300, 500, 570])
def test_a_message_in_two_reads_is_read_as_a_tree(read, cut):
    made, items = new_parser(), []
    messages = b"".join(map(material.message, range(4)))
    made.feed(messages[: 584 + cut], items)
    assert len(items) == 1
    made.feed(messages[584 + cut :], items)
    assert len(items) == 4 and sum(read) == 4


@pytest.mark.parametrize(
    "whole",
    [
        *(b"<message/>", b"<message to='a>b'/>", b"<messages></messages>", b"<message></message >"),
        *(
            b"<message><a/></message\n>",
            b"<message><r xmlns='u'/></message >",
            b"<message-x a='/'/>",
        ),
    ],
)
def test_no_element_that_is_whole_waits_for_more(whole):
    made, items = new_parser(), []
    made.feed(material.message(1) + whole, items)
    assert len(items) == 2
    made.feed(whole, items)
    assert len(items) == 3


def test_a_message_waits_for_more_only_once_and_only_if_it_is_short():
    made, items = new_parser(), []
    made.feed(b"<message><body>", items)
    assert made._held
    made.feed(b"a", items)
    assert not made._held
    made.feed(b"</body></message><message><body>" + b"b" * 5_000, items)
    assert not made._held and len(items) == 1
    made = new_parser(stanza_bytes=100)
    made.feed(b"<message><body>" + b"b" * 100, [])
    assert not made._held


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<a>" * 6, "nested deeper than 5"),
        ("<a/>" * 13, "more than 12 elements"),
        ("<body>a<!-- a -->", "a comment"),
        ("<?a b?>", "a processing instruction"),
        ("<body>" + "b" * 700, "a stanza of more than 400 bytes"),
    ],
)
def test_what_is_beyond_the_limits_does_not_wait_for_more(inside, reason):
    made = new_parser(**LIMITS)
    made.feed(f"<message>{inside}".encode(), [])
    assert reason in made.skips


def test_a_message_that_the_server_does_not_end_is_found_while_it_waits():
    made, items = new_parser(), []
    made.feed(b"<message id='1'><body>a</body><r xmlns='urn:xmpp:sm:3'/>", items)
    assert made._held and made.is_endless
    refused = made.broken("why")
    assert (refused.name, refused.attributes) == ("message", {"id": "1"})


def test_bad_xml_in_a_message_that_waits_is_told_with_what_follows():
    made, items = new_parser(), []
    made.feed(b"<message id='1'><body>&a;", items)
    assert made.broken("why").name == "message"
    made = new_parser()
    made.feed(b"<message id='1'><body>&a;", items)
    with pytest.raises(parser.StreamProtocolError, match="undefined entity"):
        made.feed(b"</body>", items)
    assert made.broken("why").attributes == {"id": "1"}


def test_messages_behind_another_stanza_are_read_as_trees(read):
    made, items = new_parser(), []
    made.feed(b"<r xmlns='urn:xmpp:sm:3'/>" + material.message(1) + material.message(2), items)
    assert read == [2] and len(items) == 3


@pytest.mark.parametrize(
    "odd",
    [
        *(b"<message/>", b"<message></message >", b"<r xmlns='urn:xmpp:sm:3'/>"),
        *(b"<message><a></message>", b"<message><message></message></message>"),
        *(b"<message><a><![CDATA[ ]]></a></message>", b"<message><a xmlns='u v'></a></message>"),
    ],
)
def test_no_run_is_searched_more_than_once(odd):
    searched = 0

    class Counted(bytes):
        def find(self, part, start=0, end=None):
            nonlocal searched
            found = super().find(part, start, len(self) if end is None else end)
            searched += (found if found >= 0 else len(self) if end is None else end) - start
            return found

        def __getitem__(self, where):
            return (
                Counted(super().__getitem__(where)) if isinstance(where, slice) else super()[where]
            )

    data = Counted(odd * 2_000)
    made = new_parser()
    try:
        made.feed(data, [])
    except parser.StreamProtocolError:
        pass
    assert searched <= 10 * len(data)


def test_the_names_that_were_read_are_not_kept_for_ever():
    made = new_parser()
    assert made._trees._parser is None, "an idle connection holds none"
    made.feed(material.message(1), [])
    first = made._trees._parser
    for number in range(200):
        made.feed(b"<message><a%d>%s</a%d></message>" % (number, b"x" * 1_000, number), [])
    assert made._trees._parser is not first


def test_a_message_that_was_read_is_not_kept():
    made, items = new_parser(), []
    made.feed(material.message(1), items)
    assert len(made._trees._stream) == 0 and made._trees._stream.text is None


def test_trees_are_read_again_after_one_that_failed(read):
    made, items = new_parser(), []
    made.feed(b"<message><!-- a comment --></message>", items)
    made.feed(material.message(1), items)
    assert read == [0, 1]
    assert [type(item) for item in items] == [parser.RefusedElement, parser.MessageStanza]


def test_a_long_word_costs_time_that_is_linear_in_its_length():
    trees = MessageTrees(HEADER)
    began = time.thread_time()
    assert trees.read(b"<message><body>" + b"xmlns" * 20_000 + b"</body></message>", 1)
    assert time.thread_time() - began < 1, "quadratic time is ten times as long"
