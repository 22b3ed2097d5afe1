"""Redis as a plain process on a free port, with a folder of its own: an engine of the relay."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.interop.referee_process import HOST, RefereeProcess


class RedisServer(RefereeProcess):
    """One Redis that keeps what it acknowledges on the disk: start it with ``with``.

    ``fsync`` is its appendfsync; a process that is killed loses nothing with any of them.
    """

    program, package = "redis-server", "redis-server"

    def __init__(self, folder: Path, fsync: str = "everysec") -> None:
        super().__init__(folder)
        self._fsync = fsync

    @property
    def url(self) -> str:
        """How clients connect to it."""
        return f"redis://{HOST}:{self.port}/0"

    def _command(self, program: str) -> list[str]:
        return [
            *(program, "--port", str(self.port), "--bind", HOST, "--dir", str(self._folder)),
            *("--daemonize", "no", "--save", "", "--appendonly", "yes"),
            *("--appendfsync", self._fsync, "--maxmemory-policy", "noeviction"),
        ]

    def _is_ready(self) -> bool:
        if not super()._is_ready():
            return False
        # It accepts connections while it still loads its file.
        ping = ["redis-cli", "-h", HOST, "-p", str(self.port), "ping"]
        return subprocess.run(ping, capture_output=True, check=False).stdout.strip() == b"PONG"
