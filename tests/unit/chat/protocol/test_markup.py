from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given

from connectycube.chat.protocol import markup
from tests.unit.chat.protocol.texts import texts


@given(texts)
def test_text_is_read_back_as_it_was(value: str) -> None:
    assert (ElementTree.fromstring(f"<a>{markup.text(value)}</a>".encode()).text or "") == value


@given(texts)
def test_an_attribute_is_read_back_as_it_was(value: str) -> None:
    element = ElementTree.fromstring(f'<a b="{markup.attribute(value)}"/>'.encode())
    assert element.attrib["b"] == value


SPECIAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
IN_ATTRIBUTES = {**SPECIAL, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


@given(texts)
def test_each_special_character_is_escaped_once(value: str) -> None:
    assert markup.text(value) == "".join(SPECIAL.get(character, character) for character in value)
    escaped = "".join(IN_ATTRIBUTES.get(character, character) for character in value)
    assert markup.attribute(value) == escaped
