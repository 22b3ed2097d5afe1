from __future__ import annotations

from itertools import accumulate
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.xmpp.element import Element
from connectycube.emulator.xmpp.parser import StreamClosed, StreamHeader, StreamParser, parse

HEADER = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' id='1'>"

TEXT = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        include_characters="\t\n\r",
        exclude_characters="\ufffe\uffff",
    ),
    min_size=1,
    max_size=20,
)
NAMES = st.from_regex(r"[a-zA-Z_é][a-zA-Z0-9_.\-é]{0,8}", fullmatch=True)
NAMESPACES = st.sampled_from(["jabber:client", "urn:one", "urn:two?a=1&b='2'"])
KEYS = NAMES.filter(lambda name: not name.lower().startswith("xml")) | NAMES.map(
    lambda name: f"{{urn:attribute}}{name}"
)


def element(name, namespace, attributes, children):
    return Element(name, namespace, attributes, *children)


ELEMENTS = st.recursive(
    st.builds(element, NAMES, NAMESPACES, st.dictionaries(KEYS, TEXT, max_size=3), st.just([])),
    lambda inner: st.builds(
        element,
        NAMES,
        NAMESPACES,
        st.dictionaries(KEYS, TEXT, max_size=3),
        st.lists(inner | TEXT, max_size=4),
    ),
    max_leaves=10,
)


def shape(node):
    """Return an element as plain values, adjacent texts joined as a parser may split them."""
    children = []
    for child in node.children:
        if isinstance(child, str) and children and isinstance(children[-1], str):
            children[-1] += child
        else:
            children.append(child if isinstance(child, str) else shape(child))
    return node.name, node.namespace, node.attributes, children


@given(ELEMENTS)
def test_what_is_written_is_read_again(node):
    assert shape(parse(node.to_xml("jabber:client"))) == shape(node)
    assert shape(parse(node.to_xml())) == shape(node)


@given(st.lists(ELEMENTS, max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=50))
def test_chunks_do_not_matter(nodes, sizes):
    text = HEADER + " ".join(node.to_xml("jabber:client") for node in nodes) + "</s:stream>"
    data, events = text.encode(), []
    parser = StreamParser(max_bytes=10**6, max_depth=64)
    while data:
        size = sizes[len(data) % len(sizes)]
        found, fault = parser.feed(data[:size])
        assert fault is None
        events += found
        data = data[size:]
    header, *stanzas, closed = events
    assert isinstance(header, StreamHeader)
    assert header.content_namespace == "jabber:client"
    assert isinstance(closed, StreamClosed)
    assert [shape(stanza) for stanza in stanzas] == [shape(node) for node in nodes]


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_a_fault_or_nothing_and_never_raises(data, after_header):
    parser = StreamParser(max_bytes=1000, max_depth=5)
    if after_header:
        parser.feed(HEADER.encode())
    parser.feed(data)


@pytest.mark.parametrize(("size", "too_large"), [(90, False), (1500, True)])
def test_bound_counts_each_stanza_alone(size, too_large):
    parser = StreamParser(max_bytes=1000, max_depth=5)
    parser.feed(HEADER.encode())
    for _ in range(50):
        events, fault = parser.feed(b"<m>" + b"x" * size + b"</m>")
        assert (fault is not None) == too_large
        if too_large:
            assert fault.condition == "policy-violation"
            break
        assert len(events) == 1


def test_many_stanzas_in_one_chunk_may_exceed_the_bound_together():
    parser = StreamParser(max_bytes=1000, max_depth=5)
    events, fault = parser.feed((HEADER + "<m>hello</m>" * 1000).encode())
    assert (len(events), fault) == (1001, None)


# --- each element as soon as its last byte is there ---------------------------------------------------

STANZAS = (
    b"<m/>",
    b"<m to='a>b' from=\"'>\"><body>1 > 0, &lt; and \"</body></m>",
    b"<m><b>" + b"x" * 99 + b"&#x0000000000000000041;</b></m>",
    b"<m><![CDATA[ <not> a 'tag ]> ]]]]></m>",
    "<m\n a = '1'\n>\r\n€ ]]</m  >".encode(),
    b"<x:y xmlns:x='u'><x:z q='&quot;&gt;'/></x:y>",
)
SPACES = st.sampled_from([b"", b" ", b"\r\n", b"\r"])
INCOMPLETE = [
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
]
"""What expat says at the end of a document that ends inside a token."""


class Watched(StreamParser):
    """Notes which bytes expat is given."""

    given = b""

    def _feed_expat(self, data, final):
        self.given += data
        super()._feed_expat(data, final)


def ends_inside_a_token(data):
    try:
        expat.ParserCreate("UTF-8").Parse(data, True)
    except expat.ExpatError as error:
        return error.code in INCOMPLETE
    return False


@given(
    stanzas=st.lists(st.tuples(st.sampled_from(STANZAS), SPACES), max_size=6),
    cuts=st.lists(st.integers(1, 60), max_size=60),
)
def test_an_element_is_reported_with_its_last_byte(stanzas, cuts):
    data = HEADER.encode() + b"".join(stanza + spaces for stanza, spaces in stanzas)
    starts = accumulate((len(b"".join(pair)) for pair in stanzas), initial=len(HEADER))
    ends = [start + len(stanza) for (stanza, _), start in zip(stanzas, starts, strict=False)]
    parser, found, fed = Watched(max_bytes=10**6, max_depth=9), 0, 0
    for size in [*cuts, len(data)]:
        events, fault = parser.feed(data[fed : fed + size])
        assert fault is None
        fed = min(fed + size, len(data))
        found += sum(isinstance(event, Element) for event in events)
        assert found == sum(end <= fed for end in ends)
        # Expat may defer a token whose beginning it has seen, so it must see none.
        assert not ends_inside_a_token(parser.given)


@pytest.mark.parametrize(
    "broken", ["<<", "<m <", "<m a='<", '<m a="1" b="<', "<!DOCTYPE m [<", "</m a<"]
)
def test_a_tag_that_holds_another_is_refused_at_once(broken):
    parser = StreamParser(max_bytes=1000, max_depth=5)
    parser.feed(HEADER.encode())
    assert parser.feed(broken.encode())[1] is not None


def test_white_space_between_stanzas_does_not_pile_up():
    parser = Watched(max_bytes=1000, max_depth=5)
    parser.feed(HEADER.encode())
    for _ in range(100):
        assert parser.feed(b" " * 50) == ([], None)
    assert parser.given == HEADER.encode() + b" " * 5000


@pytest.mark.parametrize(
    ("before", "condition"),
    [("", "not-well-formed"), (HEADER, "bad-format")],
    ids=["first", "later"],
)
def test_text_outside_stanzas_is_refused_at_once(before, condition):
    parser = StreamParser(max_bytes=1000, max_depth=5)
    parser.feed(before.encode())
    _, fault = parser.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert fault is not None
    assert fault.condition == condition


@pytest.mark.parametrize(
    "form", ["<n{}/>", "<a n{}='1'/>", "<a xmlns='n{}'/>", "<n{0}:a xmlns:n{0}='x'/>"]
)
def test_a_stream_has_a_bound_of_different_names(form):
    parser = StreamParser(max_bytes=10_000, max_depth=10)
    parser.feed(b"<stream:stream xmlns='jabber:client' xmlns:stream='s'>")
    for number in range(30_000):
        _, fault = parser.feed(form.format(number).encode())
        if fault is not None:
            break
    assert (fault and fault.condition, 9_000 < number < 20_001) == ("policy-violation", True)
