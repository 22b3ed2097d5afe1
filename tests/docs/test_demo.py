"""The picture of the demo is that of a recorded run, and the run is that of today's demo."""

from __future__ import annotations

import json
import re
import runpy
from xml.etree import ElementTree

from connectycube.cli import demo
from tests.support.paths import ROOT

CAST = (ROOT / "docs" / "demo.cast").read_text(encoding="utf-8")
PICTURE = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
maker = runpy.run_path(str(ROOT / "docs" / "demo.py"))


def cast(*events, width=20):
    rows = [{"version": 2, "width": width, "height": 5}, *([at, "o", text] for at, text in events)]
    return "\n".join(map(json.dumps, rows))


def test_the_picture_is_made_of_the_cast():
    assert maker["picture_of"](CAST) == PICTURE


def test_the_cast_has_each_title_and_line_of_the_demo():
    said = "".join(text for _, _, text in map(json.loads, CAST.splitlines()[1:]))
    source = (ROOT / "connectycube" / "cli" / "demo.py").read_text(encoding="utf-8")
    titles = re.findall(r'self\.headline\("([^"{]+)"\)', source)
    assert len(titles) == 5
    assert [
        text for text in (*titles, *demo._LINES, demo._LINE_WHILE_CUT) if text not in said
    ] == []
    assert "Everything arrived" in said


def test_each_line_of_the_cast_is_a_text_of_the_picture():
    root = ElementTree.fromstring(PICTURE)
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [line.text for line in maker["lines_of"](CAST)]


def test_the_picture_has_colours_for_the_dark_and_stands_still_on_demand():
    assert "prefers-color-scheme: dark" in PICTURE and "prefers-reduced-motion: reduce" in PICTURE


def test_pieces_of_output_make_lines_and_long_lines_are_folded():
    lines = [*maker["lines_of"](cast((0.5, "on"), (1.0, "e\r\ntwo\tthree and more than that\r\n")))]
    assert lines == [(1.0, "one"), (1.0, "two three and more t"), (1.0, "han that")]


def test_wide_characters_take_two_cells():
    assert [line.text for line in maker["lines_of"](cast((0, "你好吗\r\n"), width=4))] == [
        "你好",
        "吗",
    ]


def test_markup_in_a_line_is_text():
    assert "&lt;b&gt; &amp;" in maker["picture_of"](cast((0.0, "$ x\r\n"), (1.0, "<b> & \r\n")))
