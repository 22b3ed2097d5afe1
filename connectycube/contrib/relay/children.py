"""The processes of ``connectycube worker -c N``: each works by itself, and one that dies is replaced."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, field

__all__ = ["Children", "end_with_parent"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

_LOOK = 0.1  # seconds between two looks at the children
_QUICK = 5.0  # seconds: a child that lived shorter is replaced after a pause
_PAUSE = 1.0  # seconds
_PATIENCE = 30.0  # seconds for a child to end its handler


@define
class _Child:
    process: subprocess.Popen[bytes]
    began: float = field(factory=time.monotonic)


class Children:
    """A number of processes with the same command, which run until ``stop()``.

    The standard input of each is a pipe from this process. It ends when this process does, however it ends,
    and tells the child to end.

    Args:
        command: The command of a child.
        count: The number of processes.

    Example:
        >>> import sys
        >>> from connectycube.contrib.relay import Children
        >>> children = Children([sys.executable, "-m", "connectycube", "worker"], count=4)
        >>> children.stop()  # from a signal handler; run() ends the processes and returns
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = [*command]
        self._count = count
        self._stop = threading.Event()
        self._children: list[_Child] = []

    def run(self) -> int:
        """Keep the children running until ``stop()``; one that dies is replaced.

        Returns:
            The number of children that died.
        """
        died = 0
        starts = [0.0] * self._count
        try:
            while True:
                now = time.monotonic()
                # A child that dies at once, as with a wrong setting, must not be started hundreds of
                # times a second.
                while len(self._children) < self._count and starts[0] <= now:
                    starts.pop(0)
                    self._children.append(self._start())
                if self._stop.wait(_LOOK):
                    return died
                for child in [each for each in self._children if each.process.poll() is not None]:
                    died += 1
                    self._children.remove(child)
                    lived = time.monotonic() - child.began
                    starts.append(0.0 if lived >= _QUICK else time.monotonic() + _PAUSE)
                    starts.sort()
                    self._tell(child)
        finally:
            self._end()

    def stop(self) -> None:
        """Let ``run()`` end the children and return; from any thread, or a signal handler."""
        self._stop.set()

    def _start(self) -> _Child:
        return _Child(subprocess.Popen(self._command, stdin=subprocess.PIPE))

    def _tell(self, child: _Child) -> None:
        assert child.process.stdin is not None
        child.process.stdin.close()
        logger.warning(
            "worker process %d ended with status %d; another one takes its place",
            child.process.pid,
            child.process.returncode,
        )

    def _end(self) -> None:
        for child in self._children:
            assert child.process.stdin is not None
            with suppress(OSError):
                # All pipes before the first wait, so that the children end at the same time.
                child.process.stdin.close()
        deadline = time.monotonic() + _PATIENCE
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.error("worker process %d did not end and is killed", child.process.pid)
                child.process.kill()
                child.process.wait()


def end_with_parent(stop: Callable[[], object]) -> None:
    """Watch the standard input, which is a pipe from the parent process; return at once.

    A child of :class:`Children` calls it.

    Args:
        stop: Called without arguments, on a thread of its own, when the parent has ended.
    """

    def watch() -> None:
        with suppress(OSError, ValueError):
            # A byte at a time: what the parent writes is ignored, and only the end of the pipe counts.
            while sys.stdin.buffer.read(1):
                pass
        stop()

    threading.Thread(target=watch, name="connectycube-parent", daemon=True).start()
