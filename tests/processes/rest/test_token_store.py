"""Twenty processes of one application, with one token store in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from connectycube import MemoryTokenStore
from tests.processes.forking import FORKS, holds_in_child
from tests.support.paths import ROOT
from tests.support.people import PASSWORD

SCRIPT = """
import fcntl, sqlite3, sys, time
from contextlib import closing, contextmanager
from connectycube import ConnectyCube, Observer, Timeouts

path, way, login, password, user_id = sys.argv[1:]

class FileTokens:
    def get(self, key):
        with closing(self._open()) as file:
            rows = file.execute("SELECT value FROM tokens WHERE key = ? AND until > ?", (key, time.time()))
            return next((value for (value,) in rows), None)

    def set(self, key, value, seconds):
        with closing(self._open()) as file, file:
            file.execute("REPLACE INTO tokens VALUES (?, ?, ?)", (key, value, time.time() + seconds))

    @contextmanager
    def lock(self, key):
        with open(f"{path}.{key}", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _open(self):
        file = sqlite3.connect(path, timeout=60)
        file.execute("CREATE TABLE IF NOT EXISTS tokens (key TEXT PRIMARY KEY, value TEXT, until REAL)")
        return file

made = 0

class Note(Observer):
    def request_finished(self, record):
        global made
        made += record.method == "POST" and record.url.endswith("/session")

def renew(session, client):
    return client.sessions.create(login=login, password=password)

cube = ConnectyCube.from_env(
    token_store=FileTokens(), timeouts=Timeouts(token_store=60, rest_read=120), observer=Note()
)
user = cube.for_user(
    login=login, password=password, renew_session=renew if way == "application" else None
)
print(made, flush=True)
sys.stdin.readline()
made = 0
assert user.users.get(int(user_id)).login == login
print(made, user.session.token, flush=True)
sys.stdin.readline()
cube.close()
"""


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_child_waits_for_no_lock_of_a_thread_of_the_parent(fork):
    store = MemoryTokenStore()
    store.set("key", "value", 60)

    def works():
        with store.lock("key"):
            store.set("other", "value", 60)
        return (store.get("key"), store.get("other")) == ("value", "value")

    with store.lock("key"):
        assert holds_in_child(works, fork)


@pytest.mark.parametrize("way", ["credentials", "application"])
def test_of_twenty_processes_one_renews(emulator, tmp_path, way):
    user_id = emulator.add_user("shared", PASSWORD)
    script = tmp_path / "process.py"
    script.write_text(SCRIPT)
    arguments = [str(tmp_path / "tokens"), way, "shared", PASSWORD, str(user_id)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(script), *arguments],
                    env={**os.environ, **emulator.environment(), "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(20)
        ]
        made = [each.stdout.readline().strip() for each in running]
        assert sorted(made) == ["0"] * 19 + ["1"]
        emulator.clock.advance(7_201)
        for each in running:
            each.stdin.write("go\n")
            each.stdin.flush()
        answers = [each.stdout.readline().split() for each in running]
        assert sorted(count for count, _ in answers) == ["0"] * 19 + ["1"]
        assert len({token for _, token in answers}) == 1
        for each in running:
            assert each.communicate("end\n", timeout=60) == ("", "")
        assert [each.returncode for each in running] == [0] * 20
