"""The package as if this were Windows: ``pytest -p tests.support.windows tests/unit/cli``.

Nothing was ever run on Windows. This plugin takes from the package, and from nothing else, what Windows has
not, and lets files and sockets behave as they do there. A program that imports it first is under it as well.

- Modules and names of POSIX are missing: ``fcntl``, ``os.fork``, ``signal.SIGHUP``, ``select.poll`` and more.
  ``os.name`` is "nt" and ``sys.platform`` is "win32", so the branches for Windows run;
- a file that this process has open can be neither removed nor replaced, nor moved elsewhere;
- ``connect_ex`` of a socket that does not block returns EWOULDBLOCK;
- a file that is opened as text without a named encoding is refused: there it would not be UTF-8.

The simulation ends where the system begins: whether Ctrl-C ends a wait there, for example, it cannot tell.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import importlib
import io
import os
import socket
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_OURS = "connectycube"
_FD = Path("/proc/self/fd")

_MISSING_MODULES = {
    *("curses", "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"),
    *("posix", "_posixsubprocess"),
}
_MISSING: dict[str, tuple[str, ...]] = {
    "os": (
        *("fork", "forkpty", "register_at_fork", "fchmod", "chown", "fchown", "chroot", "mkfifo"),
        *("getuid", "geteuid", "getgid", "getegid", "getpgid", "getpgrp", "setsid", "killpg"),
        *("wait", "wait3", "wait4", "WNOHANG", "uname", "nice", "getloadavg", "sysconf", "statvfs"),
        *("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "O_SYNC", "pread", "pwrite"),
        *("sched_getaffinity", "posix_spawn", "set_blocking"),
    ),
    "signal": (
        *("SIGHUP", "SIGQUIT", "SIGKILL", "SIGSTOP", "SIGTSTP", "SIGCONT", "SIGPIPE", "SIGCHLD"),
        *("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGTTIN", "SIGTTOU", "SIGIO", "SIGURG"),
        *("alarm", "setitimer", "getitimer", "pause", "pthread_kill", "pthread_sigmask"),
        *("sigwait", "sigpending", "siginterrupt", "sigtimedwait"),
    ),
    "select": ("poll", "epoll", "kqueue", "devpoll"),
    "selectors": ("PollSelector", "EpollSelector", "KqueueSelector", "DevpollSelector"),
    "socket": ("AF_UNIX", "SO_REUSEPORT", "MSG_DONTWAIT", "MSG_NOSIGNAL", "SCM_RIGHTS"),
    "time": (
        "clock_gettime",
        "CLOCK_BOOTTIME",
        "CLOCK_MONOTONIC",
        "tzset",
        "pthread_getcpuclockid",
    ),
    "threading": ("pthread_kill",),
    "sys": ("getdlopenflags", "setdlopenflags"),
    "errno": ("EDOTDOT",),
    "ctypes": (),
}
_OTHERWISE: dict[str, dict[str, Any]] = {
    "os": {"name": "nt", "O_BINARY": 0},
    "sys": {"platform": "win32"},
    "errno": {"WSAEWOULDBLOCK": errno.EWOULDBLOCK},
    "ctypes": {"FormatError": os.strerror},
    "signal": {"SIGBREAK": 21, "CTRL_C_EVENT": 0, "CTRL_BREAK_EVENT": 1},
}


class _OfWindows(types.ModuleType):
    """A module of the standard library, less the names that Windows has not."""

    def __init__(self, real: types.ModuleType) -> None:
        super().__init__(real.__name__)
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_other", _OTHERWISE.get(real.__name__, {}))

    def __getattribute__(self, name: str) -> Any:
        get = super().__getattribute__
        if name == "__class__":
            return get(name)
        real, other = get("_real"), get("_other")
        if name in other:
            return other[name]
        if name in _MISSING[real.__name__]:
            raise AttributeError(f"module {real.__name__!r} of Windows has no {name!r}")
        return getattr(real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(super().__getattribute__("_real"), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(super().__getattribute__("_real"), name)


class _Msvcrt(types.ModuleType):
    """The locks of Windows on files, by those of this system."""

    LK_UNLCK, LK_LOCK, LK_NBLCK = 0, 1, 2

    def locking(self, descriptor: int, mode: int, size: int) -> None:
        """Lock a file or free it; a lock that another holder has is a PermissionError or an OSError."""
        if mode == self.LK_UNLCK:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if mode == self.LK_LOCK:  # after ten attempts, a second apart
                raise OSError(errno.EDEADLK, "Resource deadlock avoided") from None
            raise PermissionError(errno.EACCES, "Permission denied") from None


_modules: dict[str, types.ModuleType] = {"msvcrt": _Msvcrt("msvcrt")}
_modules |= {name: _OfWindows(importlib.import_module(name)) for name in _MISSING}
_real_import = builtins.__import__


def _is_ours(namespace: Any) -> bool:
    return str((namespace or {}).get("__name__", "")).partition(".")[0] == _OURS


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    if level == 0 and _is_ours(globals):
        if name in _MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _modules:
            return _modules[name]
        if name == "os.path" and not fromlist:
            return _modules["os"]
    return _real_import(name, globals, locals, fromlist, level)


# --- files --------------------------------------------------------------------------------------

_BETWEEN = {"pathlib", "pathlib._local", "shutil", "tempfile", "contextlib", __name__}
"""Modules of the standard library through which the package moves and removes files."""


def _called_by_us() -> bool:
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and _is_ours(frame.f_globals)


def _is_open(path: Any) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    for number in os.listdir(_FD):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(int(number)), found):
                return True
    return False


def _unless_open(real: Callable[..., Any], paths: int) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if not kwargs and _called_by_us():
            for path in args[:paths]:
                if _is_open(path):
                    raise PermissionError(
                        errno.EACCES,
                        "The process cannot access the file because it is being used by another process",
                        os.fspath(path),
                    )
        return real(*args, **kwargs)

    return call


def _with_encoding(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        encoding = args[1] if len(args) > 1 else kwargs.get("encoding")
        named = encoding not in (None, "locale")
        if "b" not in mode and not named and file != os.devnull and _called_by_us():
            raise AssertionError(f"{file} is opened as text without an encoding")
        return real(file, mode, *args, **kwargs)

    return call


def _connect_ex(real: Callable[..., int]) -> Callable[..., int]:
    def call(sock: socket.socket, address: Any, /) -> int:
        code = real(sock, address)
        if code == errno.EINPROGRESS and _called_by_us():
            return errno.EWOULDBLOCK
        return code

    return call


def _simulate() -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setattr(builtins, "__import__", _import)
    for module in (builtins, io):
        patch.setattr(module, "open", _with_encoding(io.open))
    for name, paths in (("replace", 2), ("rename", 2), ("unlink", 1), ("remove", 1)):
        patch.setattr(os, name, _unless_open(getattr(os, name), paths))
    patch.setattr(socket.socket, "connect_ex", _connect_ex(socket.socket.connect_ex))
    return patch


assert not any(name.partition(".")[0] == _OURS for name in sys.modules), "name it with -p"
_simulation = _simulate()  # now: the package's own plugin is imported before any hook is called


def pytest_configure(config: pytest.Config) -> None:
    """End the simulation with the session."""
    config.add_cleanup(_simulation.undo)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of what Windows does not have."""
    items[:] = [item for item in items if not item.get_closest_marker("posix")]


def pytest_report_header() -> str:
    """Say that the run is a simulation."""
    return "the package runs as if this were Windows"
