"""The emulator's clock: the only place that asks the machine for the time, and the way to move it."""

from __future__ import annotations

import time
from collections.abc import Callable

from connectycube._checks import check_number
from connectycube.errors import ArgumentValueError

from ..domain.times import Clock, iso_time

__all__ = ["EmulatorClock", "SystemClock"]

# Ids hold the time of their making in 4 bytes: beyond 2106 the oldest would look like the newest.
_LATEST = float(1 << 32)


class SystemClock:
    """The time of this machine."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()


class EmulatorClock:
    """The emulator's own time: that of its source, moved forward by ``advance``.

    Every method may be called from any thread, also while the emulator does not run.
    """

    def __init__(self, source: Clock, advance: Callable[[float], None]) -> None:
        self._source = source
        self._advance = advance
        self._advanced = 0.0

    def __repr__(self) -> str:
        return f"<EmulatorClock {iso_time(self.time())}, advanced by {self._advanced:g} s>"

    @property
    def advanced(self) -> float:
        """By how many seconds it has been moved forward, all in all."""
        return self._advanced

    def time(self) -> float:
        """Return unix seconds."""
        return self._source.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the time forward by ``seconds``, 0 or more; return when all that became due has happened.

        It happens in its order, each thing at its own time: sessions expire, guests are deleted, links
        that are too slow end, sessions that nobody resumed are forgotten, what a fault holds back is
        sent. Raises ArgumentValueError, a ValueError, for less than 0 and for a time after 2106.
        """
        check_number("seconds", seconds, least=0.0)
        if self.time() + seconds >= _LATEST:
            raise ArgumentValueError(f"seconds must not lead beyond the year 2106, as {seconds} do")
        self._advance(float(seconds))

    def move(self, seconds: float) -> None:
        """Move the time alone; to be used by what knows the things that become due."""
        self._advanced += seconds
