"""The service's clock, by its responses: no clock of this machine is believed to be right."""

from __future__ import annotations

import sys
import time
from datetime import datetime

__all__ = ["ServiceClock"]


class ServiceClock:
    """The time by the last ``Date`` header (RFC 9110, 6.6.1) and the time that has passed since.

    The header counts whole seconds, so it is up to a second behind. Every method may be called from any
    thread.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None  # one value, so no thread sees half of it

    def note(self, date: datetime | None) -> None:
        """Note the ``Date`` header of a response that has just arrived; None if there was none."""
        if date is not None:
            self._ahead = date.timestamp() - _elapsed()

    def time(self) -> float | None:
        """Return unix seconds by the service's clock; None before the first response with a date."""
        ahead = self._ahead
        return None if ahead is None else ahead + _elapsed()


if sys.platform == "linux":

    def _elapsed() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps

elif sys.platform == "darwin":

    def _elapsed() -> float:
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # so does this one there

else:

    def _elapsed() -> float:
        return time.monotonic()
