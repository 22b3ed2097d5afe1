"""Random pauses inside the package's threads, for the interleavings that a quiet machine never shows.

``make jitter`` runs what has threads under them; ``SEED=`` chooses others. A seed does not replay a run, as
the kernel has its say as well: what fails once is a race, in the package or in the test, and is looked for
by running that test again and again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

import pytest

import connectycube
from tests.support import waiting

PACKAGE = Path(connectycube.__file__).parent
CHANCE = 0.02
LONGEST = 0.03
# Between two pauses something happens; else what takes many calls would never end.
APART = 0.02
SWITCH_INTERVAL = 0.000_001  # seconds; another thread runs after nearly every step
SLOWER = 6
"""So many times as long may a test wait: where threads change that often, little is done in a second."""


class Jitter:
    """A profile function that now and then pauses the thread which enters or leaves a function."""

    def __init__(
        self,
        seed: int,
        folder: Path = PACKAGE,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = Random(seed).random
        self._folder = f"{folder}{os.sep}"
        self._pause = pause
        self._clock = clock
        self._is_inside: dict[CodeType, bool] = {}
        self._next = 0.0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        inside = self._is_inside.get(code)
        if inside is None:
            inside = self._is_inside[code] = code.co_filename.startswith(self._folder)
        if not inside or self._random() >= CHANCE or (now := self._clock()) < self._next:
            return
        seconds = self._random() * LONGEST
        self._next = now + seconds + APART
        self._pause(seconds)


def pytest_load_initial_conftests() -> None:
    """Give the tests more time, before any of them reads how long it may wait."""
    waiting.TIMEOUT *= SLOWER


def pytest_configure() -> None:
    """Give each test as much more time as a whole."""
    from tests.support import hanging  # it is a plugin, which pytest must be the first to import

    hanging.SECONDS *= SLOWER


def pytest_report_header() -> str:
    """Name the seed, to choose another one."""
    return f"jitter: SEED={_seed()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[None]:
    """Have all threads of all tests pause now and then."""
    jitter, interval = Jitter(_seed()), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    threading.setprofile(jitter)
    sys.setprofile(jitter)
    try:
        return (yield)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # as it was
        sys.setswitchinterval(interval)


def _seed() -> int:
    return int(os.environ.get("SEED") or 0)
