"""Make docs/demo.svg of docs/demo.cast, and with ``--record`` that of a real run of ``connectycube demo``.

The cast is a recording as asciinema has it (version 2): a header, then time and text of each piece of output.
The picture plays it, in the light and in the dark, and stands still at its end for people who want no motion.
It knows text and ends of lines, which is all that the demo writes. The colours are the picture's own.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent
CAST = FOLDER / "demo.cast"
PICTURE = FOLDER / "demo.svg"
COMMAND = ["connectycube", "demo", "--pace", "1.2"]
COLUMNS, ROWS = 118, 26
PAUSE = 5.0
"""Seconds at the end, before it begins again."""
_CELL, _LINE, _EDGE = 8.43, 20, 18
_TITLE = "──"

STYLE = """
svg { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
text { fill: #1f2328; white-space: pre } .title { fill: #0a55b5; font-weight: 600 } .time { fill: #59636e }
.paper { fill: #f6f8fa; stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .title { fill: #6cb6ff } .time { fill: #9198a1 }
.paper { fill: #0d1117; stroke: #3d444d }
}
.lines, .lines > text { animation: %(seconds).2fs step-end infinite }
@media (prefers-reduced-motion: reduce) { .lines, .lines > text { animation: none } }
"""


class Line(NamedTuple):
    """A line of the screen, and when it was there."""

    at: float
    text: str


def record() -> None:
    """Run the demo on a terminal, and write the cast."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours, its = pty.openpty()
    began = time.monotonic()
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "connectycube demo"}
    rows = [json.dumps(header), json.dumps([0.0, "o", f"$ {' '.join(COMMAND)}\r\n"])]
    with subprocess.Popen(
        COMMAND, stdin=its, stdout=its, env={**os.environ, "PATH": programs}
    ) as process:
        os.close(its)
        rest = b""
        while data := _read(ours):
            whole, newline, rest = (rest + data).rpartition(b"\n")
            if newline:
                at = round(time.monotonic() - began, 3)
                rows.append(json.dumps([at, "o", (whole + newline).decode()], ensure_ascii=False))
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"the demo ended with status {process.returncode}")
    CAST.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the other end is closed
        return b""


def lines_of(cast: str) -> Iterator[Line]:
    """Yield the lines of a cast, as a terminal of its width shows them."""
    header, *events = map(json.loads, cast.splitlines())
    rest = ""
    for at, kind, text in events:
        if kind == "o":
            *whole, rest = (rest + text).replace("\r\n", "\n").split("\n")
            for line in whole:
                for row in _folded(line, header["width"]):
                    yield Line(at, row)


def _folded(line: str, width: int) -> Iterator[str]:
    row, used = "", 0
    for character in line.replace("\t", " "):
        cells = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used + cells > width:
            yield row
            row, used = "", 0
        row, used = row + character, used + cells
    yield row


def picture_of(cast: str) -> str:
    """Return the animated picture of a cast."""
    lines = list(lines_of(cast))
    seconds = lines[-1].at + PAUSE
    width, height = COLUMNS * _CELL + 2 * _EDGE, ROWS * _LINE + 2 * _EDGE
    frames, texts, scrolls = [], [], {0.0: 0}
    for number, line in enumerate(lines):
        percent = 100 * line.at / seconds
        if line.at:
            frames.append(
                f"@keyframes l{number} {{ 0% {{ opacity: 0 }} {percent:.2f}%, to {{ opacity: 1 }} }}"
            )
        scrolls[percent] = max(0, number + 1 - ROWS) * _LINE
        name = f' style="animation-name: l{number}"' if line.at else ""
        y = _EDGE + number * _LINE + 14
        texts.append(f'<text x="{_EDGE}" y="{y}"{name}>{_marked(line.text)}</text>')
    steps = " ".join(
        f"{at:.2f}% {{ transform: translateY(-{by}px) }}" for at, by in scrolls.items()
    )
    last = max(0, len(lines) - ROWS) * _LINE
    frames.append(f"@keyframes scroll {{ {steps} to {{ transform: translateY(-{last}px) }} }}")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
            f'height="{height}" role="img">',
            "<title>connectycube demo: two people talk, a link is cut and heals</title>",
            f"<style>{STYLE % {'seconds': seconds}}{chr(10).join(frames)}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" rx="8"/>',
            f'<svg y="{_EDGE - 4}" width="{width:.0f}" height="{ROWS * _LINE + 8}">',
            f'<g transform="translate(0 {4 - _EDGE})"><g class="lines" '
            f'style="animation-name: scroll; transform: translateY(-{last}px)">',
            *texts,
            "</g></g></svg></svg>\n",
        ]
    )


def _marked(text: str) -> str:
    if text.startswith((_TITLE, "$ ")):
        return f'<tspan class="title">{escape(text)}</tspan>'
    head = text[: len(text) - len(text.lstrip())]
    moment, space, rest = text[len(head) :].partition(" ")
    if moment.count(":") == 2 and moment[:2].isdigit():
        return f'<tspan class="time">{head}{moment}</tspan>{space}{escape(rest)}'
    return escape(text)


def main() -> None:
    """Make the picture, of a new cast if that is asked for."""
    if "--record" in sys.argv[1:]:
        record()
    PICTURE.write_text(picture_of(CAST.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
