from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import markup
from connectycube.chat.protocol import parser as parser_module
from connectycube.chat.protocol.nodes import Node, children, element, serialise
from connectycube.chat.protocol.parser import (
    Item,
    MessageStanza,
    RefusedElement,
    StreamEnd,
    StreamParser,
    StreamStart,
    message_of,
)
from connectycube.errors import StreamProtocolError
from tests.unit.chat.protocol.test_nodes import as_tuple, elements
from tests.unit.chat.protocol.texts import texts
from tests.unit.chat.protocol.trees import odd_stanzas

HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='i' from='chat.example'"
    b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
)
LIMIT = 4096


def parser(limit: int = LIMIT, depth: int = 8) -> StreamParser:
    return StreamParser(stanza_bytes=limit, stanza_depth=depth, stanza_elements=10_000)


def plain(item: Item) -> Any:
    """An item as plain data."""
    if isinstance(item, StreamStart):
        return "start", item.attributes
    if isinstance(item, StreamEnd):
        return "end"
    if isinstance(item, RefusedElement):
        return "refused", item.name, item.attributes, item.reason
    if isinstance(item, MessageStanza):
        others = {name: as_tuple(node) for name, node in item.others.items()}
        return item.attributes, item.body, item.params, item.attachments, others
    return as_tuple(item)


def parse(data: bytes, cuts: list[int] | None = None, **limits: int) -> tuple[list[Any], str]:
    """What a stream of ``data`` brings, cut into pieces at ``cuts``, and how it ended ("" or the error)."""
    reader, items = parser(**limits), list[Item]()
    ends = sorted({cut % (len(data) + 1) for cut in cuts or ()} | {len(data)})
    start, fault = 0, ""
    try:
        for end in ends:
            reader.feed(data[start:end], items)
            start = end
    except StreamProtocolError as error:
        fault = str(error)
    return [plain(item) for item in items], fault


def message(xml: str) -> MessageStanza:
    """The one message in ``xml``."""
    items: list[Any] = []
    parser().feed(HEADER + xml.encode(), items)
    assert len(items) == 2
    return items[1]


def node(xml: str) -> Any:
    """The one first-level element in ``xml``."""
    items: list[Any] = []
    parser().feed(HEADER + xml.encode(), items)
    assert len(items) == 2
    return items[1]


# --- the same items, however the bytes come -----------------------------------------------------

params = st.recursive(
    texts,
    lambda inner: st.dictionaries(
        st.sampled_from(["k", "l", "größe"]), inner, min_size=1, max_size=3
    ),
    max_leaves=5,
)


def param_xml(values: dict[str, Any]) -> str:
    return "".join(
        f"<{key}>{param_xml(value) if isinstance(value, dict) else markup.text(value)}</{key}>"
        for key, value in values.items()
    )


@st.composite
def messages(draw: Any) -> str:
    parts = [
        f"<body>{markup.text(draw(texts))}</body>",
        f"<extraParams>{param_xml(draw(st.dictionaries(st.sampled_from('pq'), params, max_size=2)))}"
        f'<attachment url="{markup.attribute(draw(texts))}"/></extraParams>',
        serialise(draw(elements), "jabber:client"),
    ]
    return f'<message id="{markup.attribute(draw(texts))}">{"".join(draw(st.permutations(parts)))}</message>'


stanzas = st.one_of(
    messages(),
    elements.map(lambda kid: serialise(element("iq", "jabber:client", {}, kid), "jabber:client")),
    st.sampled_from([" ", "\n", "<presence/>", "<stream:error><x xmlns='urn:x'/></stream:error>"]),
)
streams = st.lists(stanzas, max_size=4).map(lambda parts: HEADER + "".join(parts).encode())
endings = st.sampled_from(
    [b"", b"</stream:stream>", b"<presence", b"<a></b>", b"<!--c-->", b"text", b"<b>" * 20, b"\xff"]
)


@given(streams, endings, st.lists(st.integers(0, 10_000), max_size=8))
def test_any_chunking_brings_the_same_items_and_the_same_end(
    data: bytes, ending: bytes, cuts: list[int]
) -> None:
    assert parse(data + ending, cuts) == parse(data + ending)


@given(streams, endings)
def test_byte_by_byte_brings_the_same_items_and_the_same_end(data: bytes, ending: bytes) -> None:
    everything = data + ending
    assert parse(everything, list(range(len(everything)))) == parse(everything)


def test_a_stanza_is_complete_with_its_last_byte() -> None:
    reader, items = parser(), list[Item]()
    data = HEADER + b"<message id='1'><body>x</body></message>"
    reader.feed(data[:-1], items)
    assert len(items) == 1
    reader.feed(data[-1:], items)
    assert len(items) == 2


# --- what a message holds -----------------------------------------------------------------------


@given(texts)
def test_a_body_is_read_as_it_was_written(body: str) -> None:
    assert message(f"<message><body>{markup.text(body)}</body></message>").body == body


@pytest.mark.parametrize(
    ("xml", "body"),
    [
        ("<message/>", None),
        ("<message><body/></message>", ""),
        ("<message><body></body></message>", ""),
        ("<message><body>a&#13;&#10;b&#x1F600;</body></message>", "a\r\nb😀"),
        ("<message><body>a\r\nb\rc</body></message>", "a\nb\nc"),
        ("<message><body> <![CDATA[<&]]>gt; </body></message>", " <&gt; "),
        ("<message><body>&lt;&gt;&amp;&quot;&apos;</body></message>", "<>&\"'"),
        ("<message><body>a<b>bold</b>c</body></message>", "aboldc"),
        ("<message><body xml:lang='en'>one</body><body xml:lang='de'>eins</body></message>", "one"),
        ("<message> <x xmlns='urn:x'/> <body>behind</body> </message>", "behind"),
        ("<c:message xmlns:c='jabber:client'><c:body>prefixed</c:body></c:message>", "prefixed"),
        ("<message><body xmlns='urn:foreign'>not ours</body></message>", None),
        ("<message><x xmlns='urn:x'><body xmlns='jabber:client'>inner</body></x></message>", None),
    ],
)
def test_the_body_is_the_first_of_our_namespace(xml: str, body: str | None) -> None:
    assert message(xml).body == body


@pytest.mark.parametrize(
    ("xml", "params"),
    [
        ("", {}),
        ("<k>v</k><empty/><blank> </blank>", {"k": "v", "empty": "", "blank": " "}),
        ("<k>1</k><k>2</k>", {"k": "2"}),
        ("<a><b><c>deep</c></b><d>e</d></a>", {"a": {"b": {"c": "deep"}, "d": "e"}}),
        ("<a>\n  <b>v</b>\n</a>", {"a": {"b": "v"}}),
        ("<attachment id='1'/><k>v</k>", {"k": "v"}),
        ("<a><attachment>named so</attachment></a>", {"a": {"attachment": "named so"}}),
        ("<attachment id='1'><k>ignored</k></attachment>", {}),
        ("<größe>ü</größe>", {"größe": "ü"}),
        ("<k xmlns='urn:other'>v</k>", {"k": "v"}),
    ],
)
def test_extra_params_become_text_or_nested_dicts(xml: str, params: dict[str, Any]) -> None:
    assert message(f"<message><extraParams>{xml}</extraParams></message>").params == params


def test_attachments_are_kept_in_order_with_their_attributes() -> None:
    stanza = message(
        "<message><extraParams><attachment uid='a' data='{&quot;x&quot;:1}&#10;'/>"
        "<k>v</k><attachment/><attachment uid='b'></attachment></extraParams></message>"
    )
    assert stanza.attachments == [{"uid": "a", "data": '{"x":1}\n'}, {}, {"uid": "b"}]


@pytest.mark.parametrize("namespace", ["", " xmlns='jabber:client'", " xmlns='urn:other'"])
def test_extra_params_are_read_in_any_namespace(namespace: str) -> None:
    stanza = message(f"<message><extraParams{namespace}><k>v</k></extraParams></message>")
    assert stanza.params == {"k": "v"}


def test_the_first_other_child_of_each_namespace_and_name_becomes_a_node() -> None:
    stanza = message(
        "<message><markable xmlns='urn:m'/><error type='cancel'><gone xmlns='urn:e'>x</gone></error>"
        "<markable xmlns='urn:m' second='1'/><y:z xmlns:y='urn:y'/></message>"
    )
    assert {name: as_tuple(kid) for name, kid in stanza.others.items()} == {
        "urn:m markable": ("markable", "urn:m", {}, []),
        "jabber:client error": (
            "error",
            "jabber:client",
            {"type": "cancel"},
            [("gone", "urn:e", {}, ["x"])],
        ),
        "urn:y z": ("z", "urn:y", {}, []),
    }


def test_the_size_of_a_stanza_is_its_bytes_within_a_tag() -> None:
    xml = "<message><body>" + "ü" * 500 + "</body></message>"
    items: list[Any] = []
    parser().feed(HEADER + xml.encode() * 2 + b"  " + xml.encode(), items)
    assert [abs(stanza.size - len(xml.encode())) <= 32 for stanza in items[2:]] == [True, True]


# --- everything else ----------------------------------------------------------------------------


def test_other_first_level_elements_become_nodes() -> None:
    assert as_tuple(node("<iq id='1' xml:lang='en'>a<q xmlns='urn:q'>b</q>c</iq>")) == (
        "iq",
        "jabber:client",
        {"id": "1", "http://www.w3.org/XML/1998/namespace lang": "en"},
        ["a", ("q", "urn:q", {}, ["b"]), "c"],
    )


def test_a_message_of_another_namespace_is_no_message_stanza() -> None:
    assert as_tuple(node("<message xmlns='urn:x'/>")) == ("message", "urn:x", {}, [])


def test_the_streams_header_and_end_are_items() -> None:
    items, fault = parse(HEADER + b"<presence/></stream:stream>")
    assert items[0] == ("start", {"id": "i", "from": "chat.example", "version": "1.0"})
    assert items[-1] == "end" and not fault


# --- what may not be there ----------------------------------------------------------------------

GOOD = b"<presence/><message><body>good</body></message>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE x><x/>", "document type declaration"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "document type declaration"),
        (b"<!DOCTYPE x SYSTEM 'http://x/'><x/>", "document type declaration"),
        (b"<stream xmlns='urn:x'>", "instead of an XMPP stream"),
        (b"<stream:stream xmlns:stream='urn:wrong'>", "instead of an XMPP stream"),
        (b"<html>", "instead of an XMPP stream"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "bad XML"),
        (b"\x15\x03\x01\x00\x02\x02F", "bad XML"),
        (b"\xff\xff", "bad XML"),
        (b"<?php ?><stream:stream>", "processing instruction"),
        (b"<!-- hello --><stream:stream>", "comment"),
    ],
)
def test_what_may_not_begin_a_stream_ends_it(data: bytes, words: str) -> None:
    items, fault = parse(data)
    assert not items
    assert words in fault


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE x>", "bad XML"),
        (b"<!-- c -->", "comment"),
        (b"<?pi data?>", "processing instruction"),
        (b"text", "text between stanzas"),
        (b"&#65;", "text between stanzas"),
        (b"<![CDATA[x]]>", "text between stanzas"),
        (b"<message><body>&unknown;</body></message>", "bad XML"),
        (b"<message><body>\x01</body></message>", "bad XML"),
        (b"<message><body>&#1;</body></message>", "bad XML"),
        (b"<message><body>\xc3\x28</body></message>", "bad XML"),
        (b"<message><body>\xed\xa0\x80</body></message>", "bad XML"),
        (b"<message><body></message>", "bad XML"),
        (b"<message a='1' a='2'/>", "bad XML"),
        (b"<p:message/>", "bad XML"),
        (b"<list><0>a</0></list>", "bad XML"),
        (b"</stream:stream><presence/>", "bad XML"),
        (b"<?xml version='1.0'?>", "bad XML"),
    ],
)
def test_what_may_not_be_in_a_stream_ends_it_behind_the_good_stanzas(
    data: bytes, words: str
) -> None:
    expected, _ = parse(HEADER + GOOD)
    if data.startswith(b"</stream"):
        expected += ["end"]
    for cuts in ([], list(range(10_000))):
        items, fault = parse(HEADER + GOOD + data, cuts)
        assert items == expected
        assert words in fault


def deep(name: str, depth: int, inner: str = "x") -> bytes:
    return (
        f"<{name} id='1'>" + f"<{inner}>" * depth + f"</{inner}>" * depth + f"</{name}>"
    ).encode()


TEXT = b"x" * 3 * LIMIT

SKIPPED = {
    "a long body": (
        b"<message id='1'><body>" + TEXT + b"</body></message>",
        "more than 4096 bytes",
    ),
    "a long parameter": (
        b"<message id='1'><extraParams><a>" + TEXT + b"</a></extraParams></message>",
        "more than 4096 bytes",
    ),
    "a long iq": (b"<iq id='1'><q xmlns='u'>" + TEXT + b"</q></iq>", "more than 4096 bytes"),
    "a long presence": (
        b"<presence id='1'><status>" + TEXT + b"</status></presence>",
        "4096 bytes",
    ),
    "a long attribute": (
        b"<message id='1' to='" + TEXT + b"'><body>b</body></message>",
        "4096 bytes",
    ),
    "a long attribute alone": (b"<presence id='1' to='" + TEXT + b"'/>", "4096 bytes"),
    "too many elements": (b"<iq id='1'>" + b"<a/>" * 10_001 + b"</iq>", "more than "),
    "too many parameters": (
        b"<message id='1'><extraParams>" + b"<a/>" * 10_001 + b"</extraParams></message>",
        "more than ",
    ),
    "many children": (b"<iq id='1'>" + b"<a/>" * 3000 + b"</iq>", "more than 4096 bytes"),
    "a deep message": (deep("message", 8), "nested deeper than 8"),
    "a deep body": (deep("message", 9, "body"), "nested deeper than 8"),
    "a deep parameter": (deep("message", 9, "extraParams"), "nested deeper than 8"),
    "a deep iq": (deep("iq", 8), "nested deeper than 8"),
    "a deep presence": (deep("presence", 100), "nested deeper than 8"),
    "deep and long": (deep("iq", 3000), "nested deeper than 8"),
    "a comment": (b"<message id='1'><body>a<!-- c -->b</body></message>", "a comment"),
    "a comment in an iq": (b"<iq id='1'><a><!-- c --></a><!-- d --></iq>", "a comment"),
    "an instruction": (b"<message id='1'><?pi data?><body/></message>", "a processing instruction"),
}


@pytest.mark.parametrize("what", SKIPPED)
@pytest.mark.parametrize("piece", [None, 77, 1], ids=["whole", "in pieces", "byte by byte"])
def test_an_element_beyond_the_limits_costs_only_itself(what: str, piece: int | None) -> None:
    data, reason = SKIPPED[what]
    before = HEADER + GOOD
    whole = before + data + GOOD
    good, _ = parse(before)
    cuts = list(range(0, len(whole), piece)) if piece else None
    items, fault = parse(whole, cuts)
    assert not fault
    assert items[:3] == good and items[4:] == good[1:]
    kind, name, attributes, told = items[3]
    assert (kind, name, attributes["id"]) == ("refused", data[1:].split()[0].decode(), "1")
    # A start tag that arrives in one piece may be told by either of its faults.
    assert reason in told or (what == "deep and long" and "4096 bytes" in told)


BROKEN = {
    "an unknown entity": (b"<message id='1'><body>&unknown;</body></message>", "message", "1"),
    "a control character": (b"<message id='1'><body>\x01</body></message>", "message", "1"),
    "a bad reference": (b"<iq id='1'><a>&#1;</a></iq>", "iq", "1"),
    "bad UTF-8": (b"<presence id='1'><status>\xc3\x28</status></presence>", "presence", "1"),
    "half a surrogate pair": (b"<message id='1'><body>\xed\xa0\x80</body>", "message", "1"),
    "a wrong end tag": (b"<message id='1'><body></message>", "message", "1"),
    "an attribute twice": (b"<message id='1' a='1' a='2'/>", "message", None),
    "an attribute of a child twice": (
        b"<message id='1'><b a='1' a='2'/></message>",
        "message",
        "1",
    ),
    "an unknown prefix": (b"<message id='1'><p:a/></message>", "message", "1"),
    "an unknown prefix of an attribute": (b"<iq id='1' p:a='b'/>", "iq", None),
    "a name that is none": (b"<message id='1'><0>a</0></message>", "message", "1"),
    "a bad start tag": (b"<presence id=1/>", "presence", None),
    "bad UTF-8 in an attribute": (b"<message id='\xff'/>", "message", None),
    "a less-than sign in an attribute": (b"<message id='<'/>", "message", None),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("piece", [None, 7, 1], ids=["whole", "in pieces", "byte by byte"])
@pytest.mark.parametrize(
    "before", [GOOD, b"<presence/>", b"<presence/> \n", b"<a b='>' c=\"'>\"/>"]
)
def test_the_stanza_with_bad_xml_is_known(before: bytes, what: str, piece: int | None) -> None:
    data, name, stanza_id = BROKEN[what]
    reader, items = parser(), list[Item]()
    whole = HEADER + before + data + GOOD
    with pytest.raises(StreamProtocolError, match="bad XML"):
        for start in range(0, len(whole), piece or len(whole)):
            reader.feed(whole[start : start + (piece or len(whole))], items)
    broken = reader.broken("bad XML")
    assert broken is not None
    assert (broken.namespace, broken.name, broken.reason) == ("jabber:client", name, "bad XML")
    assert broken.attributes.get("id") == stanza_id


@pytest.mark.parametrize(
    "data", [b"text", b"<!-- c -->", b"&amp;<message/>", b"</stream:strea>", b"<a a='' a=''/>"]
)
def test_bad_xml_between_stanzas_belongs_to_none(data: bytes) -> None:
    reader = parser()
    with pytest.raises(StreamProtocolError):
        reader.feed(HEADER + GOOD + data + GOOD, [])
    assert reader.broken("bad XML") is None


@pytest.mark.parametrize("inner", ["body", "extraParams", "x"])
def test_a_stanza_may_be_as_deep_as_the_limit(inner: str) -> None:
    depth = 8
    xml = (
        f"<message><{inner}>" + "<y>" * (depth - 2) + "</y>" * (depth - 2) + f"</{inner}></message>"
    )
    assert len(parse(HEADER + xml.encode(), depth=depth)[0]) == 2


# --- size ---------------------------------------------------------------------------------------

ENDLESS = {
    "a text": (b"<message><body>", b"x" * 1000),
    "a start tag": (b"<message to='", b"x" * 1000),
    "attributes": (b"<message ", b"".join(b"a%d='' " % n for n in range(100))),
    "a name": (b"<", b"x" * 1000),
    "children": (b"<iq>", b"<a/>" * 250),
    "text of a Node": (b"<iq><a>", b"x" * 1000),
    "params": (b"<message><extraParams>", b"<k>v</k>" * 100),
    "space in a message": (b"<message>", b" " * 1000),
    "a CDATA section": (b"<message><body><![CDATA[", b"x" * 1000),
    "a character reference": (b"<message><body>&#x", b"0" * 1000),
    "an end tag": (b"<message></message", b" " * 1000),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("piece", [None, 77, 1], ids=["whole", "in pieces", "byte by byte"])
def test_what_never_ends_ends_the_stream(
    what: str, piece: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser_module, "_MOST_SKIPPED", 2 * LIMIT)
    beginning, rest = ENDLESS[what]
    reader, items, fed = parser(), list[Item](), 0
    reader.feed(HEADER + GOOD, items)
    data = beginning + rest * 20
    with pytest.raises(StreamProtocolError):
        for start in range(0, len(data), piece or len(data)):
            part = data[start : start + (piece or len(data))]
            fed += len(part)
            reader.feed(part, items)
    assert len(items) == 3
    assert fed <= (len(data) if piece is None else 2 * LIMIT + piece + 32)


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize(("excess", "fits"), [(-32, True), (32, False)])
def test_the_limit_holds_to_within_a_tag(piece: int | None, excess: int, fits: bool) -> None:
    frame = b"<message><body></body></message>"
    stanza = b"<message><body>" + b"x" * (LIMIT - len(frame) + excess) + b"</body></message>"
    assert len(stanza) == LIMIT + excess
    data = HEADER + GOOD + stanza
    items, fault = parse(data, list(range(len(data))) if piece else None)
    assert not fault and len(items) == 4
    assert (items[-1][0] == "refused") != fits


def test_fifty_megabytes_stop_being_read_at_sixteen() -> None:
    reader, items = parser(limit=1_048_576), list[Item]()
    reader.feed(HEADER + b"<message><body>", items)
    piece, fed = b"x" * 65_536, 0
    with pytest.raises(StreamProtocolError, match="more than 16777216 bytes"):
        for _ in range(800):
            fed += len(piece)
            reader.feed(piece, items)
    assert fed <= 16_777_216 + 2 * 65_536
    assert not items[1:] and reader._text == []


def test_fifty_megabytes_at_once_are_not_parsed_beyond_sixteen() -> None:
    reader = parser(limit=100_000)
    data = HEADER + b"<iq>" + b"x" * 50_000_000
    with pytest.raises(StreamProtocolError, match="more than 16777216 bytes"):
        reader.feed(data, [])
    assert reader._fed <= 16_777_216 + 65_536 + len(HEADER)


def test_the_depth_of_a_skipped_element_is_bounded() -> None:
    with pytest.raises(StreamProtocolError, match="nested deeper than 10000"):
        parser(limit=100_000_000).feed(HEADER + b"<iq>" + b"<a>" * 20_000, [])


def test_many_stanzas_together_may_be_larger_than_the_limit() -> None:
    stanza = b"<message><body>" + b"x" * 3000 + b"</body></message>"
    items, fault = parse(HEADER + stanza * 100)
    assert len(items) == 101 and not fault


@pytest.mark.parametrize("space", [b" ", b"\n", b" " * 400])
def test_whitespace_between_stanzas_never_reaches_the_limit(space: bytes) -> None:
    reader, items = parser(limit=500), list[Item]()
    reader.feed(HEADER, items)
    for _ in range(2000):
        reader.feed(space, items)
    reader.feed(GOOD, items)
    for _ in range(2000):
        reader.feed(space, items)
    reader.feed(GOOD, items)
    assert len(items) == 5


@pytest.mark.parametrize("ending", ["</stream:stream>", "<message/></stream:stream>"])
@pytest.mark.parametrize(
    "stanza",
    [
        "<message id='{0}'><body>{0}</body><n{0} xmlns='urn:a'/></message>",
        "<message id='{0}'/>",
        " <iq id='{0}'><q xmlns='urn:q'>> x{0}<a{0}/></q></iq>\n",
        "<presence id='{0}'><p:s xmlns:p='urn:{0}' p:a{0}=''/></presence>",
    ],
)
def test_a_new_parser_goes_on_where_the_one_before_ends(
    stanza: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = HEADER + "".join(map(stanza.format, range(200))).encode() + ending.encode()
    expected = parse(data)
    reader, items = parser(), list[Item]()
    monkeypatch.setattr(parser_module, "_BYTES_OF_AN_EXPAT", 100)
    for piece in (len(data), 1000, 7):
        assert parse(data, list(range(0, len(data), piece))) == expected
    reader.feed(data, items)
    sizes = [item.size for item in items if hasattr(item, "size")]
    assert sum(sizes[1:]) <= len(data) and min(sizes) > 0


@pytest.mark.parametrize("name", ["presence", "message", "iq"])
def test_a_start_tag_with_more_names_than_expat_may_keep_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, begin = list[int](), StreamParser._begin_expat

    def counted(self: StreamParser, position: int) -> None:
        begun.append(position)
        assert len(begun) < 20, "the same tag is read again and again"
        begin(self, position)

    monkeypatch.setattr(StreamParser, "_begin_expat", counted)
    attributes = " ".join([f"a{number}='1'" for number in range(1_500)])
    large = f"<{name} {attributes}><!-- a comment --></{name}><{name} {attributes}/>"
    written = large + f"<{name} id='1'/>" * 2 + large
    items, fault = parse(HEADER + written.encode(), [200], limit=100_000)
    assert not fault and len(items) == 7
    assert begun == sorted(set(begun))


@pytest.mark.parametrize(
    "stanza",
    [
        "<message><n{0}/></message>",
        "<message><x n{0}=''/></message>",
        "<message n{0}=''/>",
        "<n{0}/>",
        "<message xmlns:p{0}='u'/>",
        "<message><x xmlns='urn:{0}'/></message>",
    ],
)
def test_names_that_are_used_once_are_not_kept(stanza: str) -> None:
    reader, items, grown = parser(), list[Item](), []
    reader.feed(HEADER, items)
    tracemalloc.start()  # it knows expat's memory as well
    try:
        for first in range(0, 30_000, 1_000):
            several = "".join(map(stanza.format, range(first, first + 1_000)))
            reader.feed(several.encode(), items)
            items.clear()
            grown.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(grown) < 3_500_000  # 5 to 18 MB if all were kept


@pytest.mark.parametrize("what", ["<x:n{0}/>", "<y x:n{0}=''/>"])
def test_a_long_namespace_costs_no_more_than_a_short_one(what: str) -> None:
    names = "".join(map(what.format, range(2_000)))
    stanza = f"<iq xmlns:x='{'u' * 50_000}'><q>{names}</q></iq>"
    reader, items = parser(limit=200_000), list[Item]()
    reader.feed(HEADER, items)
    tracemalloc.start()
    try:
        reader.feed(stanza.encode(), items)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(items[-1], Node)
    assert peak < 5_000_000  # 100 MB for as many strings of 50,000 characters


def test_parsing_leaves_nothing_to_the_garbage_collector() -> None:
    reader, items = parser(), list[Item]()
    reader.feed(HEADER, items)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            reader.feed(GOOD + b"<iq><a><b/></a></iq>", items)
        items.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()


def both_ways(message: str) -> tuple[Any, Any]:
    """A message as the parser reads it in the stream, and as it is read inside another stanza."""
    (_, direct), fault = parse(HEADER + message.encode(), limit=1_000_000, depth=64)
    assert not fault
    reader, items = parser(1_000_000, 64), list[Item]()
    reader.feed(HEADER + f"<iq>{message}</iq>".encode(), items)
    (inner,) = children(items[1])
    return direct, plain(message_of(inner, 0))


@given(odd_stanzas("message"))
def test_a_message_inside_another_stanza_reads_as_one_in_the_stream(message: str) -> None:
    direct, forwarded = both_ways(message)
    assert forwarded == direct


@pytest.mark.parametrize(
    "content",
    [
        "<body>a<b>x<c>y</c></b>z</body>",
        "<body>first</body><body>second</body>",
        "<extraParams><a>1</a></extraParams><body/><extraParams><b>2</b></extraParams>",
        "<extraParams xmlns=''><a>1</a></extraParams>",
        "<extraParams><attachment xmlns='' id='1'/><attachment id='2'>x</attachment></extraParams>",
        "<extraParams><k><attachment id='1'/></k><l>t<m/>t</l></extraParams>",
        "<foreign xmlns=''/><foreign/>",
        "text<body>b</body>",
        "",
    ],
)
def test_odd_messages_too_read_the_same_inside_another_stanza(content: str) -> None:
    direct, forwarded = both_ways(f"<message xmlns='jabber:client' id='1'>{content}</message>")
    assert forwarded == direct


@pytest.mark.parametrize("size", [1, 3, 9, 10_000])
@pytest.mark.parametrize("more", range(-12, 13))
def test_the_pieces_do_not_decide_whether_a_stanza_is_too_large(size: int, more: int) -> None:
    limit = 200
    body = "x" * (limit - len("<message><body></body>") + more)
    data = HEADER + f" <message><body>{body}</body></message>".encode()
    items: list[Item] = []
    made = StreamParser(stanza_bytes=limit, stanza_depth=5, stanza_elements=100)
    for start in range(0, len(data), size):
        made.feed(data[start : start + size], items)
    assert isinstance(items[1], RefusedElement) == (more > 0)
