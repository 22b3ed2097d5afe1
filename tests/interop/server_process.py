"""What the XMPP servers that others wrote have in common: one process each, with a configuration of ours."""

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
from typing import ClassVar

from tests.support import components
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.waiting import wait_until

DOMAIN = "localhost"
ROOMS = f"muc.{DOMAIN}"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_MARK = "TESTS_SERVER_FOLDER"


class ServerProcess(ABC):
    """One process of an XMPP server: start it with ``with``.

    It speaks TLS from the first byte on a free port of 127.0.0.1, for users of ``domain``; rooms are at
    ``rooms``. It knows nobody else and connects nowhere. ``hibernation`` is how many seconds a session whose
    link is lost waits to be resumed (XEP-0198). ``host``, ``port``, ``ca_file`` are what a client needs. When
    the ``with`` statement ends with an error, the server's log is printed.
    """

    name: ClassVar[str]
    """Of the referee, of its Debian package, and of its log."""
    program: ClassVar[str]
    """What has to be installed."""

    def __init__(self, folder: Path, certificates: Certificates, *, hibernation: int = 60) -> None:
        self.host = "127.0.0.1"
        self.domain = DOMAIN
        self.rooms = ROOMS
        self.port = 0
        self.ca_file = certificates.ca_file
        self.log_file = folder / f"{self.name}.log"
        self._output_file = folder / f"{self.name}.out"
        self._folder = folder
        self._certificates = certificates
        self._hibernation = hibernation
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None:
            print(f"--- {self.log_file}", self.log(), sep="\n")

    def start(self) -> None:
        """Start the process, on the same port as before if it ran, and return when it is ready."""
        program = shutil.which(self.program)
        if program is None:
            components.missing(self.name, f"apt-get install {self.name}")
        self.port = self.port or free_port()
        self._configure()
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(program),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, _MARK: str(self._folder), **self._environment()},
            )
        try:
            wait_until(self._is_ready, f"{self.name} is ready", timeout=_START_SECONDS)
        except BaseException:
            print(self.log())
            self.kill()
            raise

    def stop(self) -> None:
        """End the process in good order: its clients get a stream error. Nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once: its clients' connections end without a word."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._running().send_signal(signal.SIGCONT)

    @abstractmethod
    def add_user(self, user: str, password: str) -> str:
        """Make the account and return its bare JID."""

    def log(self) -> str:
        """Return what the server has logged so far."""
        parts = [path for path in (self.log_file, self._output_file) if path.exists()]
        return "\n".join(path.read_text(errors="replace") for path in parts)

    # --- what each server does in its own way -----------------------------------------------------

    @abstractmethod
    def _configure(self) -> None:
        """Write the configuration."""

    @abstractmethod
    def _command(self, program: str) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def _environment(self) -> Mapping[str, str]:
        """Return the variables that the command needs besides ours."""
        return {}

    def _is_ready(self) -> bool:
        """Whether it serves clients; for the time of the start."""
        if self._running().poll() is not None:
            raise RuntimeError(f"{self.name} ended with status {self._running().returncode}")
        return accepts(self.host, self.port)

    # --- the process ------------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
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
        wait_until(lambda: not _kill_helpers(self._folder), f"all processes of {self.name} ended")


def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def _kill_helpers(folder: Path) -> bool:
    """Kill what is left of a server's processes; whether there was anything (Linux only).

    A server's helpers may be in sessions of their own, but have its environment.
    """
    mark, found = f"{_MARK}={folder}".encode(), False
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark not in entry.read_bytes().split(b"\0"):
                continue
            os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:  # it has just ended, or is somebody else's
            continue
        found = True
    return found
