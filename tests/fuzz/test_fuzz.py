"""A short run of every fuzz target with a fixed seed, which repeats itself; ``make fuzz`` runs long ones."""

from __future__ import annotations

import gc

import pytest

from tests.fuzz.runner import fuzz
from tests.fuzz.targets import TARGETS

SEED = 1
INPUTS = (
    {
        "stream": 1500,
        "shapes": 1500,
        "parsers": 1500,
        "stanzas": 2500,
        "core": 400,
        "responses": 2500,
    }
    | {
        "saved_messages": 4000,
        "store": 150,
    }
    | {"rest_calls": 400, "http_ports": 60, "chat_port": 150, "websocket": 150}
)
FEW_OBJECTS = 2000


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_a_short_run_is_a_finding(name: str) -> None:
    with TARGETS[name]() as target:
        report = fuzz(target, seed=SEED, inputs=INPUTS[name])
    assert [finding.trace for finding in report.findings] == []
    assert report.inputs == INPUTS[name] and report.kinds > (2 if TARGETS[name].over_sockets else 5)


@pytest.mark.parametrize("name", [name for name in TARGETS if not TARGETS[name].over_sockets])
def test_what_an_input_left_is_forgotten(name: str) -> None:
    with TARGETS[name]() as target:
        fuzz(target, seed=SEED, inputs=INPUTS[name] // 4)
        before = _objects()
        fuzz(target, seed=SEED, inputs=INPUTS[name] // 2)
        assert _objects() - before < FEW_OBJECTS


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())
