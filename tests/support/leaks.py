"""Each test leaves nothing behind: no thread, file descriptor, child process or temporary file.

What exists before the test (servers of the session included) may exist after it. What the test started has
a moment to end, because a thread that was told to stop, or a process that was ended, takes one.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

GRACE = 3.0
_USUAL_GRACE = 0.1

_FD = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")
# Opened once by the interpreter or a library and kept.
_KEPT_FILES = ("/dev/null", "/dev/urandom", "/dev/random")


def pytest_collection_finish() -> None:
    """Take the tests themselves, which are many, out of what each garbage collection looks through."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session a temporary folder of its own, so that only its own files are in it."""
    folder = str(tmp_path_factory.mktemp("scratch"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind(_own_temporary_folder: None) -> Iterator[None]:
    before = {kind: set(look()) for kind, look in KINDS.items()}
    yield
    left = _left_since(before, within=_USUAL_GRACE)
    if left:
        gc.collect()  # takes as long as a short test
        left = _left_since(before, within=GRACE)
    if left:
        pytest.fail("the test left behind: " + "; ".join(map(_with_ports, left)), pytrace=False)


def _left_since(before: Mapping[str, set[Any]], within: float) -> list[str]:
    """Return what the test has left behind, once there is nothing or after so many seconds."""
    deadline = time.monotonic() + within
    while True:
        left = []
        for kind, look in KINDS.items():
            now = look()
            left += [f"{kind} {now[key]}" for key in now.keys() - before[kind]]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.002)


def _threads() -> dict[Any, str]:
    return {thread: repr(thread) for thread in threading.enumerate()}


def _descriptors() -> dict[Any, str]:
    """Open file descriptors with what they are open on (Linux only)."""
    found: dict[Any, str] = {}
    for number in os.listdir(_FD) if _FD.is_dir() else ():
        try:
            target = os.readlink(_FD / number)
        except OSError:  # the descriptor of this very listing
            continue
        if target not in _KEPT_FILES and not target.startswith("/proc/"):
            found[number, target] = f"{number} ({target})"
    return found


def _with_ports(description: str) -> str:
    """Add to a TCP socket's description which ports it connects: what finds the code that made it."""
    _, is_socket, rest = description.partition("socket:[")
    for table in ("tcp", "tcp6") if is_socket else ():
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] == rest.rstrip("])"):
                here, there = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
                return f"{description} TCP port {here}, other end {there}"
    return description


def _children() -> dict[Any, str]:
    """Child processes of this one, zombies included (Linux only)."""
    found: dict[Any, str] = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        try:
            pids = (task / "children").read_text().split()
        except OSError:  # the thread has just ended
            continue
        for pid in pids:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            found[pid] = f"{pid} ({command.strip() or 'ended, but nobody waited for it'})"
    return found


def _temporary_files() -> dict[Any, str]:
    folder = tempfile.gettempdir()
    return {name: os.path.join(folder, name) for name in os.listdir(folder)}


KINDS: Mapping[str, Callable[[], dict[Any, str]]] = {
    "thread": _threads,
    "descriptor": _descriptors,
    "child process": _children,
    "temporary file": _temporary_files,
}
