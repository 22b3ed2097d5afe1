"""Celery's prefork pool: each child has its own connections, and the parent's chat notices nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.processes.programs.running import LOGIN, PASSWORD, available, program, running
from tests.support.paths import ROOT
from tests.support.people import logged_in
from tests.support.waiting import wait_until

TASKS = 300
MODULE = "tests.processes.programs.celery_tasks"
WORKER = ["-A", MODULE, "worker", "--pool", "prefork", "--concurrency", "3", "-l", "WARNING"]
ALONE = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
# Asks for what it reads, as name and arguments, without importing the tasks and so the client.
CLIENT = """
import json, os, sys
from celery import Celery

folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
app = Celery(broker="filesystem://", backend=f"file://{os.getcwd()}/results")
app.conf.broker_transport_options = folders
asked = [app.send_task(name, args=arguments) for name, *arguments in json.load(sys.stdin)]
print(json.dumps([result.get(timeout=60, interval=0.05) for result in asked]))
"""


def test_each_process_of_celerys_pool_has_its_own_answers_and_chat(emulator, tmp_path, bob):
    app = emulator.add_user(LOGIN, PASSWORD)
    users = [emulator.add_user(f"user{number}", PASSWORD) for number in range(20)]
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()

    def ask(*tasks):
        done = subprocess.run(
            [sys.executable, "-c", CLIENT],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=json.dumps(tasks),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    command = [program("celery"), *WORKER, *ALONE]
    with running(emulator, tmp_path, command, CHAT_AT_IMPORT="1") as worker:
        parents = wait_until(lambda: available(emulator, app), "the parent's chat", 30)
        assert set(ask(*[["state"]] * 12)) == {"CLOSED False"}
        asked = [users[number % len(users)] for number in range(TASKS)]
        assert ask(*[["user", user] for user in asked]) == asked
        assert available(emulator, app) == parents
        with logged_in(bob):
            bob.chat.send_private(app, "which process are you?")
            (said,) = bob.events.wait_for("message_received")
            assert said.body == str(worker.process.pid)
        processes = set(ask(*[["chat"]] * 12))
        assert all(isinstance(process, int) for process in processes)
        assert len(emulator.sessions(app)) == 1 + len(processes)
        assert worker.ends() == 0
        assert "Traceback" not in worker.words
