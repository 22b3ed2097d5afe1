"""The emulator's clock: the only place that asks what time it is, and what can move it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Protocol

from connectycube._checks import check_number
from connectycube.errors import ArgumentValueError

__all__ = ["Clock", "EmulatorClock", "SystemClock", "expiration_date", "http_date", "iso_time"]

# Ids hold the time of their making in 4 bytes: beyond 2106 the oldest would look like the newest.
_LATEST = float(1 << 32)


class Clock(Protocol):
    """What tells the emulator the time."""

    def time(self) -> float:
        """Return unix seconds."""


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


def iso_time(seconds: float | None) -> str | None:
    """Write unix seconds as the service's JSON does: ``2018-12-05T11:58:02Z``."""
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def expiration_date(seconds: float) -> str:
    """Write unix seconds as the header CB-Token-ExpirationDate does: ``2021-10-09 16:56:41 UTC``."""
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def http_date(seconds: float) -> str:
    """Write unix seconds as the header Date does: ``Sat, 09 Oct 2021 16:56:41 GMT``. (RFC 9110, 5.6.7.)"""
    return formatdate(int(seconds), usegmt=True)
