"""A screen without a monitor (Xvfb), on which windows are used as a person would (xdotool), and looked at."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.components import missing
from tests.support.waiting import wait_until

WIDTH, HEIGHT = 1600, 640
SECONDS = 60.0  # until a window is there, on a busy machine
REMEDY = "run: .ci/install referees"

Box = tuple[int, int, int, int]


class Window:
    """A window on a screen, at a place of its own."""

    def __init__(self, screen: Screen, number: str) -> None:
        self._screen = screen
        self.number = number

    @property
    def box(self) -> Box:
        """Left, top, width and height on the screen."""
        words = self._screen.xdotool("getwindowgeometry", "--shell", self.number).splitlines()
        found = dict(word.split("=") for word in words)
        return int(found["X"]), int(found["Y"]), int(found["WIDTH"]), int(found["HEIGHT"])

    def click(self, x: int, y: int) -> None:
        """Click at a place; negative numbers count from the right and from below."""
        left, top, width, height = self.box
        place = (left + x % width, top + y % height)
        self._screen.xdotool("mousemove", *map(str, place), "click", "1")

    def type(self, text: str, *keys: str) -> None:
        """Type a text, then press keys such as Return."""
        self._screen.xdotool("type", "--delay", "10", text)
        if keys:
            self._screen.xdotool("key", *keys)

    def has_colour(self, colour: str, left: int, top: int, width: int, height: int) -> bool:
        """Whether a part of the window has a pixel of a colour such as "#ffffff"."""
        x, y, whole_width, whole_height = self.box
        part = (x + left % whole_width, y + top % whole_height, width, height)
        return bytes.fromhex(colour[1:]) in self._screen.colours(part)

    def wait_for_colour(self, colour: str, box: Box) -> None:
        """Wait until a part of the window has a pixel of this colour."""
        wait_until(lambda: self.has_colour(colour, *box), f"{colour} in {box}", SECONDS)


class Screen:
    """An X server with one screen; ``display`` is its name for DISPLAY."""

    def __init__(self, folder: Path) -> None:
        reader, writer = os.pipe()
        self._picture = folder / "Xvfb_screen0"
        self._process = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(writer), "-screen", "0", f"{WIDTH}x{HEIGHT}x24"),
                *("-fbdir", str(folder), "-nolisten", "tcp", "-noreset"),
            ],
            pass_fds=[writer],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as numbers:
            self.display = f":{numbers.readline().strip()}"
        assert self.display != ":", "Xvfb has not started"

    def xdotool(self, *words: str) -> str:
        """Run xdotool; return what it prints."""
        done = subprocess.run(
            ["xdotool", *words],
            env={**os.environ, "DISPLAY": self.display, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return done.stdout

    def window(self, title: str) -> Window:
        """Wait for the window whose title matches a regular expression."""
        find = ("search", "--onlyvisible", "--name", title)
        return Window(self, wait_until(lambda: self.xdotool(*find), title, SECONDS).split()[0])

    def has_window(self, title: str) -> bool:
        """Whether there is such a window."""
        return bool(self.xdotool("search", "--onlyvisible", "--name", title))

    def colours(self, box: Box) -> set[bytes]:
        """The colours of a part of the screen, each as three bytes."""
        data = self._picture.read_bytes()
        # The header of an XWD file: 25 numbers, then a name and the colours, 12 bytes each.
        header = struct.unpack(">25I", data[:100])
        size, bits, line, colours = header[0], header[11], header[12], header[19]
        assert bits == 32
        left, top, width, height = box
        found: set[bytes] = set()
        for y in range(max(top, 0), min(top + height, HEIGHT)):
            start = size + colours * 12 + y * line
            row = data[start + left * 4 : start + min(left + width, WIDTH) * 4]
            found |= set(zip(row[2::4], row[1::4], row[0::4], strict=True))  # type: ignore[arg-type]
        return {bytes(pixel) for pixel in found}

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(SECONDS)


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A screen of its own for one test."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            missing(program, REMEDY)
    with tempfile.TemporaryDirectory() as folder:
        made = Screen(Path(folder))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def tk() -> None:
    """Tk, which Debian does not install with Python."""
    if not _has("tkinter"):
        missing("tkinter", REMEDY)


@pytest.fixture
def qt() -> None:
    """PySide6."""
    if not _has("PySide6.QtCore"):
        missing("PySide6", REMEDY)


def _has(module: str) -> bool:
    """Whether another process can import a module: this one stays as it is."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, check=False
    )
    return done.returncode == 0
