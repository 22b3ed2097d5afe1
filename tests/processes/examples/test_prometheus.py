"""The bot of the examples whose numbers Prometheus reads, with a Prometheus that does."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from contextlib import closing

import pytest

from tests.interop.prometheus import Prometheus
from tests.processes.examples.running import EXAMPLES, SECONDS, running
from tests.support import components
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(240)

FOLDER = EXAMPLES / "prometheus"


def read(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as response:
        return response.read().decode()


def test_the_page_of_numbers_has_each_and_no_person(tmp_path):
    port = free_port()
    with running("prometheus", tmp_path, METRICS_PORT=str(port)) as example:
        example.wait_for_line(f"http://127.0.0.1:{port}/metrics has the numbers")
        ann = example.person("ann")
        with closing(ann.cube):
            ann.chat.send_private(ann.cube.users.get_by(login="echo"), "hello").result()
            ann.events.wait_for("message_received", 1, SECONDS)
            wait_until(lambda: 'sent_messages_total{bot="echo"} 1.0' in read(port))
        text = read(port)
        assert 'connectycube_received_messages_total{bot="echo"} 1.0' in text
        assert 'connectycube_state{bot="echo",connectycube_state="ready"} 1.0' in text
        assert 'connectycube_dead_letters{bot="echo"} 0.0' in text
        assert "hello" not in text
        assert example.end() == 0, example.said


@pytest.mark.referee("prometheus")
def test_prometheus_reads_the_bot_and_knows_when_it_is_away(tmp_path):
    port = free_port()
    with running("prometheus", tmp_path, METRICS_PORT=str(port)) as example:
        example.wait_for_line("has the numbers")
        ann = example.person("ann")
        with (
            closing(ann.cube),
            Prometheus(tmp_path / "data", FOLDER, f"127.0.0.1:{port}") as prometheus,
        ):
            ann.chat.send_private(ann.cube.users.get_by(login="echo"), "hello").result()
            for expression, value in {
                'up{job="bots"}': 1,
                "connectycube_received_messages_total": 1,
                "connectycube_sent_messages_total": 1,
                'connectycube_state{connectycube_state="ready"}': 1,
                "connectycube_queue_events": 0,
            }.items():
                wait_until(
                    lambda asked=expression, due=value: prometheus.value_of(asked) == due,
                    expression,
                    SECONDS,
                )
            (group,) = prometheus.ask("rules")["groups"]
            wait_until(lambda: all(healthy(prometheus)), "rules that can be evaluated", SECONDS)
            assert len(group["rules"]) == 5
            assert example.end() == 0, example.said
            wait_until(lambda: prometheus.value_of('up{job="bots"}') == 0, "a bot away", SECONDS)


def healthy(prometheus):
    (group,) = prometheus.ask("rules")["groups"]
    return [rule["health"] == "ok" for rule in group["rules"]]


@pytest.mark.referee("prometheus")
def test_the_files_of_the_example_are_valid():
    program = shutil.which("promtool")
    if program is None:
        components.missing("promtool", "apt install prometheus")
    done = subprocess.run(
        [program, "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
