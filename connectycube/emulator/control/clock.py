"""The emulator's clock: the only place that asks the machine for the time, and the way to move it."""

from __future__ import annotations

import time
from collections.abc import Callable

from connectycube._checks import check_number
from connectycube.errors import ArgumentValueError

from ..domain.times import Clock, iso_time

__all__ = ["EmulatorClock", "SystemClock"]

# Ids hold their creation time in 4 bytes, which begin again at 0 in 2106.
_LATEST = float(1 << 32)


class SystemClock:
    """The time of this machine."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()


class EmulatorClock:
    """The emulator's own time: that of its source, moved forward by ``advance``.

    Every method may be called from any thread, also while the emulator does not run. A program gets the
    clock from ``Emulator.clock``.

    Example:
        >>> from connectycube.emulator import Emulator
        >>> with Emulator() as emulator:
        ...     emulator.clock.advance(3 * 3600)  # REST sessions expire after two hours
        ...     print(emulator.clock.advanced)
        10800.0
    """

    def __init__(self, source: Clock, advance: Callable[[float], None]) -> None:
        self._source = source
        self._advance = advance
        self._advanced = 0.0

    def __repr__(self) -> str:
        return f"<EmulatorClock {iso_time(self.time())}, advanced by {self._advanced:g} s>"

    @property
    def advanced(self) -> float:
        """The seconds by which the clock was moved forward, in total."""
        return self._advanced

    def time(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._source.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the time forward, and return when everything that became due has happened.

        Each event happens in its order and at its own time: REST sessions expire, guests are deleted,
        handshakes that take too long end, sessions that no client has resumed are dropped, and stanzas
        that a fault holds back are sent.

        Args:
            seconds: The seconds to add, 0 or more.

        Raises:
            ArgumentTypeError: ``seconds`` is not a number.
            ArgumentValueError: ``seconds`` is negative, or the time would be after the year 2106.
        """
        check_number("seconds", seconds, least=0.0)
        if self.time() + seconds >= _LATEST:
            raise ArgumentValueError(f"seconds must not lead beyond the year 2106, as {seconds} do")
        self._advance(float(seconds))

    def move(self, seconds: float) -> None:
        """Move the time and nothing else; the caller runs the timers that become due."""
        self._advanced += seconds
