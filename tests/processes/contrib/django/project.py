"""The projects of ``tests/support`` as their people run them: with ``manage.py``."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connectycube.emulator import Emulator
from tests.processes.programs.running import LOGIN, PASSWORD, Program, running
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

MANAGE = [sys.executable, "-W", "error", "-m", "tests.support.django_project.manage"]
STRANGE = [*MANAGE[:-1], "tests.support.strange_project.manage"]
READY = "listens; handlers: "
SECONDS = 120.0
"""For a command to end, or to be ready, on a machine with much to do."""


class Elsewhere:
    """In place of an emulator: the environment names a service that nobody asks."""

    def environment(self) -> dict[str, str]:
        return {"CONNECTYCUBE_APP_ID": "1", "CONNECTYCUBE_AUTH_KEY": "key"}


class Project:
    """The project with a database of its own in ``folder``, and an emulator."""

    command = MANAGE

    def __init__(self, emulator: Emulator | Elsewhere, folder: Path, **environment: str) -> None:
        self.emulator = emulator
        self.folder = folder
        self.starts_in = folder
        self._logs = 0
        self.environment = {"SHOP_FOLDER": str(folder), **environment}

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.starts_in,
            env={
                **os.environ,
                **self.emulator.environment(),
                "PYTHONPATH": str(ROOT),
                "LOGIN": LOGIN,
                "PASSWORD": PASSWORD,
                **self.environment,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def migrate(self) -> None:
        """Make the tables."""
        done = self.manage("migrate", "-v0")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[Program]:
        """Start a command that goes on."""
        everything = {**self.environment, **environment}
        self._logs += 1  # two programs at a time do not write into one file
        name = f"program{self._logs}.log"
        command = [*self.command, *arguments]
        with running(
            self.emulator, self.starts_in, command, log_name=name, **everything
        ) as program:
            yield program

    @contextmanager
    def listening(self, *arguments: str, **environment: str) -> Iterator[Program]:
        """Run the bot, which is ready when the block begins."""
        with self.started("connectycube_listen", *arguments, **environment) as program:
            wait_until(lambda: READY in program.words or has_ended(program), "the bot", SECONDS)
            assert READY in program.words, program.words
            yield program

    def orders(self) -> list[str]:
        """The texts of the orders in the SQLite database, in the order in which they were written."""
        with closing(sqlite3.connect(self.folder / "shop.sqlite3")) as database:
            return [text for (text,) in database.execute("SELECT text FROM shop_order ORDER BY id")]


def has_ended(program: Program) -> bool:
    return program.process.poll() is not None
