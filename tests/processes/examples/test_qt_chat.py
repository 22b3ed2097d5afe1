"""docs/examples/qt_chat: two windows without a screen, used by Qt's own keyboard."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from connectycube import Config, ConnectyCube
from connectycube.emulator import Emulator
from tests.processes.examples.running import EXAMPLES, SECONDS, running
from tests.support.paths import ROOT
from tests.support.screen import qt  # noqa: F401
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.referee("qt"),
    pytest.mark.usefixtures("qt"),
    pytest.mark.time_limit(120),
]

FOLDER = EXAMPLES / "qt_chat"
OFFSCREEN = "propagateSizeHints"  # what Qt says of a platform without a screen
PERSON = Path(__file__).parent / "qt_person.py"


def test_two_windows_talk_and_show_that_messages_are_read(tmp_path):
    picture = tmp_path / "window.png"
    with Emulator() as emulator:
        emulator.load(FOLDER / "people.json")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(PERSON), str(picture)],
            env={
                **os.environ,
                **emulator.environment(),
                "QT_QPA_PLATFORM": "offscreen",
                "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}",
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if OFFSCREEN not in line]
    assert said == []
    shown = json.loads(done.stdout)
    assert [line[0] for line in shown["alice"][-2:]] == ["Then I ask them", "Thank you"]
    assert shown["alice"][-2][1].endswith("✓✓ read")
    assert shown["bob"][-1][1].endswith("✓✓ read")
    assert all("connected" in state for state in shown["states"])
    assert shown["seconds"] < 3.0  # a logout that waits takes 5
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])  # of a PNG
    assert (width, height) == (420, 520)


def test_its_command_runs_until_ctrl_c(tmp_path):
    with running("qt_chat", tmp_path, QT_QPA_PLATFORM="offscreen") as example:
        with ConnectyCube(config=Config.from_env(example.environment)) as bob:
            bob.login(login="bob", password="a password")
            wait_until(lambda: has_read(bob), "alice has read the last message", SECONDS)
        assert example.end() == 0
        assert example.lines == []
        assert [line for line in example.errors if OFFSCREEN not in line] == []


def has_read(bob):
    """Whether alice's window has reported that the last message of bob was read."""
    (dialog,) = bob.dialogs.list()
    last = bob.messages.list(dialog, sort="-date_sent", limit=1, mark_as_read=False)[0]
    return len(last.read_ids) == 2
