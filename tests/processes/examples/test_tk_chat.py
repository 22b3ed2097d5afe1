"""docs/examples/tk_chat: two windows on a screen, used as a person would, and looked at."""

from __future__ import annotations

import json
import os
import urllib.request

import pytest

from connectycube import Config, ConnectyCube, DialogType
from tests.processes.examples.running import SECONDS, running
from tests.support.paths import ROOT
from tests.support.screen import screen, tk  # noqa: F401

pytestmark = [
    pytest.mark.referee("tk"),
    pytest.mark.usefixtures("tk"),
    pytest.mark.time_limit(240),
]

CONNECTED, BROKEN, READ = "#2e9e5b", "#c23030", "#1d6fc4"  # colours of the example
ENTRY, STATE = (400, -25), (0, 0, 300, 30)
HISTORY = (500, 100, 240, 300)
LAST = (500, -120, 240, 70)  # where the newest own message is


@pytest.fixture
def guarded(tmp_path):
    """A folder whose sitecustomize.py guards the windows of each program, and the file of the guard."""
    log = tmp_path / "calls.txt"
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib\nfrom tests.support.tk_guard import install\n"
        f"install(pathlib.Path({str(log)!r}))\n",
        encoding="utf-8",
    )
    return f"{tmp_path}{os.pathsep}{ROOT}", log


@pytest.fixture
def example(screen, guarded, tmp_path):  # noqa: F811
    """The running example."""
    with running("tk_chat", tmp_path, DISPLAY=screen.display, PYTHONPATH=guarded[0]) as started:
        yield started


def control(example, method, path, body=None):
    """Use the control API of the example's emulator."""
    variables = example.environment
    request = urllib.request.Request(
        f"{variables['CONNECTYCUBE_CONTROL_URL']}/{path}",
        method=method,
        headers={"Authorization": f"Bearer {variables['CONNECTYCUBE_CONTROL_TOKEN']}"},
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        answer.read()


def stored(example):
    """The texts of the newest messages of alice and bob, and how many users have read each."""
    with ConnectyCube(config=Config.from_env(example.environment)) as alice:
        alice.login(login="alice", password="a password")
        (dialog,) = alice.dialogs.list(type=DialogType.PRIVATE)
        page = alice.messages.list(dialog, sort="-date_sent", limit=3, mark_as_read=False)
        return sorted((message.body, len(message.read_ids)) for message in page)


def windows_of(screen):  # noqa: F811
    """The windows of alice and bob, once they are connected and show their history."""
    found = [screen.window(f"Chat of {name}") for name in ("alice", "bob")]
    for window in found:
        window.wait_for_colour(CONNECTED, STATE)
        window.wait_for_colour(READ, HISTORY)
    return found


def test_two_windows_talk_and_show_that_messages_are_read(example, screen, guarded):  # noqa: F811
    alice, bob = windows_of(screen)
    alice.click(*ENTRY)
    alice.type("At nine, then", "Return")
    alice.wait_for_colour(READ, LAST)
    bob.click(*ENTRY)
    bob.type("See you", "Return")
    bob.wait_for_colour(READ, LAST)

    control(example, "POST", "faults", {"name": "drop"})
    alice.wait_for_colour(BROKEN, STATE)
    alice.click(*ENTRY)
    alice.type("Written while the connection is lost", "Return")
    control(example, "DELETE", "faults")
    alice.wait_for_colour(CONNECTED, STATE)
    alice.wait_for_colour(READ, LAST)

    written = ["At nine, then", "See you", "Written while the connection is lost"]
    assert stored(example) == [(body, 2) for body in written]
    assert (example.end(), example.said) == (0, "standard output: []; standard error: []")
    assert guarded[1].read_text(encoding="utf-8") == "a window is guarded\n"
