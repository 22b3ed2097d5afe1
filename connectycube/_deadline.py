"""One deadline that passes through every step of a call."""

from __future__ import annotations

import threading
import time

from ._checks import check_number

__all__ = ["Deadline"]


class Deadline:
    """A moment on the monotonic clock, ``timeout`` seconds from now; None means no deadline."""

    __slots__ = ("at",)

    def __init__(self, timeout: float | None) -> None:
        self.at: float | None = None if timeout is None else time.monotonic() + timeout

    @classmethod
    def of(cls, timeout: float | None, default: float) -> Deadline:
        """Return the deadline of a call's ``timeout`` argument (seconds; None: ``default``)."""
        return cls(default if timeout is None else check_number("timeout", timeout, least=0))

    def within(self, timeout: float) -> Deadline:
        """Return the earlier deadline: this one, or ``timeout`` seconds from now."""
        sooner = Deadline(timeout)
        if self.at is not None and sooner.at is not None and self.at < sooner.at:
            return self
        return sooner

    def remaining(self) -> float | None:
        """Return the seconds left, from 0.0 to the longest wait of a lock; None without a deadline."""
        if self.at is None:
            return None
        return min(max(0.0, self.at - time.monotonic()), threading.TIMEOUT_MAX)

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return self.at is not None and time.monotonic() >= self.at
