from __future__ import annotations

import gc
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import nodes
from connectycube.chat.protocol.parser import StreamParser
from connectycube.errors import ArgumentValueError
from tests.unit.chat.protocol.texts import texts

names = st.sampled_from(["a", "b-c", "größe", "x1"])
namespaces = st.sampled_from(["jabber:client", "urn:a", "urn:b&<\"'"])
attributes = st.dictionaries(names, texts, max_size=2)
elements: st.SearchStrategy[Any] = st.recursive(
    st.builds(nodes.element, names, namespaces, attributes),
    lambda inner: st.builds(
        lambda name, namespace, attrs, content: nodes.element(name, namespace, attrs, *content),
        names,
        namespaces,
        attributes,
        st.lists(st.one_of(inner, texts.filter(bool)), max_size=4),
    ),
    max_leaves=6,
)


def as_tuple(node: Any) -> Any:
    """A Node as plain data: name, namespace, attributes, and content in its order."""
    content: list[Any] = []
    for position in range(max(len(node.data), len(node.kids))):
        if position < len(node.data) and node.data[position]:
            content.append(node.data[position])
        if position < len(node.kids):
            content.append(as_tuple(node.kids[position]))
    return node.name, node.namespace, dict(node.attrs), content


def etree_as_tuple(element: ElementTree.Element) -> Any:
    namespace, _, name = element.tag[1:].partition("}")
    content: list[Any] = [element.text] if element.text else []
    for kid in element:
        content += [etree_as_tuple(kid)] + ([kid.tail] if kid.tail else [])
    return name, namespace, dict(element.attrib), content


@given(elements)
def test_another_parser_reads_what_was_serialised(node: Any) -> None:
    assert etree_as_tuple(ElementTree.fromstring(nodes.serialise(node).encode())) == as_tuple(node)


@given(elements)
def test_our_parser_reads_what_was_serialised_inside_a_stream(node: Any) -> None:
    parser = StreamParser(stanza_bytes=100_000, stanza_depth=64, stanza_elements=1_000)
    items: list[Any] = []
    wrapped = nodes.serialise(nodes.element("iq", "jabber:client", {}, node), "jabber:client")
    header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    parser.feed((header + wrapped).encode(), items)
    (kid,) = nodes.children(items[1])
    assert as_tuple(kid) == as_tuple(node)


def test_a_namespace_is_written_only_where_it_changes() -> None:
    node = nodes.element("a", "urn:a", {}, nodes.element("b", "urn:a"), nodes.element("c", "urn:c"))
    assert nodes.serialise(node) == '<a xmlns="urn:a"><b/><c xmlns="urn:c"/></a>'
    assert nodes.serialise(node, "urn:a") == '<a><b/><c xmlns="urn:c"/></a>'


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (nodes.element("a b", "urn:a"), "element has the key 'a b'"),
        (nodes.element("a", "urn:a", {"x y": "1"}), "attribute has the key 'x y'"),
        (nodes.element("a", "urn:a", {"x": "\x01"}), r"attribute x holds U\+0001 at position 0"),
        (nodes.element("a", "urn:a", {}, "ab\x00"), r"a holds U\+0000 at position 2"),
        (nodes.element("a", "urn:\x02"), r"namespace holds U\+0002 at position 4"),
    ],
)
def test_what_xml_forbids_is_refused_by_place(node: Any, words: str) -> None:
    with pytest.raises(ArgumentValueError, match=f"^{words}"):
        nodes.serialise(nodes.element("outer", "urn:a", {}, node))


def test_child_finds_by_name_and_namespace() -> None:
    first, second = nodes.element("x", "urn:a"), nodes.element("x", "urn:b")
    node = nodes.element("a", "urn:a", {}, "text", first, second)
    assert nodes.child(node, "x", "urn:b") is second
    assert nodes.child(node, None, "urn:a") is first
    assert nodes.child(node, "y", "urn:a") is None
    assert list(nodes.children(node)) == [first, second]


def test_an_element_has_attributes_of_its_own() -> None:
    given_attributes = {"x": "1"}
    nodes.element("a", "urn:a", given_attributes).attrs["y"] = "2"
    assert given_attributes == {"x": "1"}


def test_nodes_leave_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        node = nodes.element("a", "urn:a", {}, nodes.element("b", "urn:a", {}, "text"))
        del node
        assert gc.collect() == 0
    finally:
        gc.enable()
