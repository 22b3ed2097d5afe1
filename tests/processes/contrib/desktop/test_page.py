"""The program at the top of docs/desktop.md runs, although it needs a screen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.test_pages import BLOCKS, DOCS
from tests.support.paths import ROOT
from tests.support.people import logged_in
from tests.support.screen import screen, tk  # noqa: F401
from tests.support.waiting import TIMEOUT, wait_until

LOOP = "    root.mainloop()\n"
ONE_LINE = "    while not lines.size():\n        root.update()\n    print(lines.get(0))\n"


@pytest.mark.referee("tk")
@pytest.mark.usefixtures("tk")
def test_the_window_of_the_page_shows_a_message(emulator, bob, screen):  # noqa: F811
    (code,) = [one.code for one in BLOCKS if one.page == DOCS / "desktop.md" and LOOP in one.code]
    alice_id = emulator.add_user("alice", "a password")
    environment = {"DISPLAY": screen.display, "PYTHONPATH": str(ROOT), **emulator.environment()}
    with (
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code.replace(LOOP, ONE_LINE)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as window,
        logged_in(bob),
    ):
        wait_until(lambda: emulator.sessions(alice_id), "alice is there", TIMEOUT * 3)
        bob.chat.send_private(alice_id, "Hello Alice").result(TIMEOUT)
        assert window.communicate(timeout=TIMEOUT * 3) == ("Hello Alice\n", "")
    assert window.returncode == 0
