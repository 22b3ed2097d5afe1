"""Run an example by its own command, beside people who use its emulator, as a reader of the pages would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectycube import Config
from tests.support.paths import ROOT
from tests.support.people import FAST, Person
from tests.support.waiting import wait_until

EXAMPLES = ROOT / "docs" / "examples"
SECONDS = 60.0
"""For an example to start, to say a thing, or to end, on a machine with much to do."""
_MARK = "EXAMPLE_OF_A_TEST"


class Example:
    """An example that runs: what it prints, and people who are connected to its emulator.

    Attributes:
        folder: A copy of the example's folder, where its ``run`` was started.
        process: The process that was started.
        lines: What it has printed so far, on standard output.
        errors: The same on standard error.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[str], env_file: Path) -> None:
        self.folder = folder
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._env_file = env_file
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for_line(self, words: str) -> str:
        """Wait until a line with these words was printed on standard output; return it."""

        def found() -> list[str]:
            return [line for line in self.lines if words in line]

        with self._changed:
            done = lambda: found() or not self._readers[0].is_alive()  # noqa: E731
            while not done():
                assert self._changed.wait(SECONDS), f"no line with {words!r}; {self.said}"
            assert found(), f"it ended without a line with {words!r}; {self.said}"
            return found()[0]

    @property
    def said(self) -> str:
        """All that it has printed, for the message of a failure."""
        return f"standard output: {self.lines}; standard error: {self.errors}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to the example's emulator, as the file of ``--env-file`` has them."""
        wait_until(lambda: self._env_file.exists() or self._has_ended(), timeout=SECONDS)
        lines = self._env_file.read_text(encoding="utf-8").splitlines()
        exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
        return dict(export.split("=", 1) for export in exports)

    def _has_ended(self) -> bool:
        assert self.process.poll() is None, self.said
        return False

    def person(self, login: str, password: str = "a password", **options: Any) -> Person:
        """Return a user of the example's emulator, with a session and logged in to the chat."""
        config = Config.from_env(self.environment, **{"reconnect": FAST, **options})
        return Person.in_chat(_AsEmulator(config), login, password)  # type: ignore[arg-type]

    def program(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start another program that finds the example's emulator, such as one of a second terminal."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**base_environment(), **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def write(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self, number: int | None = signal.SIGINT) -> int:
        """End it with a signal, or None for the end of its input; return its exit status."""
        assert self.process.stdin is not None
        if number is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        for reader in self._readers:
            reader.join(SECONDS)
        return status


class _AsEmulator:
    """What Person asks of an emulator."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def config(self, **fields: Any) -> Config:
        return self._config.replace(**fields)


def base_environment() -> dict[str, str]:
    """Return the environment of a reader's shell: the programs beside this Python come first."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": programs, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


def copy_of(name: str, folder: Path) -> Path:
    """Copy an example, which writes into its folder, and return the copy."""
    return Path(
        shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("*.db*"))
    )


@contextmanager
def running(
    name: str,
    folder: Path,
    *words: str,
    change: Callable[[Path], object] | None = None,
    **environment: str,
) -> Iterator[Example]:
    """Start the ``run`` of an example, and kill it if the block has not ended it.

    At the end nothing of it may be left: no process that it has started, and no file of variables.

    Args:
        name: The example.
        folder: A temporary folder.
        words: Arguments of ``run``, behind ``--env-file FILE``.
        change: A function that is called with the copy of the example's folder, before the start.
        environment: Variables of the example.
    """
    copy = copy_of(name, folder)
    if change is not None:
        change(copy)
    env_file = folder / "emulator.env"
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [str(copy / "run"), "--env-file", str(env_file), *words],
        env={**base_environment(), **environment, _MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        example = Example(copy, process, env_file)
        try:
            yield example
            assert process.poll() is not None, "the test has not ended the example"
        finally:
            if process.poll() is None:
                process.terminate()
                example.end(None)
    wait_until(lambda: not _marked(mark), "the end of all processes of the example", SECONDS)
    assert not env_file.exists()


def _marked(mark: str) -> list[str]:
    """Return the processes that have inherited the mark of an example (Linux only)."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:  # it has ended, or is another user's
            continue
    return found
