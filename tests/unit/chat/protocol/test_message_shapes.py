"""A message that has the shape of an earlier one is read as the parser would read it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectycube.chat.protocol import plain_messages
from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.message_shapes import VALUES, shape_of
from connectycube.chat.protocol.message_trees import MessageTrees
from connectycube.chat.protocol.parser import StreamParser
from connectycube.chat.protocol.plain_messages import PlainMessages
from connectycube.errors import StreamProtocolError
from tests.bench import chat_material as material
from tests.support.parsers import shown
from tests.unit.chat.protocol.stanzas import ALICE, HEADER, ID, chat
from tests.unit.chat.protocol.test_plain_messages import MARKED

OPEN = re.compile(r"%([a-z]+)%")
TEXTS = st.sampled_from(
    [
        *(
            "",
            "a",
            "ü🚀",
            " a\tb\nc ",
            "a\rb",
            "it&apos;s",
            "&amp;lt;",
            "&lt;b&gt;",
            "&#10;",
            "&#x1F680;",
        ),
        *(
            "a>b",
            "]]>",
            "<b/>",
            "<b>c</b>",
            "<![CDATA[&]]>",
            "<!-- a -->",
            "<?a b?>",
            "&unknown;",
            "&",
            "<",
        ),
        *(
            "\x01",
            "\ufffe",
            "\uffff",
            "\ud800",
            "'",
            '"',
            "1633780800",
            "</body><body>",
            "\x7f\x85\u2028",
        ),
        *(
            "</message>",
            "</message><message>",
            "'/><x a='",
            "1",
            "0",
            "true",
            "f" * 24,
            "-5",
            "9" * 40,
        ),
    ]
)
SKELETONS = st.sampled_from(
    [
        "<message from='%jid%' to='%jid%' type='%kind%' id='%id%'><body>%text%</body></message>",
        '<message id="%id%" from="%jid%" xml:lang="%text%"><body xml:lang="%text%">%text%</body></message>',
        "<message id='%id%' from='%jid%'><extraParams a='%text%'>%text%<date_sent>%text%</date_sent>%text%"
        f"<topic>%text%</topic><silent>%text%</silent></extraParams>{MARKED}<body>%text%</body></message>",
        "<message id='%id%' from='%jid%' xmlns:p='urn:x' p:id='%text%'><body>a</body><extraParams>"
        "<body>%text%</body><markable>%text%</markable><read>%text%</read></extraParams></message>",
        "<message id='%id%' from='%jid%' type='%kind%'><extraParams xmlns='jabber:client'><dialog_id>%id%"
        "</dialog_id><attachment id='%text%' uid='%text%' size='%text%' data='%text%'/>"
        "<attachment url='%text%' width='%text%'>%text%</attachment></extraParams></message>",
        "<message id='%id%' from='%jid%' ><body >%text%</body ><extraParams\n><a>%text%</a><a>%text%</a>"
        "<b p:c='%text%' xmlns:p='urn:y'>%text%</b></extraParams> </message>",
        "<message id='%id%' from='%jid%'><attachment/><body>%text%</body>%text%</message>",
    ]
)
WORDS = {
    "jid": st.sampled_from(
        ["1002-7@chat.example/a", "1001-7@chat.example", "7_d@muc.chat.example/1002", ""]
    ),
    "kind": st.sampled_from(["chat", "groupchat", "normal", "error", "headline", ""]),
    "id": st.sampled_from([ID, "f" * 24, "0" * 24, "x"]),
}


@st.composite
def filled(draw, skeleton, plainly):
    """A message of a skeleton; ``plainly``: it is plain."""

    def fill(found):
        if plainly:
            given = {"jid": "1002-7@chat.example/a", "kind": "chat", "id": ID}
            return given.get(found[1], "a text")
        return draw(TEXTS if found[1] == "text" else WORDS[found[1]] | TEXTS)

    return OPEN.sub(fill, skeleton).encode(errors="surrogatepass")


@st.composite
def series(draw):
    """Messages of one shape or two, in which anything may stand."""
    skeletons = draw(st.lists(SKELETONS, min_size=1, max_size=2))
    first = [draw(filled(skeleton, True)) for skeleton in skeletons]
    later = draw(
        st.lists(st.sampled_from(skeletons).flatmap(lambda each: filled(each, False)), max_size=6)
    )
    return [*first, *later]


def read(pieces, learns, monkeypatch):
    """All that a parser makes of messages, and its fault; with ``learns`` each of them makes a shape."""
    monkeypatch.setattr(plain_messages, "_FIRST_WAIT", 1 if learns else 10**9)
    monkeypatch.setattr(plain_messages, "_LONGEST_WAIT", 1)
    parser = StreamParser(stanza_bytes=10_000, stanza_depth=5, stanza_elements=20)
    items, fault = [], ""
    parser.feed(HEADER, items)
    plain = parser.plain = PlainMessages(Addresses(7, "chat.example"), ALICE, 20)
    try:
        for piece in pieces:
            parser.feed(piece, items)
    except StreamProtocolError as error:
        fault = re.sub(r": line \d+, column \d+", "", str(error))
    if learns and not fault:
        assert plain.shapes or not any(isinstance(item, Delivery) for item in items)
    return [shown(item) for item in items], fault


@given(messages=series(), together=st.booleans())
@example(
    messages=[chat(f"<body>{text}</body>").encode() for text in ("a", "<b/>", "]]>")], together=True
)
def test_messages_of_a_shape_are_read_as_the_parser_reads_them(messages, together):
    pieces = [b"".join(messages)] if together else messages
    with pytest.MonkeyPatch.context() as patch:
        assert read(pieces, True, patch) == read(pieces, False, patch)


def learned(xml):
    tree = MessageTrees(HEADER).read(xml.encode(), 1)[0]
    return shape_of(xml, tree)


def test_a_shape_tells_the_values_of_other_messages():
    shape = learned(material.message(1).decode())
    other = material.message(2).decode().replace(material.TEXT, "it&apos;s &lt;six&gt; &amp;amp;")
    values = dict(zip(VALUES, shape.first(shape.match(other)), strict=True))
    assert (values["id"], values["body"]) == (f"{2:024x}", "it's <six> &amp;")
    assert values["{jabber:client}silent"] is None


@pytest.mark.parametrize(
    ("part", "other"),
    [
        *(
            (">We", text)
            for text in (">\x01", ">\r", ">\ufffe", ">&a;", ">&#65;", "><b/>", ">]]>", ">&")
        ),
        *(
            ("'map.png'", text)
            for text in ("'\t'", "'\n'", "'a>b'", "'&#9;'", "'a' b='c'", '"map.png"')
        ),
        ("jabber:client", "urn:x"),
        ("chat-markers:0", "chat-markers:1"),
        ("<topic>", "<topics>"),
        ("</message>", "</message>\0"),
        ("</message>", "</message>\n"),
    ],
)
def test_what_differs_in_more_than_values_has_another_shape(part, other):
    xml = material.message(1).decode()
    shape = learned(xml)
    assert shape.match(xml) and not shape.match(xml.replace(part, other))


@pytest.mark.parametrize(
    "xml",
    [
        chat("<body><![CDATA[a]]></body>"),
        chat("<body>a</body><extraParams><attachment color='red'/></extraParams>"),
        chat("<body>a</body><extraParams><empty/></extraParams>"),
        *(
            chat(f"<body>a</body><extraParams><{name}>0</{name}><{name}/></extraParams>")
            for name in ("silent", "save_to_history", "markable", "date_sent", "dialog_id")
        ),
        chat(f"<body>a</body><extraParams>{'<read>1</read>' * 92}</extraParams>"),
    ],
)
def test_some_messages_have_no_shape(xml):
    assert learned(xml) is None


def plain_messages_of(*messages):
    plain = PlainMessages(Addresses(7, "chat.example"), ALICE, 20)
    trees = MessageTrees(HEADER)
    for xml in messages:
        tree = trees.read(xml, 1)[0]
        delivery = plain.read(tree, len(xml))
        plain.learn(xml, tree, delivery)
    return plain


def test_a_long_name_costs_time_that_is_linear_in_its_length():
    name = "a" * 30_000
    began = time.thread_time()
    assert learned(chat(f"<body>a</body><extraParams><{name}>1</{name}></extraParams>"))
    assert time.thread_time() - began < 1, "quadratic time is ten times as long"


def test_an_empty_parameter_counts_if_it_is_the_last_of_its_name():
    def message(text):
        params = f"<silent>{text}</silent><silent/>"
        return chat(f"<body>a</body><extraParams>{params}</extraParams>").encode()

    plain = plain_messages_of(*[message("0")] * 8)
    delivery = plain.read_alike(message("1"), 100)
    assert delivery is None or not delivery.event.silent


def test_a_shape_is_learned_once_several_messages_had_no_known_one():
    written = [material.message(number) for number in range(20)]
    assert not plain_messages_of(*written[:7]).shapes
    plain = plain_messages_of(*written[:8])
    assert len(plain.shapes) == 1
    assert plain.read_alike(written[9], 583).event.id == f"{9:024x}"


def test_shapes_are_few_and_learned_ever_more_rarely():
    def message(number):
        return chat(f"<body>a</body><extraParams><p{number}>b</p{number}></extraParams>").encode()

    plain = plain_messages_of(*map(message, range(2_100)))
    learned = [shape.custom[0][0] for shape in plain.shapes]
    assert learned == ["p2039", "p1015", "p503", "p247", "p119", "p55"]


def test_shapes_that_do_not_fit_rest_for_a_while():
    known, other = (chat(f"<body>a</body>{more}").encode() for more in ("", MARKED))
    plain = plain_messages_of(*[known] * 8)
    tree = MessageTrees(HEADER).read(other, 1)[0]
    for _ in range(7):
        assert plain.read_alike(other, 100) is None and plain.shapes
    assert plain.read_alike(known, 100) and plain.shapes
    for _ in range(8):
        plain.read_alike(other, 100)
    assert not plain.shapes, "then they are not tried"
    plain._until_learning = 1_000
    for _ in range(64):
        assert not plain.shapes
        plain.learn(other, tree, None)
    assert plain.read_alike(known, 100)


def test_a_shape_that_is_learned_wakes_those_that_rest():
    known, other = (chat(f"<body>a</body>{more}").encode() for more in ("", MARKED))
    plain = plain_messages_of(*[known] * 8)
    for _ in range(8):
        plain.read_alike(other, 100)
    tree = MessageTrees(HEADER).read(other, 1)[0]
    for _ in range(16):
        plain.learn(other, tree, plain.read(tree, 100))
    assert plain.read_alike(known, 100) and plain.read_alike(other, 100)


def test_a_shape_that_does_not_fit_its_own_message_is_not_kept():
    plain = PlainMessages(Addresses(7, "chat.example"), ALICE, 20)
    parser = StreamParser(stanza_bytes=10_000, stanza_depth=5, stanza_elements=20)
    items = []
    parser.feed(HEADER, items)
    parser.plain = plain
    known, referring = (chat(f"<body>{text}</body>").encode() for text in ("a", "a&#65;"))
    # A second shape is due with the seventh message in a row that the first one does not fit.
    written = [known] * 8 + [referring, known] * 9 + [referring] * 7
    for message in written:
        parser.feed(message, items)
    assert len(items) == 1 + len(written)
    assert all(isinstance(item, Delivery) for item in items[1:])
    assert len(plain.shapes) == 1 and not plain._resting


def test_a_long_message_makes_no_shape():
    plain = plain_messages_of(*[chat(f"<body>{'a' * 5_000}</body>").encode()] * 10)
    assert not plain.shapes


def test_the_shape_that_fits_is_tried_first():
    text, marked = (chat(f"<body>a</body>{more}").encode() for more in ("", MARKED))
    plain = plain_messages_of(*[text] * 8, *[marked] * 16)
    assert [shape.is_marked for shape in plain.shapes] == [True, False]
    plain.read_alike(text, 100)
    assert [shape.is_marked for shape in plain.shapes] == [False, True]
