"""Floods of stanzas leave a client its memory and its voice: short here, long in ``make flood``."""

from __future__ import annotations

import pytest

from tests.soak.floods import FLOODS, Outcome, flooded, problems

SECONDS = 0.7


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_leaves_memory_flat_and_sends_going_through(kind: str) -> None:
    outcome = flooded(kind, SECONDS)
    assert outcome.stanzas > 10 and outcome.sends > 0
    assert problems(outcome) == []


def test_growth_size_and_slowness_are_problems() -> None:
    assert problems(Outcome(1, 0, 0, 100, 1, 0.5)) == []
    assert problems(Outcome(1, 0, 0, 40_000_000, 1, 0.5)) == ["memory grew"]
    assert problems(Outcome(1, 0, 160_000_000, 160_000_000, 1, 0.5)) == ["memory is large"]
    assert problems(Outcome(1, 0, 0, 0, 1, 1.5)) == ["a send was slow"]
