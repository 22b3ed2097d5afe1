"""A program on a pseudo-terminal, which is typed to and read as a person would."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

SECONDS = 60.0  # for a program to show something, on a machine with much to do


class Terminal:
    """Runs a program on a terminal of so many columns; ``text`` is all that it has shown."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self.text = ""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(words[0], list(words), dict(environment))
            finally:
                os._exit(127)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)
        self._status: int | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def type(self, text: str) -> None:
        """Type a text; ``\\r`` is the key Enter, ``\\x03`` Ctrl-C."""
        os.write(self._descriptor, text.encode())

    def expect(self, *texts: str, after: int = 0) -> str:
        """Read until one of the texts was shown behind a position, and return it."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for text in texts:
                if text in self.text[after:]:
                    return text
            if not self._read(end):
                break
        raise AssertionError(f"none of {texts} was shown, but {self.text!r}")

    def wait(self) -> int:
        """Read to the end of the program; return its exit status, as shells say it."""
        end = time.monotonic() + SECONDS
        while self._read(end):
            pass
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._status = code if code >= 0 else 128 - code
        return self._status

    def _read(self, end: float) -> bool:
        """Read what was shown next; return False at the end of the program."""
        left = end - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            raise AssertionError(f"nothing more was shown in time, but {self.text!r}")
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # how Linux tells the end
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)
