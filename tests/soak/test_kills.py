"""A durable bot is killed while it answers: nothing is lost, nothing is answered twice."""

from __future__ import annotations

import pytest

from tests.soak.durable_bot import BEFORE_COMMIT, IN_CALLBACK, POINTS
from tests.soak.kills import OUTSIDE, Report, plan, play


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_has_the_kills_that_were_promised(seed):
    lives = plan(100, 10_000, seed)
    points = [life.point for life in lives]
    assert len(lives) == 100
    assert sum(point in IN_CALLBACK for point in points) >= 30
    assert points.count(BEFORE_COMMIT) >= 10
    assert {*points} == {*POINTS, OUTSIDE}
    assert sum(life.count for life in lives) <= 10_000


def test_a_report_shows_what_was_broken():
    broken = Report(10, unanswered=2)
    assert not broken.is_kept
    assert str(broken).splitlines()[-1] == (
        "kills 0 messages 10 unhandled 0 unanswered 2 answered twice 0"
    )
    assert Report(10).is_kept


@pytest.mark.time_limit(300)
def test_a_bot_that_is_killed_answers_each_message_once(capsys):
    report = play(kills=20, messages=400, seed=1)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.is_kept
    assert report.kills.total() == 20
