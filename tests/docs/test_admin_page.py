"""The program of the page about administration makes a true copy, whatever happens between its runs."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from connectycube import AdminMessage, ConnectyCube
from tests.support.paths import ROOT

_MIRROR = re.compile(r"^<!-- mirror -->\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 60


@pytest.fixture
def dialog(emulator):
    """A dialog of Alice with 350 messages."""
    alice = emulator.add_user("alice", "a password")
    dialog_id = emulator.add_dialog("group", alice, [alice], name="Hikers")
    emulator.add_messages(
        dialog_id, [{"sender_id": alice, "message": f"message {n}"} for n in range(350)]
    )
    return dialog_id


@pytest.fixture
def alice(emulator, dialog):
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="alice", password="a password")
        yield cube


class Mirror:
    """The program of the page, and the database that it writes."""

    def __init__(self, folder, emulator):
        (code,) = (
            found["code"] for found in _MIRROR.finditer((ROOT / "docs/admin.md").read_text())
        )
        self.folder, self.code = folder, code
        self.environment = {
            **os.environ,
            **emulator.environment(),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
        }

    def run(self, *words, before=""):
        """Run the program, perhaps behind other lines; return it when it has ended."""
        script = self.folder / "mirror.py"
        script.write_text(f"{textwrap.dedent(before)}\n{self.code}", encoding="utf-8")
        return subprocess.run(
            [sys.executable, script, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def copy(self, *words):
        """Run the program, which must end well."""
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{len(self.rows())} messages are in mirror.db\n"

    def rows(self):
        with sqlite3.connect(self.folder / "mirror.db") as db:
            found = dict(db.execute("SELECT id, whole FROM messages"))
        db.close()
        return {key: AdminMessage.from_dict(json.loads(text)) for key, text in found.items()}


@pytest.fixture
def mirror(tmp_path, emulator):
    return Mirror(tmp_path, emulator)


def whole(emulator):
    with ConnectyCube(config=emulator.config()) as cube:
        return {message.id: message for message in cube.admin.messages.iter()}


def test_everything_is_copied_and_then_what_is_new_or_changed(mirror, emulator, dialog, alice):
    mirror.copy()
    assert mirror.rows() == whole(emulator)
    first, second = alice.messages.list(dialog, limit=2, mark_as_read=False)
    alice.messages.update(dialog, first, body="edited")
    alice.messages.create(dialog, "new")
    mirror.copy()
    assert mirror.rows() == whole(emulator)
    alice.messages.delete(second, force=True)
    mirror.copy()
    assert mirror.rows().keys() - whole(emulator).keys() == {second.id}
    mirror.copy("all")
    assert mirror.rows() == whole(emulator)


def test_a_message_with_a_small_id_that_comes_late_is_copied(mirror, emulator, dialog, alice):
    mirror.copy()
    late = "000000000000000000000001"  # of a client whose clock is wrong
    message = {"_id": late, "sender_id": alice.user.id, "message": "late"}
    emulator.add_messages(dialog, [message])
    mirror.copy()
    assert mirror.rows()[late].body == "late"


_KILLED = """
import itertools, os, signal
import connectycube.rest._http as http
calls, send = itertools.count(1), http.HttpClient.send
def killing(client, request):
    if next(calls) == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(client, request)
http.HttpClient.send = killing
"""


@pytest.mark.parametrize("words", [(), ("all",)], ids=["new", "all"])
def test_a_copy_that_is_killed_goes_on_where_it_was(mirror, emulator, dialog, words):
    asked = []
    for number in (4, 2, 2):
        done = mirror.run(*words, before=_KILLED.format(number=number))
        assert done.returncode == -signal.SIGKILL
        asked.append(len(mirror.rows()))
    assert asked == [200, 300, 300], "a batch is copied as a whole, or again"
    mirror.copy(*words)
    assert mirror.rows() == whole(emulator)


def test_a_copy_outlives_the_faults_of_the_service(mirror, emulator, dialog):
    emulator.faults.rate_limit(retry_after=0, times=2)
    mirror.copy()
    emulator.faults.server_error(status=500)
    assert mirror.run().returncode == 1
    emulator.faults.stop_all()
    mirror.copy()
    assert mirror.rows() == whole(emulator)


def test_without_a_key_the_program_says_what_to_set(mirror, emulator, dialog):
    del mirror.environment["CONNECTYCUBE_ADMIN_KEY"]
    done = mirror.run()
    assert "ArgumentValueError" in done.stderr
    assert "set CONNECTYCUBE_ADMIN_KEY" in done.stderr
