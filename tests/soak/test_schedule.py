"""Schedules are functions of their seeds, and among them they hold every fault."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.schedule import (
    KINDS,
    LINK,
    MEMBERS,
    POISON,
    RESUMABLE,
    SERVER,
    UNRESUMABLE,
    schedule,
)

SEEDS = st.integers(0, 2**32)
IN_MAKE_TEST = range(30)


@given(SEEDS)
def test_a_schedule_is_the_same_for_the_same_seed(seed):
    made = schedule(seed)
    assert schedule(seed) == made
    assert schedule(seed + len(KINDS)).steps != made.steps


@given(SEEDS)
def test_its_steps_are_in_order_and_one_after_the_other_on_each_track(seed):
    made = schedule(seed)
    assert list(made.steps) == sorted(made.steps, key=lambda step: step.at)
    for on_link in (True, False):
        track = [step for step in made.steps if (step.fault in {**LINK, **POISON}) == on_link]
        for step, following in pairwise(track):
            assert step.at + step.seconds < following.at
    for step in made.steps:
        assert step.member is None or 0 <= step.member < MEMBERS


@given(SEEDS)
def test_only_the_emulator_goes_wrong_by_itself(seed):
    made = schedule(seed)
    if made.kind != "emulator":
        assert {step.fault for step in made.steps} <= {*LINK, *POISON, *SERVER}


@pytest.mark.parametrize("seeds", [IN_MAKE_TEST, range(1000, 1500)])
def test_all_kinds_of_server_get_a_third_and_every_fault_occurs(seeds):
    made = [schedule(seed) for seed in seeds]
    for kind in KINDS:
        mine = [one for one in made if one.kind == kind]
        assert len(made) // 3 <= len(mine) <= len(made) // 3 + 1
        assert 0 < sum(one.touches_server for one in mine) < len(mine) / 2
    faults = {step.fault for one in made for step in one.steps}
    assert faults == {*LINK, *POISON, *SERVER, *RESUMABLE, *UNRESUMABLE} - {
        "three_cuts"
    }  # these are resets
