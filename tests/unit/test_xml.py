from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import _xml as xml
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.unit.chat.protocol.texts import FORBIDDEN, LEGAL, texts


@given(LEGAL)
def test_every_character_that_xml_allows_passes(character: str) -> None:
    assert xml.check_text("body", character) == character
    assert xml.clean(character) == character


@given(texts, FORBIDDEN, texts)
def test_a_forbidden_character_is_refused_by_argument_code_and_position(
    before: str, forbidden: str, after: str
) -> None:
    with pytest.raises(ArgumentValueError) as caught:
        xml.check_text("body", before + forbidden + after)
    assert str(caught.value).startswith(
        f"body holds U+{ord(forbidden):04X} at position {len(before)},"
    )


@given(texts, FORBIDDEN, texts)
def test_clean_replaces_each_forbidden_character_and_nothing_else(
    before: str, forbidden: str, after: str
) -> None:
    assert xml.clean(before + forbidden + after) == f"{before}\ufffd{after}"


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
def test_what_is_no_string_is_refused_by_name(value: object) -> None:
    with pytest.raises(
        ArgumentTypeError, match=f"^body must be a string, not {type(value).__name__}"
    ):
        xml.check_text("body", value)
    with pytest.raises(ArgumentTypeError, match=r"^custom must have string keys"):
        xml.check_name("custom", value)


@pytest.mark.parametrize("name", ["a", "_a", "A-1.b_", "größe", "имя", "名前", "content-type", "é"])
def test_xml_names_are_accepted(name: str) -> None:
    assert xml.check_name("custom", name) == name
    assert ElementTree.fromstring(f"<{name}/>").tag == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "1",
            "-a",
            ".a",
            "a b",
            "a\n",
            "a:b",
            ":a",
            "a/",
            "a>",
            "a<b",
            "<",
            "a'",
            "a\x00",
        ),
        *("ü x", "ü=''", "ü/><b", "ü\x00", "ü&amp;", "é:b", "😀", "٣", "‿a", "\ud800", "ü\ud800"),
    ],
)
def test_what_is_no_xml_name_is_refused(name: str) -> None:
    with pytest.raises(
        ArgumentValueError, match=r"^custom has the key .* which is not an XML name$"
    ):
        xml.check_name("custom", name)


def test_the_name_that_declares_a_namespace_is_refused() -> None:
    with pytest.raises(ArgumentValueError, match=r"^custom has the key 'xmlns', which declares a"):
        xml.check_name("custom", "xmlns")


@given(st.text(max_size=8))
def test_a_name_that_passes_is_one_element_to_another_parser(name: str) -> None:
    try:
        xml.check_name("custom", name)
    except ArgumentValueError:
        return
    element = ElementTree.fromstring(f"<{name}/>".encode())
    assert element.tag == name
    assert not element.attrib and not len(element) and not element.text
