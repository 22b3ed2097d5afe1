"""Runs a command beside an emulator: its variables, its signals, its exit status, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from connectycube.errors import ArgumentValueError

from .emulator import Emulator
from .remote.exports import export_lines, variables

__all__ = ["CommandNotRunError", "export_lines", "kept_env_file", "run_command"]

_FORWARDED = (
    "SIGINT",
    "SIGTERM",
    "SIGHUP",
    "SIGQUIT",
    "SIGTSTP",
    "SIGBREAK",
)  # as far as there are
_STOP = getattr(signal, "SIGTSTP", None)
_HAS_GROUPS = hasattr(os, "killpg")
_GRACE = 5.0
"""Seconds that processes which the command has left may take to end after SIGTERM."""
_ANSWER = 1.0
"""Seconds within which an emulator of this machine takes a connection."""
_MADE_HERE = "# Variables of an emulator. The command that wrote this file removes it at its end."


class CommandNotRunError(OSError):
    """A command could not be found or run.

    Attributes:
        status: The exit status that a shell has in this case: 127 if there is no such command, or 126.

    Example:
        >>> from connectycube.emulator import CommandNotRunError, Emulator, run_command
        >>> try:
        ...     run_command(["no-such-command"], Emulator())
        ... except CommandNotRunError as error:
        ...     print(error.status)
        127
    """

    def __init__(self, name: str, cause: OSError) -> None:
        super().__init__(f"{name!r} cannot be run: {cause.strerror}")
        self.status = 127 if isinstance(cause, FileNotFoundError) else 126


def run_command(
    command: Sequence[str],
    emulator: Emulator,
    *,
    prepare: Callable[[], object] | None = None,
    env_file: str | None = None,
) -> int:
    """Start an emulator, run a command with the variables that lead to it, and stop the emulator.

    The command has the standard streams of this process, and a session (setsid) of its own. SIGINT, SIGTERM,
    SIGHUP and SIGQUIT go to its process group and do not end this process. When the command has ended, the
    processes that it left in its group get SIGTERM and, 5 seconds later, SIGKILL.

    Windows has no such groups and signals. There the console gives Ctrl-C to both processes, this one waits
    for the end of the command, and processes that the command has left go on.

    Args:
        command: The program and its arguments.
        emulator: An emulator that has not been started.
        prepare: A function that is called between the start of the emulator and that of the command, for
            example to add users.
        env_file: The file that gets the variables as ``export`` lines, for other processes. It appears whole,
            readable by its owner alone, before the command starts, and is removed at the end.

    Returns:
        The exit status of the command, or 128 and the number of the signal that ended it, as in a shell. If
        one of the signals came before the command was started, 128 and the number of that signal.

    Raises:
        CommandNotRunError: The command does not exist or is no program.
        ArgumentValueError: ``env_file`` cannot be written, is a file that another program has written, or
            that of an emulator that still runs.
        ValueError: This is not the main thread, where alone Python handles signals.
        OSError: The emulator cannot start, for example because a port is in use.
    """
    with kept_env_file(env_file) as write, _forwarding_signals() as signals, emulator:
        if prepare is not None:
            prepare()
        write(emulator)
        if signals.first is not None:
            return 128 + signals.first
        return _run(command, {**os.environ, **variables(emulator)}, signals)


def _run(command: Sequence[str], environ: dict[str, str], signals: _Signals) -> int:
    try:
        process = subprocess.Popen(command, env=environ, start_new_session=_HAS_GROUPS)
    except OSError as error:
        raise CommandNotRunError(command[0], error) from None
    try:
        signals.forward_to(process.pid)
        code = _wait(process)
    finally:
        signals.keep()
        _end(process)
    return code if code >= 0 else 128 - code


def _wait(process: subprocess.Popen[bytes]) -> int:
    # A signal that arrives right before the system call does not interrupt it: Python runs the handler when
    # the call has returned. So each call ends within a second.
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(1.0)


class _Signals:
    """The signals of this process: they go to the group of the command, or wait until it runs."""

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._group: int | None = None

    @property
    def first(self) -> int | None:
        """The first signal to end that waits."""
        return next((number for number in self._waiting if number != _STOP), None)

    def forward_to(self, group: int) -> None:
        """Forward signals to this group, beginning with those that wait."""
        self._group = group
        while self._waiting:
            self.forward(self._waiting.pop(0))

    def keep(self) -> None:
        """Forward no more signals."""
        self._group = None

    def forward(self, number: int, _: FrameType | None = None) -> None:
        """Forward a signal; it is the handler of them all."""
        if self._group is None:
            self._waiting.append(number)
        elif number == _STOP:  # Ctrl-Z: the terminal tells this process alone
            _send(self._group, signal.SIGSTOP)
            os.kill(
                os.getpid(), signal.SIGSTOP
            )  # returns when the shell's `fg` continues this process
            _send(self._group, signal.SIGCONT)
        else:
            _send(self._group, number)


def _send(group: int, number: int) -> None:
    if _HAS_GROUPS:
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's
            os.killpg(group, number)


@contextmanager
def _forwarding_signals() -> Generator[_Signals]:
    """Handle the signals that end or stop a program, but for a SIGHUP that ``nohup`` has switched off."""
    signals = _Signals()
    numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        numbers.remove(signal.SIGHUP)
    before = {number: signal.signal(number, signals.forward) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command, if it runs, and the processes that it has left in its group."""
    if _HAS_GROUPS:
        _end_group(process.pid)
    else:
        process.kill()  # which does nothing after its end
        process.wait()


def _end_group(group: int) -> None:
    """End the processes that are left in the command's group, which ignore no SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE
        try:
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)  # one that is stopped takes no SIGTERM
            while time.monotonic() < deadline:
                time.sleep(0.01)  # nothing tells of the end of processes that are no children
                os.killpg(group, 0)
        except (
            ProcessLookupError,
            PermissionError,
        ):  # none is left; on macOS the latter for zombies
            return


@contextmanager
def kept_env_file(path: str | None) -> Generator[Callable[[Emulator], None]]:
    """Keep the variables of an emulator in a file, from the call that writes it to the end of the block.

    Enter the block before the emulator starts: the file of a run that was killed is removed then, so that
    nobody reads it. The file appears whole, readable by its owner alone.

    Args:
        path: The file; None: no file.

    Returns:
        A context manager with a function that writes the variables of a running emulator.

    Raises:
        ArgumentValueError: The file cannot be written, another program has written it, or it is that of an
            emulator that still runs.
    """
    if path is None:
        yield lambda emulator: None
        return
    file = Path(path)
    _remove_old(file)
    text: list[str] = []

    def write(emulator: Emulator) -> None:
        text[:] = ["\n".join([_MADE_HERE, *export_lines(emulator), ""])]
        _write(file, text[0])

    try:
        yield write
    finally:
        with suppress(OSError):
            if text and file.read_text(encoding="utf-8") == text[0]:  # and not that of another run
                file.unlink()


def _write(path: Path, text: str) -> None:
    """Write the file as a whole or not at all, because others wait for it to appear."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ArgumentValueError(f"env_file cannot be written: {path}: {error.strerror}") from None


def _remove_old(path: Path) -> None:
    """Remove the file of a run that was killed; leave those of other programs and running emulators alone."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        if not text.startswith(f"{_MADE_HERE}\n"):
            raise ArgumentValueError(
                f"env_file would replace a file that this command has not written: {path}. It is the file to"
                " write variables to; name a new one"
            )
        if _is_running(text):
            raise ArgumentValueError(
                f"env_file is that of an emulator that runs: {path}. End that one, or name another file"
            )
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ArgumentValueError(f"env_file cannot be written: {path}: {error.strerror}") from None


def _is_running(text: str) -> bool:
    """Whether a server listens at the address of the control API in a file of variables."""
    found = re.search(
        r"^export CONNECTYCUBE_CONTROL_URL=http://([^:/]+):(\d+)/", text, re.MULTILINE
    )
    if found is None:
        return False
    try:
        socket.create_connection((found[1], int(found[2])), _ANSWER).close()
    except OSError:
        return False
    return True
