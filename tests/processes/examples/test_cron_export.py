"""The export of the examples: every message once, also when it is killed, and later the new ones alone."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.processes.examples.running import EXAMPLES, SECONDS, running
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(240)

PROGRAM = EXAMPLES / "cron_export" / "cron_export.py"
BEGAN = 1_700_000_000


class Archive:
    """A folder that the program exports into, and the emulator from which it does."""

    def __init__(self, emulator, folder) -> None:
        self.folder = folder
        self._emulator = emulator

    def _environment(self, **variables):
        given = {
            **os.environ,
            **self._emulator.environment(),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "EXPORT_LOGIN": "ann",
            "EXPORT_PASSWORD": "a password",
            **variables,
        }
        return {name: value for name, value in given.items() if value is not None}

    def export(self, *words, **variables):
        """Run it to its end; return its exit status and what it says."""
        done = subprocess.run(
            [sys.executable, str(PROGRAM), *(words or [str(self.folder)])],
            env=self._environment(**variables),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    @contextmanager
    def exporting(self) -> Iterator[subprocess.Popen[str]]:
        """Run it in the background; kill it at the end."""
        with subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.folder)], env=self._environment()
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def files(self):
        """What is in the folder but for the lock."""
        return {
            each.name: each.read_bytes() for each in self.folder.iterdir() if each.name != ".lock"
        }

    @property
    def size(self):
        """The bytes in the folder, while a run is at work."""
        return sum(each.stat().st_size for each in self.folder.glob("*.part"))

    def ids(self, dialog_id):
        lines = self.files[f"{dialog_id}.jsonl"].splitlines()
        return [json.loads(line)["id"] for line in lines]


@pytest.fixture
def archive(emulator, tmp_path):
    return Archive(emulator, tmp_path / "archive")


@pytest.fixture
def dialogs(emulator):
    """Three dialogs of Ann with 4,500 messages, many of which were written in the same second."""
    ann, bob = (emulator.add_user(name, "a password") for name in ("ann", "bob"))
    dialogs = [emulator.add_dialog("group", ann, [bob], name=name) for name in ("Hikers", "Cooks")]
    dialogs.append(emulator.add_dialog("private", ann, [bob]))
    for count, dialog_id in zip((3_000, 1_000, 500), dialogs, strict=True):
        add(emulator, dialog_id, range(count))
    return dialogs


def add(emulator, dialog_id, numbers):
    messages = [
        {"sender_id": 1 + n % 2, "message": f"{n} 👩‍🚀", "date_sent": BEGAN + n // 7}
        for n in numbers
    ]
    return emulator.add_messages(dialog_id, messages)


def stored(emulator, dialog_id):
    return [message["_id"] for message in emulator.messages(dialog_id)]


def test_each_message_has_a_line_and_is_not_marked_as_read(archive, dialogs, emulator):
    read_by = [message["read_ids"] for message in emulator.messages(dialogs[0])]
    assert archive.export() == (0, "")
    assert archive.files.keys() == {f"{dialog_id}.jsonl" for dialog_id in dialogs}
    for dialog_id in dialogs:
        assert archive.ids(dialog_id) == stored(emulator, dialog_id)
    first = json.loads(archive.files[f"{dialogs[0]}.jsonl"].splitlines()[0])
    assert (first["model"], first["body"], first["sender_id"]) == ("Message", "0 👩‍🚀", 1)
    assert [message["read_ids"] for message in emulator.messages(dialogs[0])] == read_by
    modes = {stat.S_IMODE(each.stat().st_mode) for each in archive.folder.iterdir()}
    assert (modes, stat.S_IMODE(archive.folder.stat().st_mode)) == ({0o600}, 0o700)


def test_a_later_run_adds_the_new_messages_alone(archive, dialogs, emulator):
    archive.export()
    before = archive.files
    inodes = {each: each.stat().st_ino for each in archive.folder.glob("*.jsonl")}
    assert archive.export() == (0, "")
    assert archive.files == before
    assert {each: each.stat().st_ino for each in inodes} == inodes, "nothing was written"

    late = emulator.add_messages(
        dialogs[0], [{"sender_id": 2, "message": "late", "date_sent": BEGAN + 200}]
    )
    new = add(emulator, dialogs[0], range(3_000, 3_050))
    other = emulator.add_dialog("group", 1, [2], name="Sailors")
    first = add(emulator, other, range(3))
    assert archive.export() == (0, "")
    name = f"{dialogs[0]}.jsonl"
    assert archive.files[name].startswith(before[name])
    assert archive.ids(dialogs[0])[3_000:] == late + new
    assert archive.ids(other) == first
    assert {name: archive.files[name] for name in before if name != f"{dialogs[0]}.jsonl"} == {
        name: content for name, content in before.items() if name != f"{dialogs[0]}.jsonl"
    }


def test_a_run_that_is_killed_anywhere_is_gone_on_with(archive, dialogs, emulator, tmp_path):
    whole = Archive(emulator, tmp_path / "whole")
    assert whole.export() == (0, "")
    archive.folder.mkdir()
    for kill in range(4):
        with emulator.faults.delay(seconds=0.1, on="rest"), archive.exporting() as process:
            before = archive.size
            wait_until(lambda before=before: archive.size > before + 20_000, timeout=SECONDS)
            process.kill()
            process.wait()
        (part,) = archive.folder.glob("*.part")
        if kill == 2:
            part.write_bytes(part.read_bytes() + b'{"schema": 1, "model": "Mess')  # a torn line
    assert archive.export() == (0, "")
    assert archive.files == whole.files


def test_a_run_that_is_killed_later_adds_the_new_messages_once(archive, dialogs, emulator):
    archive.export()
    before = archive.files
    new = add(emulator, dialogs[1], range(1_000, 3_000))
    with emulator.faults.delay(seconds=0.1, on="rest"), archive.exporting() as process:
        length = len(before[f"{dialogs[1]}.jsonl"])
        wait_until(lambda: archive.size > length + 20_000, timeout=SECONDS)
        process.kill()
        process.wait()
    assert {name: archive.files[name] for name in before} == before, "readers see whole files"
    assert archive.export() == (0, "")
    assert archive.ids(dialogs[1])[1_000:] == new
    assert archive.files.keys() == before.keys()


def test_two_runs_do_not_write_at_the_same_time(archive, dialogs, emulator):
    with emulator.faults.half_open(on="rest") as silent, archive.exporting() as process:
        silent.wait(1, SECONDS)
        status, words = archive.export()
        assert (status, words) == (
            7,
            f"cron_export.py: another run exports into {archive.folder}\n",
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
    assert archive.export() == (0, "")


def test_a_damaged_file_is_named_and_the_other_dialogs_are_exported(archive, dialogs, emulator):
    archive.export()
    file = archive.folder / f"{dialogs[0]}.jsonl"
    file.write_bytes(b"no JSON\n" + file.read_bytes())
    for dialog_id in dialogs:
        add(emulator, dialog_id, range(4_000, 4_001))
    status, words = archive.export()
    assert (status, len(words.splitlines())) == (1, 1)
    assert f"dialog {dialogs[0]}: " in words
    assert "has a damaged line" in words
    assert len(archive.ids(dialogs[1])) == 1_001
    assert len(archive.ids(dialogs[2])) == 501


@pytest.mark.parametrize(
    ("words", "variables", "status", "sentence"),
    [
        (["--help"], {}, 2, "usage: cron_export.py FOLDER"),
        (["a", "b"], {}, 2, "usage: cron_export.py FOLDER"),
        ([], {"EXPORT_PASSWORD": None}, 2, "the variable EXPORT_PASSWORD is missing"),
        ([], {"CONNECTYCUBE_APP_ID": None}, 2, "CONNECTYCUBE_APP_ID"),
        ([], {"CONNECTYCUBE_APP_ID": "five"}, 2, "CONNECTYCUBE_APP_ID"),
        ([], {"EXPORT_PASSWORD": "wrong"}, 4, "401"),
        ([], {"CONNECTYCUBE_API_URL": "http://127.0.0.1:1"}, 6, "127.0.0.1"),
        (["/dev/null"], {}, 1, "/dev/null"),
        (["/dev/null/folder"], {}, 1, "/dev/null"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_a_status(
    words, variables, status, sentence, archive, emulator
):
    emulator.add_user("ann", "a password")
    found, said = archive.export(*words, **variables)
    assert found == status
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_a_rate_limit_and_a_failing_service_have_a_status_each(archive, dialogs, emulator):
    with emulator.faults.rate_limit(retry_after=3600):
        status, words = archive.export()
        assert (status, len(words.splitlines())) == (7, 1)
    with emulator.faults.server_error(on="rest"):
        assert archive.export()[0] == 1
    assert archive.export() == (0, "")


def test_run_exports_what_its_emulator_has(tmp_path):
    with running("cron_export", tmp_path) as example:
        assert example.process.wait(SECONDS) == 0
        example.end(None)
        bodies = [json.loads(line)["body"] for line in example.lines]
        assert sorted(bodies) == ["At six?", "Just us", "Zu früh 🥱"]
        assert example.errors == []
