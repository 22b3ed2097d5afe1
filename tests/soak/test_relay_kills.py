"""Each part of a relay is killed while a bot answers: nothing is lost, late or answered twice."""

from __future__ import annotations

import pytest

from tests.soak.relay_kills import PARTS, Report, play


def test_a_report_shows_what_was_broken():
    broken = Report(10, seconds=1, lost=1, out_of_order=2)
    assert not broken.is_kept
    assert str(broken).splitlines()[-1] == (
        "kills 0 messages 10 lost 1 out of order 2 answered twice 0"
    )
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
