from __future__ import annotations

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
