"""What the XMPP servers that others wrote have in common: one process each, with a configuration of ours."""

from __future__ import annotations

import os
import signal
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from tests.interop.referee_process import HOST, RefereeProcess
from tests.support.certificates import Certificates
from tests.support.waiting import wait_until

DOMAIN = "localhost"
ROOMS = f"muc.{DOMAIN}"

_MARK = "TESTS_SERVER_FOLDER"


class ServerProcess(RefereeProcess):
    """One process of an XMPP server: start it with ``with``.

    It speaks TLS from the first byte on a free port of 127.0.0.1, for users of ``domain``; rooms are at
    ``rooms``. It knows nobody else and connects nowhere. ``hibernation`` is how many seconds a session whose
    link is lost waits to be resumed (XEP-0198). ``host``, ``port``, ``ca_file`` are what a client needs.
    """

    name: ClassVar[str]
    """Of the referee, of its Debian package, and of its log."""

    def __init__(self, folder: Path, certificates: Certificates, *, hibernation: int = 60) -> None:
        super().__init__(folder)
        self.host = HOST
        self.domain = DOMAIN
        self.rooms = ROOMS
        self.ca_file = certificates.ca_file
        self.log_file = folder / f"{self.name}.log"
        self._certificates = certificates
        self._hibernation = hibernation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        super().__exit__(kind, error, traceback)

    @abstractmethod
    def add_user(self, user: str, password: str) -> str:
        """Make the account and return its bare JID."""

    def log(self) -> str:
        """Return what the server has logged so far."""
        logged = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return f"{logged}\n{super().log()}"

    def _environment(self) -> Mapping[str, str]:
        return {_MARK: str(self._folder)}

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            super()._end(number)
            wait_until(
                lambda: not _kill_helpers(self._folder), f"all processes of {self.name} ended"
            )


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
