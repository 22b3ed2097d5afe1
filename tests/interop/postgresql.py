"""PostgreSQL as a plain process on a free port, which a test can stop and start: what receivers write to."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType

from tests.interop.server_process import accepts
from tests.support import components
from tests.support.ports import free_port
from tests.support.waiting import wait_until

HOST = "127.0.0.1"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class PostgreSQL:
    """One PostgreSQL server with an empty database in ``folder``: start it with ``with``.

    It trusts everybody who connects from this machine. It refuses to run as root, so then it runs as user
    ``postgres``.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._log_file = folder / "postgresql.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """How psycopg connects to it, within a second or not at all."""
        return f"host={HOST} port={self.port} user=postgres dbname=postgres connect_timeout=2"

    def __enter__(self) -> PostgreSQL:
        self._folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")
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
            print(self._log_file.read_text(errors="replace"))

    def start(self) -> None:
        """Start the process, and return when it answers."""
        with self._log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(_program("postgres"), "-D", str(self._data), "-p", str(self.port)),
                    *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=_user(),
            )
        wait_until(self._is_ready, "PostgreSQL is ready", timeout=_START_SECONDS)

    def stop(self) -> None:
        """End the process as an administrator does who does not wait for its clients (fast shutdown)."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {self._log_file.read_text(errors='replace')}")
        return accepts(HOST, self.port) and self._answers()

    def _answers(self) -> bool:
        command = [_program("pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        with self._log_file.open("ab") as output:
            subprocess.run(
                [_program(name), *arguments],
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=_user(),
                check=True,
            )


def _user() -> int | None:
    return pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None


def _program(name: str) -> str:
    """Return the path of a program of the newest release; Debian keeps them away from PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        components.missing("postgresql", "apt-get install postgresql")
    return str(found[-1])
