"""The guard of the hot paths: what it counts, and when it says that something has become dearer."""

from __future__ import annotations

import json

from connectycube import _checks as checks
from tests.bench import guard
from tests.bench.guard import Cost, changes, main

STORED = {"send": Cost(calls=100.0, memory=1000.0)}
WORK_CALLS = 3


def work():
    for number in range(WORK_CALLS):
        checks.check_str("name", str(number))
    return [len(name) for name in ("a", "b")]


def test_only_calls_of_functions_of_the_package_count():
    assert guard._calls(work) == WORK_CALLS
    assert guard._calls(lambda: Cost(calls=1.0, memory=1.0)) == 0


def test_the_memory_of_a_path_is_what_it_holds_at_most():
    size = 1_000_000
    assert size <= guard._memory(lambda: bytearray(size)) < 1.1 * size


def test_three_per_cent_more_of_either_is_dearer():
    for now, dearer in (
        (Cost(calls=103.0, memory=1030.0), []),
        (Cost(calls=103.1, memory=1000.0), ["send: 103.1 calls instead of 100"]),
        (Cost(calls=100.0, memory=1031.0), ["send: 1031 memory instead of 1000"]),
    ):
        assert changes(STORED, {"send": now}) == (dearer, [])


def test_what_is_cheaper_or_unknown_asks_for_new_figures():
    cheaper = {"send": Cost(calls=96.9, memory=1000.0), "new": Cost(calls=1.0, memory=1.0)}
    other = ["new: not stored", "send: 96.9 calls instead of 100"]
    assert changes(STORED, cheaper) == ([], other)
    assert changes(STORED, {}) == ([], ["send: not measured"])


def test_without_figures_of_this_python_memory_does_not_count():
    stored = {"send": Cost(calls=100.0, memory=None)}
    assert changes(stored, {"send": Cost(calls=100.0, memory=5.0)}) == ([], [])


def test_it_fails_when_a_path_has_become_dearer(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(guard, "FIGURES", tmp_path / "guard.json")
    monkeypatch.setattr(guard, "measured", lambda: STORED)
    monkeypatch.setattr("sys.argv", ["guard", "--store"])
    assert main() == 0
    assert json.loads(guard.FIGURES.read_text())["send"]["calls"] == 100.0
    monkeypatch.setattr("sys.argv", ["guard"])
    assert main() == 0
    monkeypatch.setattr(guard, "measured", lambda: {"send": Cost(calls=104.0, memory=1000.0)})
    assert main() == 1
    assert "DEARER: send: 104 calls instead of 100" in capsys.readouterr().err
