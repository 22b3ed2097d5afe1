"""docs/examples/tk_chat: two windows, used as a person would."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT
from tests.support.screen import screen, tk  # noqa: F401
from tests.support.waiting import wait_until
from tests.support.windows import SECONDS, RunningExample

pytestmark = [pytest.mark.referee("tk"), pytest.mark.usefixtures("tk")]

CONNECTED, BROKEN, READ = "#2e9e5b", "#c23030", "#1d6fc4"
ENTRY, STATE = (400, -25), (0, 0, 300, 30)
LAST = (500, -120, 240, 70)  # where the newest own message is


@pytest.fixture
def guarded(tmp_path):
    """A folder whose sitecustomize.py guards the windows of each program, and the file of the guard."""
    log = tmp_path / "calls.txt"
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib\nfrom tests.support.tk_guard import install\ninstall(pathlib.Path({str(log)!r}))\n",
        encoding="utf-8",
    )
    return f"{tmp_path}:{ROOT}", log


@pytest.fixture
def example(screen, guarded):  # noqa: F811
    """The running example."""
    running = RunningExample("tk_chat", {"DISPLAY": screen.display, "PYTHONPATH": guarded[0]})
    yield running
    running.kill()


@pytest.fixture
def windows(example, screen):  # noqa: F811
    """The windows of alice and bob, once they are connected and show their history."""
    found = [screen.window(f"Chat of {name}") for name in ("alice", "bob")]
    for window in found:
        window.wait_for_colour(CONNECTED, STATE)
    found[1].wait_for_colour(READ, (500, 100, 240, 300))
    return found


def stored(example):
    """The texts of the newest messages of alice and bob, and how many users have read each."""
    with example.client("alice") as alice:
        (dialog,) = alice.dialogs.list(type=3)
        page = alice.messages.list(dialog, sort="-date_sent", limit=3, mark_as_read=False)
        return [(message.body, len(message.read_ids)) for message in page]


@pytest.mark.time_limit(240)
def test_two_windows_talk_and_show_that_messages_are_read(example, windows, screen, guarded):  # noqa: F811
    alice, bob = windows
    alice.click(*ENTRY)
    alice.type("At nine, then", "Return")
    alice.wait_for_colour(READ, LAST)
    bob.click(*ENTRY)
    bob.type("See you", "Return")
    bob.wait_for_colour(READ, LAST)
    example.control("POST", "faults", {"name": "drop"})
    alice.wait_for_colour(BROKEN, STATE)
    alice.click(*ENTRY)
    alice.type("Written while the connection is lost", "Return")
    example.control("DELETE", "faults")
    alice.wait_for_colour(CONNECTED, STATE)
    alice.wait_for_colour(READ, LAST)
    written = ["At nine, then", "See you", "Written while the connection is lost"]
    assert sorted(stored(example)) == [(body, 2) for body in written]
    output = example.interrupt()
    assert (example.process.returncode, output) == (0, "")
    assert guarded[1].read_text(encoding="utf-8") == "a window is guarded\n"
    wait_until(lambda: not screen.has_window("Chat of"), timeout=SECONDS)
