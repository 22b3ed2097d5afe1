"""How long the emulator takes to start, and how many clients it serves at once.

Wall time, unlike what ``measuring`` measures: a start is what somebody waits for. The shortest of some
runs counts, since what other programs do only adds to it. The clients of the crowd are threads of this
process, so that much of the time is theirs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from connectycube.emulator import Emulator
from tests.bench.registry import PER_SECOND, SECONDS, Row, topic
from tests.bench.service import service
from tests.support.crowd import meet

_RUNS = 5
_CROWD = 200
_START_GOAL = 1.0


@topic("emulator")
def emulator() -> Sequence[Row]:
    """Start it as a process and in a program, and let a crowd meet in it."""
    in_process, in_program = (
        min(start() for _ in range(_RUNS)) for start in (_process_start, _program_start)
    )
    return [
        _row("emulator, process to ready", in_process, _START_GOAL),
        _row("emulator, start() in a program", in_program, _START_GOAL),
        *_crowd(),
    ]


def _row(name: str, value: float, goal: float | None = None, unit: str = SECONDS) -> Row:
    return Row(name=name, peer="the wall clock", value=value, goal=goal, unit=unit)


def _process_start() -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "connectycube", "emulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        ready = any(line == "ready\n" for line in process.stdout)
        seconds = time.perf_counter() - began
        process.terminate()
    assert ready
    return seconds


def _program_start() -> float:
    emulator = Emulator()
    began = time.perf_counter()
    with emulator:
        return time.perf_counter() - began


def _crowd() -> Sequence[Row]:
    logins = [f"user{number}" for number in range(_CROWD)]
    with service(users=logins) as place:
        got, times = meet(place.doors, logins)
    assert got == [[f"from {(number - 1) % _CROWD}"] for number in range(_CROWD)]
    return [
        _row(f"{_CROWD} clients log in at once", times.online),
        _row(f"{_CROWD} clients write at once", _CROWD / times.talk, unit=PER_SECOND),
    ]
