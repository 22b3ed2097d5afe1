"""Thirty schedules of faults on real sockets, ten on each server: nothing lost, repeated or misordered."""

from __future__ import annotations

import shutil

import pytest

from tests.soak.comparison import Verdict
from tests.soak.play import play_all
from tests.soak.schedule import schedule
from tests.support import components

SEEDS = range(30)
SERVERS = {"emulator": None, "prosody": "prosody", "ejabberd": "ejabberdctl"}


@pytest.mark.time_limit(300)
@pytest.mark.parametrize(
    "kind",
    [
        "emulator",
        pytest.param("prosody", marks=pytest.mark.referee("prosody")),
        pytest.param("ejabberd", marks=pytest.mark.referee("ejabberd")),
    ],
)
def test_whatever_befalls_links_and_servers_the_promise_is_kept(kind: str) -> None:
    program = SERVERS[kind]
    if program is not None and shutil.which(program) is None:
        components.missing(kind, f"apt-get install {kind}")
    schedules = [made for made in map(schedule, SEEDS) if made.kind == kind]
    assert len(schedules) == len(SEEDS) / len(SERVERS)
    total = Verdict()
    for outcome in play_all(schedules, len(schedules)):
        total.add(outcome.verdict)
        if not outcome.verdict.is_kept:
            print(outcome)
    print(dict(total.counts))
    assert (total.lost, total.repeated, total.misordered, total.untrue) == (0, 0, 0, 0)
    assert total.counts["received"] > total.counts["sent"] > 300
