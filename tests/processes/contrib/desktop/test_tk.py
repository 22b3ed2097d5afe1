"""A window of Tk: its widgets are touched on the GUI thread alone, and its end waits for nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.screen import screen, tk  # noqa: F401

PROGRAM = Path(__file__).parent / "tk_program.py"
AT_ONCE = (
    3.0  # seconds on a busy machine; a worker that is waited for costs a logout its whole 5 seconds
)

pytestmark = [pytest.mark.referee("tk"), pytest.mark.usefixtures("tk")]


@pytest.fixture
def run(screen):  # noqa: F811
    """Run one scene of the program; return what it prints."""

    def run(scene):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(PROGRAM), scene],
            env={**os.environ, "DISPLAY": screen.display, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if scene != "planted":
            said = [line for line in done.stderr.splitlines() if "abandoned: " not in line]
            assert said == [], done.stderr
        return json.loads(done.stdout)

    return run


def test_every_widget_is_touched_on_the_gui_thread(run):
    result = run("shows")
    assert result["threads"] == ["MainThread"]
    assert (result["shown"], result["in order"], result["found"]) == (300, True, [1])
    assert result["seconds"] < AT_ONCE


def test_the_guard_sees_a_receiver_that_runs_on_a_worker(run):
    assert len(run("planted")["threads"]) == 2


@pytest.mark.parametrize(
    "scene", ["frozen", "frozen_chat_first", "inside", "reconnecting", "destroyed"]
)
def test_the_end_of_a_window_waits_for_nobody(scene, run):
    result = run(scene)
    assert result["seconds"] < AT_ONCE
    assert (result["shown"], result["after close"]) == (0, [])
    assert result["threads"] == ["MainThread"]


def test_a_receiver_that_closes_its_window_is_called_once(run):
    assert run("inside")["results"] == ["0"]


def test_a_handover_ends_with_its_own_window_alone(run):
    assert run("destroyed_part")["seen"] == ["0"]


def test_a_dialog_that_a_receiver_opens_goes_on_with_the_queue(run):
    assert run("modal")["answered"] == ["0", "1"]


def test_no_other_thread_lets_go_of_what_tk_must_free(run):
    assert run("collected")["threads"] == ["MainThread"]
