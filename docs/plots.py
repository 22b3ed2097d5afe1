"""Draws the plots of docs/performance.md: ``python docs/plots.py``, once new figures are stored.

It needs matplotlib (``pip install connectycube[bench]``), and the pages do not: the plots are committed. They
are as wide as a telephone. Their colours follow the reader's choice of light or dark, on a ground of their
own, so that they can be read wherever they are shown. Each plot holds a digest of the figures that it was
drawn from, and a test compares it with docs/performance.json.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RATIOS, GROWTH = "performance-ratios.svg", "performance-growth.svg"

_DARK_OF = {
    "#fdfdfe": "#1a1c1e",  # the ground
    "#1d1f21": "#e4e6e8",  # text
    "#c8ccd0": "#4a4e53",  # grid
    "#1f6f8b": "#5bb3cf",  # reached, or without a goal
    "#b8541c": "#e8935c",  # missed
    "#6b4fa0": "#b39ddb",
    "#3c7d3c": "#86c586",
    "#8a6d00": "#d9b84a",
    "#a03060": "#e58bb0",
}
"""Each colour of the plots, and the one that takes its place where the reader has chosen dark."""
_GROUND, _TEXT, _GRID, _GOOD, _MISSED, *_MORE = _DARK_OF
_INCHES = 4.0  # 288 points, which browsers show as 384 pixels


def figures() -> list[dict[str, Any]]:
    """Return the rows of docs/performance.json."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "performance.json").read_text("utf-8"))[
        "rows"
    ]
    return found


def ratios_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that the first plot shows."""
    return [row for row in rows if row["unit"] == "x"]


def growth_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that the second plot shows."""
    return [row for row in rows if row.get("points")]


def digest_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return what a plot of these rows holds."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def draw_ratios(rows: Sequence[dict[str, Any]]) -> str:
    """Draw a bar for each ratio, its quartiles, and its goal."""
    figure, axes = _figure(0.42 * len(rows) + 0.7, left=0.12, right=0.12, bottom=0.5)
    for place, row in enumerate(rows):
        missed = row["goal"] is not None and row["value"] > row["goal"]
        axes.barh(place, row["value"], height=0.32, color=_MISSED if missed else _GOOD)
        if row.get("quartiles"):
            axes.plot(row["quartiles"], (place, place), color=_TEXT, linewidth=1)
        if row["goal"] is not None:
            axes.plot((row["goal"],) * 2, (place - 0.27, place + 0.27), color=_TEXT, linewidth=2)
        axes.text(0.0, place - 0.34, f"{row['name']} / {row['peer']}", fontsize=8, color=_TEXT)
        end = max(row["value"], *row.get("quartiles", ()), row["goal"] or 0.0)
        axes.text(end + 0.07, place, f"{row['value']:.2f}", fontsize=8, va="center", color=_TEXT)
    axes.axvline(1.0, color=_GRID, linewidth=1, zorder=0)
    axes.set_ylim(len(rows) - 0.5, -0.75)
    axes.set_xlim(0.0, max(row["value"] for row in rows) * 1.12)
    axes.set_yticks([])
    axes.set_xlabel("times what the peer costs", fontsize=8, color=_TEXT)
    return _text_of(figure, digest_of(rows))


def draw_growth(rows: Sequence[dict[str, Any]]) -> str:
    """Draw how each cost changes with the number of what is named, beside a cost in proportion to it."""
    figure, axes = _figure(4.6, left=0.62, right=0.15, bottom=1.75)
    colours = [_GOOD, _MISSED, *_MORE]
    for row, colour, marker in zip(rows, colours, "os^Dvp", strict=False):
        (least, cost), *_ = row["points"]
        sizes = [size / least for size, _ in row["points"]]
        costs = [seconds / cost for _, seconds in row["points"]]
        name = f"{row['name'].rpartition(', ')[0]} / {row['peer']}"
        axes.plot(
            sizes, costs, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name
        )
    axes.plot((1, 100), (1, 100), color=_GRID, linewidth=1.4, linestyle="--", label="in proportion")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.05, 100)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.grid(color=_GRID, linewidth=0.5)
    axes.set_xlabel("times as many", fontsize=8, color=_TEXT)
    axes.set_ylabel("times the CPU of one", fontsize=8, color=_TEXT)
    below = (-0.17, -0.16)
    axes.legend(
        fontsize=7.5, frameon=False, labelcolor=_TEXT, loc="upper left", bbox_to_anchor=below
    )
    return _text_of(figure, digest_of(rows))


def _figure(height: float, *, left: float, right: float, bottom: float) -> tuple[Any, Any]:
    """Return a figure with its axes, of this height and with these margins, in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "connectycube", "font.family": "sans-serif"}
    )
    figure = Figure(figsize=(_INCHES, height), facecolor=_GROUND)
    axes = figure.add_subplot(facecolor=_GROUND)
    figure.subplots_adjust(left / _INCHES, bottom / height, 1 - right / _INCHES, 1 - 0.12 / height)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.tick_params(colors=_TEXT, labelsize=8, which="both", color=_GRID)
    return figure, axes


def _text_of(figure: Any, digest: str) -> str:
    """Return a figure as SVG, with its digest and the colours of the dark."""
    file = io.StringIO()
    figure.savefig(file, format="svg", facecolor=_GROUND, metadata={"Date": None})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in _DARK_OF.items()
        for kind in ("fill", "stroke")
    )
    dark = f"@media (prefers-color-scheme:dark){{{rules}}}"
    style = f"<style>text{{font-family:system-ui,sans-serif !important}}{dark}</style>"
    head = rf"\1<!-- figures: {digest} -->{style}"
    text = re.sub(r"(<svg [^>]*>)", head, file.getvalue(), count=1)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main() -> None:
    """Draw both plots."""
    rows = figures()
    for name, draw, chosen in (
        (RATIOS, draw_ratios, ratios_of(rows)),
        (GROWTH, draw_growth, growth_of(rows)),
    ):
        if chosen:
            (FOLDER / name).write_text(draw(chosen), encoding="utf-8")


if __name__ == "__main__":
    main()
