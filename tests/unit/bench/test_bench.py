"""The benchmarks' tools: what they measure is there, and what they write can be read. (They run by hand.)"""

from __future__ import annotations

import json
import re

import pytest

from tests.bench import __main__ as bench
from tests.bench.measuring import Ratio, cpu_ratio, cpu_ratios, exponent, quartiles
from tests.bench.registry import MEGABYTES, TOPICS, Row, topic
from tests.support.paths import ROOT


def test_the_ratio_of_cpu_is_that_of_the_work_in_the_measured_rounds(monkeypatch):
    spent = iter([1.0, 1.0, 6.0, 2.0, 8.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr("tests.bench.measuring._cpu", lambda work, calls: next(spent))
    assert cpu_ratio(lambda: None, lambda: None, calls=1, rounds=3) == 3.0  # of 3, 4 and 1


def test_quartiles_are_those_of_the_measured_rounds(monkeypatch):
    spent = iter([9.0, 1.0, *(part for n in range(1, 6) for part in (float(n), 1.0))])
    monkeypatch.setattr("tests.bench.measuring._cpu", lambda work, calls: next(spent))
    found = cpu_ratios(lambda: None, lambda: None, calls=1, rounds=5)
    assert found == Ratio(median=3.0, low=2.0, high=4.0) == quartiles([5.0, 4.0, 3.0, 2.0, 1.0])


@pytest.mark.parametrize(("cost", "power"), [(2.0, 0.0), (200.0, 0.5), (20_000.0, 1.0)])
def test_growth_is_the_power_of_the_size(cost, power):
    assert exponent(1, 2.0, 10_000, cost) == pytest.approx(power)


def test_every_topic_is_run():
    written = [
        name
        for path in (ROOT / "tests" / "bench").glob("*.py")
        for name in re.findall(r'^@topic\("(.+)"\)', path.read_text(), re.MULTILINE)
    ]
    assert written
    assert sorted(TOPICS) == sorted(written)


@pytest.fixture
def topics(monkeypatch, tmp_path):
    """No topics yet, and a results file of our own."""
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "build" / "bench.json")
    monkeypatch.setattr("sys.argv", ["bench"])
    before = dict(TOPICS)
    TOPICS.clear()
    yield bench.RESULTS
    TOPICS.clear()
    TOPICS.update(before)


def test_results_are_a_table_and_a_file_for_programs(topics, capsys):
    @topic("calls")
    def calls():
        return [
            Row(name="CPU of a call", peer="requests", value=1.2345, goal=1.25),
            Row(name="CPU of a call", peer="sockets", value=4.0, goal=None),
        ]

    @topic("memory")
    def memory():
        return [Row(name="an upload", peer="the start", value=12.0, goal=10.0, unit=MEGABYTES)]

    assert bench.main() == 0
    assert json.loads(topics.read_text()) == [
        {"name": "CPU of a call", "peer": "requests", "value": 1.234, "goal": 1.25},
        {"name": "CPU of a call", "peer": "sockets", "value": 4.0, "goal": None},
        {"name": "an upload", "peer": "the start", "value": 12.0, "goal": 10.0},
    ]
    _, call, aimless, upload = (line.split() for line in capsys.readouterr().out.splitlines())
    assert call[-4:] == ["1.23", "x", "1.25", "x"]
    assert aimless[-3:] == ["sockets", "4.00", "x"]
    assert upload[-5:] == ["12.00", "MB", "10.00", "MB", "missed"]


def test_the_quartiles_of_a_row_are_shown_and_written(topics, capsys):
    topic("calls")(lambda: [Row.of("a call", "sockets", Ratio(1.5, 1.25, 1.75), 2.0)])
    assert bench.main() == 0
    row = {"name": "a call", "peer": "sockets", "value": 1.5, "goal": 2.0}
    assert json.loads(topics.read_text()) == [{**row, "quartiles": [1.25, 1.75]}]
    assert "(1.25 to 1.75)" in capsys.readouterr().out


def test_a_topic_that_fails_costs_its_own_rows_and_the_status(topics, capsys):
    @topic("broken")
    def broken():
        raise RuntimeError("no server")

    @topic("whole")
    def whole():
        return [Row(name="CPU of a call", peer="requests", value=1.0, goal=1.25)]

    assert bench.main() == 1
    assert [entry["name"] for entry in json.loads(topics.read_text())] == ["CPU of a call"]
    assert "no server" in capsys.readouterr().err


def test_a_topic_that_does_not_exist_is_an_error_that_names_those_that_do(
    topics, monkeypatch, capsys
):
    topic("calls")(list)
    monkeypatch.setattr("sys.argv", ["bench", "colls"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no topic 'colls', only calls" in capsys.readouterr().err
    assert not topics.exists()
