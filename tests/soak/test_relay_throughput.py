"""Events go through each engine with no handler that takes time, and all of them are counted."""

from __future__ import annotations

import pytest

from tests.soak.relay_throughput import carried


@pytest.mark.time_limit(180)
@pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=pytest.mark.referee(name)) for name in ("redis", "rabbitmq")],
)
def test_all_events_go_through_an_engine(engine):
    assert carried(engine, 200, 2) > 0
