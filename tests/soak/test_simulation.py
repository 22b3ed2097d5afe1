"""Never lost, never twice: the core in 10,000 random schedules of simulated time, on all cores."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.support.paths import ROOT
from tests.support.simulation.schedules import Schedule

SEEDS = 10_000


@pytest.mark.time_limit(600)
def test_no_random_schedule_breaks_a_promise() -> None:
    workers = os.cpu_count() or 1
    plays = [sys.executable, "-m", "tests.support.simulation.schedules"]
    with ExitStack() as processes:
        playing = [
            processes.enter_context(
                subprocess.Popen(
                    [*plays, str(number), str(SEEDS), str(workers)],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for number in range(workers)
        ]
        assert [process.communicate()[0] for process in playing] == [""] * workers
        assert [process.returncode for process in playing] == [0] * workers


def test_a_schedule_is_replayed_to_the_last_byte_also_by_another_process() -> None:
    seeds = range(0, 24, 3)

    def digests() -> list[int]:
        schedules = [Schedule(seed) for seed in seeds]
        for schedule in schedules:
            schedule.play()
        return [schedule.digest() for schedule in schedules]

    here = digests()
    assert here == digests() and len(set(here)) == len(here)
    program = f"""
from tests.support.simulation.schedules import Schedule
for seed in {list(seeds)}:
    schedule = Schedule(seed)
    schedule.play()
    print(schedule.digest())
"""
    there = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert [int(line) for line in there.stdout.split()] == here
