"""A folder with the files of a page about a framework, in which its commands are run and its bot is tried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from connectycube.emulator import Emulator
from tests.docs.test_pages import BLOCKS, handles_signals
from tests.support.paths import ROOT
from tests.support.people import Person, logged_in
from tests.support.waiting import TIMEOUT, wait_until

_SECONDS = 120.0


def blocks(page: Path, kind: str) -> str:
    """The blocks of one kind on a page, as one file."""
    return "\n\n".join(one.code for one in BLOCKS if one.page == page and one.kind == kind)


class PageFolder:
    """The folder; its programs have ``environment`` beside the variables of this process."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "BOT_PASSWORD": "a password",
        }

    def run(self, *words: str) -> str:
        """Run a module of Python, which must end well; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def check_bot(self, emulator: Emulator, bot_id: int, friend: Person, *words: str) -> None:
        """Run the bot of the page: it answers a friend, and SIGTERM ends it with status 0 and one line."""
        with (
            logged_in(friend),
            subprocess.Popen(
                [sys.executable, "-W", "error", "-m", *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as bot,
        ):
            try:
                wait_until(lambda: emulator.sessions(bot_id), timeout=_SECONDS)
                friend.chat.send_private(bot_id, "three apples").result(TIMEOUT)
                answers = friend.events.wait_for("message_received", timeout=_SECONDS)
                assert answers[0].body == "thank you"
                wait_until(lambda: handles_signals(bot))
                bot.send_signal(signal.SIGTERM)
                output = bot.communicate(timeout=_SECONDS)[0].decode()
                assert (bot.returncode, len(output.splitlines())) == (0, 1), output
            finally:
                bot.kill()
                bot.communicate()
