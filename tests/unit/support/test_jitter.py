"""The pauses that look for races: where they are, how long, how often."""

from __future__ import annotations

import sys
from pathlib import Path

from connectycube import _checks as checks
from tests.support.jitter import APART, LONGEST, Jitter


def paused(jitter: Jitter, times: int = 10_000) -> None:
    """Call a function of the package under these pauses, and one of the tests as often."""
    sys.setprofile(jitter)
    try:
        for _ in range(times):
            checks.check_str("name", "x")
            outside()
    finally:
        sys.setprofile(None)


def outside() -> None:
    """Be a function that is not the package's."""


class Time:
    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step
        self.pauses: list[tuple[float, float, str]] = []

    def clock(self) -> float:
        self.now += self.step
        return self.now

    def pause(self, seconds: float) -> None:
        where = sys._getframe(2).f_code.co_filename
        self.pauses.append((self.now, seconds, where))
        self.now += seconds


def test_functions_of_the_package_pause_now_and_then_and_no_others() -> None:
    time = Time(step=1.0)
    paused(Jitter(0, pause=time.pause, clock=time.clock))
    assert 100 < len(time.pauses) < 1000
    assert {where for _, _, where in time.pauses} == {checks.__file__}
    lengths = [seconds for _, seconds, _ in time.pauses]
    assert 0 < min(lengths) < LONGEST / 10 and LONGEST * 0.9 < max(lengths) < LONGEST


def test_between_two_pauses_there_is_time_to_do_something() -> None:
    time = Time(step=0.001)
    paused(Jitter(0, pause=time.pause, clock=time.clock))
    ends = [moment + seconds for moment, seconds, _ in time.pauses]
    begins = [moment for moment, _, _ in time.pauses]
    assert all(begin - end >= APART for end, begin in zip(ends, begins[1:], strict=False))


def test_another_seed_pauses_elsewhere() -> None:
    def lengths(seed: int) -> list[float]:
        time = Time(step=1.0)
        paused(Jitter(seed, pause=time.pause, clock=time.clock), 1000)
        return [seconds for _, seconds, _ in time.pauses]

    assert lengths(1) == lengths(1) != lengths(2)


def test_a_folder_is_not_taken_for_another_one_whose_name_begins_alike() -> None:
    time = Time(step=1.0)
    folder = Path(checks.__file__).parent
    paused(Jitter(0, folder.with_name(folder.name[:-1]), pause=time.pause, clock=time.clock))
    assert time.pauses == []
