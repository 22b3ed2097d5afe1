"""PostgreSQL as a plain process on a free port, which a test can stop and start: what receivers write to."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from tests.interop.referee_process import HOST, RefereeProcess
from tests.support import components
from tests.support.waiting import TIMEOUT


class PostgreSQL(RefereeProcess):
    """One PostgreSQL server with an empty database in ``folder``: start it with ``with``.

    It trusts everybody who connects from this machine. It refuses to run as root, so then it runs as user
    ``postgres``.
    """

    program, package = "postgres", "postgresql"
    stop_signal = signal.SIGINT  # which ends the connections of its clients, too (fast shutdown)

    @property
    def address(self) -> str:
        """How psycopg connects to it; a stopped server refuses at once, a busy machine takes seconds."""
        server = f"host={HOST} port={self.port} connect_timeout={TIMEOUT:.0f}"
        return f"{server} user=postgres dbname=postgres"

    def _configure(self) -> None:
        if self._data.exists():
            return
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        with self._output_file.open("ab") as output:
            subprocess.run(
                [
                    *(self._find("initdb"), "-D", str(self._data)),
                    *("-U", "postgres", "-A", "trust", "--no-sync"),
                ],
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=self._user(),
                check=True,
            )

    def _command(self, program: str) -> list[str]:
        return [
            *(program, "-D", str(self._data), "-p", str(self.port)),
            *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
        ]

    def _user(self) -> int | None:
        return pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None

    def _find(self, program: str) -> str:
        """Return the path of a program of the newest release; Debian keeps them away from PATH."""
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        if not found:
            components.missing(self.package, f"apt-get install {self.package}")
        return str(found[-1])

    def _is_ready(self) -> bool:
        return super()._is_ready() and self._answers()

    def _answers(self) -> bool:
        command = [self._find("pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    @property
    def _data(self) -> Path:
        return self._folder / "data"
