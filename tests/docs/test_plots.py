"""The plots of docs/performance.md: drawn from the figures beside them, readable in light and dark."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from xml.etree import ElementTree

import pytest

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
_POINT = 4 / 3  # pixels


@pytest.fixture(scope="module")
def plots():
    spec = importlib.util.spec_from_file_location("docs_plots", DOCS / "plots.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("docs_plots", None)


@pytest.fixture(params=["RATIOS", "GROWTH"])
def plot(request, plots):
    """A plot's text and the rows that it shows."""
    name = getattr(plots, request.param)
    chosen = plots.ratios_of if request.param == "RATIOS" else plots.growth_of
    return (DOCS / name).read_text(encoding="utf-8"), chosen(plots.figures())


def test_a_plot_is_of_the_figures_beside_it(plots, plot):
    text, rows = plot
    advice = "run `pip install -e .[bench]` and `python docs/plots.py`"
    assert f"<!-- figures: {plots.digest_of(rows)} -->" in text, advice


def test_a_change_of_the_figures_would_be_noticed(plots):
    rows = plots.ratios_of(plots.figures())
    changed = [{**rows[0], "value": rows[0]["value"] + 0.01}, *rows[1:]]
    assert plots.digest_of(changed) != plots.digest_of(rows)


def test_each_row_is_in_its_plot_by_name(plot):
    text, rows = plot
    shown = "".join(ElementTree.fromstring(text).itertext())
    for row in rows:
        assert row["peer"] in shown and row["name"].partition(", ")[0].lstrip("… ") in shown


def test_a_plot_is_no_wider_than_a_telephone(plot):
    text, _ = plot
    width = re.search(r'width="([\d.]+)pt"', text)
    assert float(width[1]) * _POINT <= 390


def test_each_colour_of_a_plot_has_another_one_in_the_dark(plots, plot):
    text, _ = plot
    drawn = text[text.index("</style>") :]
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn))
    assert colours <= set(plots._DARK_OF)
    assert all(
        f'fill: {light}"]{{fill:{dark} !important}}' in text
        for light, dark in plots._DARK_OF.items()
    )


def _brightness(colour: str) -> float:
    """The relative luminance of a colour. (WCAG 2.1.)"""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("side", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_ground(plots, side):
    ground, text, _, *lines = plots._DARK_OF if side == "light" else plots._DARK_OF.values()
    for colour, least in ((text, 7.0), *((line, 4.0) for line in lines)):
        dim, bright = sorted((_brightness(ground), _brightness(colour)))
        assert (bright + 0.05) / (dim + 0.05) >= least, colour


def test_the_figures_of_growth_have_their_points(plots):
    rows = json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))["rows"]
    growing = [row for row in rows if row["unit"] == "^"]
    assert plots.growth_of(rows) == growing
    assert all(size > 0 < cost for row in growing for size, cost in row["points"])
