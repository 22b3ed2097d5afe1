"""A program that others wrote, as one process on a free port of this machine: a test starts and stops it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from tests.support import components
from tests.support.ports import free_port
from tests.support.waiting import wait_until

__all__ = ["HOST", "RefereeProcess", "accepts"]

HOST = "127.0.0.1"

_STOP_SECONDS = 10.0
_Self = TypeVar("_Self", bound="RefereeProcess")


class RefereeProcess(ABC):
    """One process of a referee: start it with ``with``.

    It keeps its ``port`` of HOST when it starts again. When the ``with`` statement ends with an error, what
    the process has written is printed.
    """

    program: ClassVar[str]
    """The name of its executable file."""
    package: ClassVar[str]
    """The Debian package with the program."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 30.0
    """How long its start may take on a busy machine."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._folder = folder
        self._output_file = folder / f"{self.program}.out"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            print(f"--- {self.program}", self.log(), sep="\n")

    def start(self) -> None:
        """Start the process, on the same port as before if it ran, and return when it is ready."""
        program = self._find(self.program)
        self.port = self.port or free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._configure()
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(program),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                start_new_session=True,
                user=self._user(),
                env={**os.environ, **self._environment()},
            )
        try:
            wait_until(self._is_ready, f"{self.program} is ready", timeout=self.start_seconds)
        except BaseException:
            print(self.log())
            self.kill()
            raise

    def stop(self) -> None:
        """End the process in good order; nothing if it does not run."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the process at once: the connections of its clients end without a word."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._running().send_signal(signal.SIGCONT)

    def log(self) -> str:
        """Return what the process has written so far."""
        return _text(self._output_file)

    # --- what each program does in its own way ----------------------------------------------------

    @abstractmethod
    def _command(self, program: str) -> list[str]:
        """Return the command that runs the program in the foreground."""

    def _configure(self) -> None:  # noqa: B027 - not every program reads something
        """Write what the program reads when it starts."""

    def _environment(self) -> Mapping[str, str]:
        """Return the variables that the command needs besides ours."""
        return {}

    def _user(self) -> int | None:
        """Return the number of the user as whom the program runs; None is ours."""
        return None

    def _find(self, program: str) -> str:
        """Return the path of a program."""
        found = shutil.which(program)
        if found is None:
            components.missing(self.package, f"apt-get install {self.package}")
        return found

    def _is_ready(self) -> bool:
        """Whether it serves clients; for the time of the start."""
        if self._running().poll() is not None:
            raise RuntimeError(f"{self.program} ended with status {self._running().returncode}")
        return accepts(HOST, self.port)

    # --- the process ------------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.program} does not run")
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it ends right now
        return False
    return True


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""
