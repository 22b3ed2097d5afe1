"""Run programs of other people in processes of their own, and ask the web servers among them."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from attrs import frozen

from connectycube.emulator import Emulator
from tests.support.components import missing
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_until

LOGIN, PASSWORD = "program", "a password"
"""As which user the programs log in."""
AT_ONCE = 16
"""Requests that are under way at the same time."""
_STARTS = 30.0
_ENDS = 30.0


def program(name: str) -> str:
    """Return the path of a program that pip has installed beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        missing(name, "'make venv' installs it, as the extra 'test' of setup.cfg says")
    return str(path)


def available(emulator: Emulator, user_id: int) -> set[str]:
    """Return the resources of a user's chats that are READY."""
    return {session["resource"] for session in emulator.sessions(user_id) if session["available"]}


@frozen
class Program:
    """A program that runs; ``log`` is the file with everything that it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def words(self) -> str:
        """What it has written so far."""
        return self.log.read_text()

    def ends(self) -> int:
        """Ask the program to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_ENDS)


@contextmanager
def running(
    emulator: Emulator,
    folder: Path,
    command: Sequence[str],
    *,
    log_name: str = "program.log",
    **environment: str,
) -> Iterator[Program]:
    """Run a program that finds the emulator and the folder's modules; kill it and its children at the end."""
    log = folder / log_name
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                **emulator.environment(),
                "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
                "HOME": str(folder),
                "LOGIN": LOGIN,
                "PASSWORD": PASSWORD,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    except BaseException:
        print(log.read_text())
        raise
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended, and its children as well
        process.wait()


class Site:
    """A web server that runs; ``master`` is the process that was started."""

    def __init__(self, port: int, program: Program) -> None:
        self._port = port
        self.program = program
        self.master = program.process.pid

    def get(self, path: str) -> str:
        """Return the body of a page."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ENDS)) as link:
            link.request("GET", path)
            return link.getresponse().read().decode()

    def post(self, path: str, body: str) -> str:
        """Send a body, which must be taken, and return that of the answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ENDS)) as link:
            link.request("POST", path, body.encode())
            answer = link.getresponse()
            assert answer.status == 200, answer.read()
            return answer.read().decode()

    def get_all(self, paths: Sequence[str]) -> list[str]:
        """Return the bodies of many pages, many of which are asked for at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.get, paths))

    def state(self) -> str:
        """Return the body of the page of its state, empty if it does not answer now.

        It fails once the program has ended.
        """
        try:
            assert self.program.process.poll() is None, self.program.words
            return self.get("/state")
        except (OSError, http.client.HTTPException):
            return ""

    def is_up(self) -> bool:
        """Whether it answers a request; it fails once the program has ended."""
        return bool(self.state())


@contextmanager
def serving(
    emulator: Emulator, folder: Path, command: Sequence[str], **environment: str
) -> Iterator[Site]:
    """Run a web server; ``PORT`` in its command becomes the number of a free port."""
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in command]
    with running(emulator, folder, command, **environment) as program:
        site = Site(port, program)
        wait_until(site.is_up, "the web server", _STARTS)
        yield site
