"""An emulator's data folder survives the kill of its process and serves one process at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

import requests

from connectycube.emulator import Emulator
from tests.support.paths import ROOT

_KILLED = """
import sys
import threading
from connectycube.emulator import Emulator
emulator = Emulator(data=sys.argv[1]).start()
alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
print(emulator.api_url, flush=True)
sys.stdin.read()
"""


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_writes(tmp_path):
    data = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        try:
            url = process.stdout.readline().strip()
            body = {"application_id": 1, "auth_key": "key"}
            user = {"user": {"login": "alice", "password": "secret"}}
            answer = requests.post(f"{url}/session", json={**body, **user}, timeout=5)
            headers = {"CB-Token": answer.json()["session"]["token"]}
            acknowledged = write_and_kill(url, headers, process)
        finally:
            process.kill()
    assert len(acknowledged) >= _BEFORE_THE_KILL
    with Emulator(data=data) as emulator:
        stored = {entry["_id"] for entry in emulator.messages(emulator.private_dialog(1, 2))}
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= _WRITERS, "those that were under way"
        session = requests.get(f"{emulator.api_url}/session", headers=headers, timeout=5)
        assert session.status_code == 200


_WRITERS = 4
_BEFORE_THE_KILL = 50


def write_and_kill(url, headers, process):
    """Write from several threads at once until the kill; return the ids that were acknowledged."""
    acknowledged, killed = set(), threading.Event()

    def write():
        with requests.Session() as http, contextlib.suppress(requests.ConnectionError):
            http.headers.update(headers)
            while True:
                body = {"recipient_id": 2, "message": "still here"}
                answer = http.post(f"{url}/chat/Message", json=body, timeout=5)
                assert answer.status_code == 201
                acknowledged.add(answer.json()["_id"])
                if len(acknowledged) >= _BEFORE_THE_KILL and not killed.is_set():
                    killed.set()
                    os.kill(process.pid, signal.SIGKILL)

    writers = [threading.Thread(target=write) for _ in range(_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return acknowledged


def test_another_process_is_refused_with_the_reason_while_one_has_the_data(tmp_path):
    data = tmp_path / "data"
    with Emulator(data=data) as emulator:
        done = subprocess.run(
            [sys.executable, "-m", "connectycube", "emulator", "--data", data],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "in use by another emulator" in done.stderr
        assert emulator.add_user("alice", "secret") == 1


def test_a_folder_with_work_in_it_is_refused_and_the_work_stays(tmp_path):
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "important").write_text("work")
    done = subprocess.run(
        [sys.executable, "-m", "connectycube", "emulator", "--data", "."],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("connectycube emulator: ")
    assert "is not the emulator's own folder" in line
    assert (tmp_path / "bucket" / "important").read_text() == "work"
    assert sorted(os.listdir(tmp_path)) == ["bucket"]
