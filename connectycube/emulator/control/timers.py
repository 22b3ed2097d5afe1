"""Timers: callbacks that run later, by the emulator's clock."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable

from .clock import EmulatorClock

__all__ = ["Timer", "Timers"]

_log = logging.getLogger(__name__)


class Timer:
    """A callback that runs once, unless it is cancelled."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not run the callback."""
        self._callback = None

    def run(self) -> None:
        """Run the callback, unless it has run or was cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Timers:
    """Runs timers when they become due, by real time or by ``advance``; for one event loop.

    Their time is that of the loop, which a change of the machine's clock does not disturb, plus the seconds
    by which the emulator's clock was advanced.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: EmulatorClock) -> None:
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        # Of two timers that are due at once, the older runs first.
        self._numbers = itertools.count()
        self._armed: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._loop.time() + self._clock.advanced

    def schedule(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` in so many seconds."""
        timer = Timer(callback)
        due = self.now() + seconds
        heapq.heappush(self._heap, (due, next(self._numbers), timer))
        if self._heap[0][2] is timer:
            self._arm()
        return timer

    def advance(self, seconds: float) -> None:
        """Move the clock forward; each timer on the way runs at its own time."""
        now, end = self._loop.time(), self._clock.advanced + seconds
        while self._heap and self._heap[0][0] <= now + end:
            due, _, timer = heapq.heappop(self._heap)
            # The clock shows the timer's own time while it runs; it may schedule others before ``end``.
            self._clock.move(max(0.0, due - now - self._clock.advanced))
            _run(timer)
        self._clock.move(max(0.0, end - self._clock.advanced))
        self._arm()

    def rewind(self) -> None:
        """Set the clock back to real time; the timers keep their distance."""
        advanced = self._clock.advanced
        self._heap = [(due - advanced, number, timer) for due, number, timer in self._heap]
        self._clock.move(-advanced)
        self._arm()

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
        self._armed = None
        if self._heap:
            due = self._heap[0][0] - self._clock.advanced
            self._armed = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        # The loop may call early, by the resolution of its clock. So the first timer always counts as due.
        due = max(self._heap[0][0], self.now())
        while self._heap and self._heap[0][0] <= due:
            _run(heapq.heappop(self._heap)[2])
        self._arm()


def _run(timer: Timer) -> None:
    try:
        timer.run()
    except Exception:  # noqa: BLE001  (a timer that fails must not stop the others)
        _log.exception("a timer of the emulator failed")
