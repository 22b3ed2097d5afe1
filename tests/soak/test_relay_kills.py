"""Each part of a relay is killed while a bot answers: nothing is lost, late or answered twice."""

from __future__ import annotations

import pytest

from tests.soak.relay_kills import PARTS, Report, play


def test_a_report_shows_what_was_broken():
    broken = Report(10, seconds=1, lost=1, disorder=["user 3: 61 was handled after 62"])
    assert not broken.is_kept
    first, *_, last = str(broken).splitlines()
    assert first == "user 3: 61 was handled after 62"
    assert last == "kills 0 messages 10 lost 1 out of order 1 answered twice 0"
    assert Report(10, seconds=1).is_kept


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("has_disk", [True, False])
@pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=pytest.mark.referee(name)) for name in ("redis", "rabbitmq")],
)
def test_killed_parts_of_a_relay_lose_nothing_and_answer_once(engine, has_disk, capsys):
    report = play(engine, messages=500, workers=2, kills=6, has_disk=has_disk, seed=1)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.is_kept
    assert {*report.kills} == {*PARTS}


@pytest.mark.time_limit(180)
@pytest.mark.referee("rabbitmq")
def test_workers_that_share_out_the_queues_of_rabbitmq_keep_the_order(capsys):
    report = play("rabbitmq", messages=3000, workers=4, kills=0)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.is_kept
