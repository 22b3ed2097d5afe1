"""The diagrams of the explanation: drawn from their source, the states from the table of the connection."""

from __future__ import annotations

import importlib
import re
import sys
from xml.etree import ElementTree

import pytest

from connectycube import ChatState
from connectycube.chat.protocol.states import TRANSITIONS
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
NAMES = ("messages.svg", "states.svg", "threads.svg")
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def diagrams():
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("diagrams")
    sys.path.remove(str(DOCS))
    for name in ("diagrams", "plots"):
        sys.modules.pop(name, None)


@pytest.fixture(params=NAMES)
def drawing(request) -> str:
    return (DOCS / "explanation" / request.param).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_diagram_is_what_its_source_draws(diagrams, name):
    text = (DOCS / "explanation" / name).read_text(encoding="utf-8")
    assert diagrams.DRAWINGS[name]() == text, "run `make docs`"


def test_every_diagram_is_on_a_page(diagrams):
    assert set(NAMES) == set(diagrams.DRAWINGS)
    pages = "".join(page.read_text() for page in (DOCS / "explanation").glob("*.md"))
    for name in NAMES:
        assert re.search(rf"!\[[^\]]{{40,}}\]\({re.escape(name)}\)", pages), (
            "with words for those who hear"
        )


def test_the_diagram_has_each_change_of_the_table(diagrams):
    text = diagrams.draw_states(TRANSITIONS)
    drawn = {
        (before, after)
        for title in re.findall(r"<title>([A-Z_, ]+ to [A-Z_]+)</title>", text)
        for first, after in [title.split(" to ")]
        for before in first.split(", ")
    }
    assert drawn == {
        (before.name, after.name)
        for before, followers in TRANSITIONS.items()
        for after in followers
    }


@pytest.mark.parametrize(
    "table",
    [
        {**TRANSITIONS, ChatState.CLOSED: frozenset()},
        {**TRANSITIONS, ChatState.IDLE: frozenset({ChatState.CONNECTING, ChatState.READY})},
        {**TRANSITIONS, ChatState.READY: frozenset({ChatState.FORCE_CLOSED})},
    ],
    ids=["change gone", "new change", "no logout"],
)
def test_a_table_that_differs_from_the_diagram_is_refused(diagrams, table):
    with pytest.raises(ValueError, match="the table of states differ: "):
        diagrams.draw_states(table)


def test_a_diagram_is_no_wider_than_a_telephone(drawing):
    assert int(ElementTree.fromstring(drawing).get("width")) <= 390


def test_a_diagram_has_a_title_and_colours_for_the_dark(drawing):
    root = ElementTree.fromstring(drawing)
    assert root.find(f"{_SVG}title").text
    style = root.find(f"{_SVG}style").text
    assert "@media (prefers-color-scheme:dark)" in style
    for colour in re.findall(r"var\((--\w+)\)", style):
        assert style.count(f"{colour}:#") == 2, colour
    assert not re.search(r'(?:fill|stroke)="#', drawing)
