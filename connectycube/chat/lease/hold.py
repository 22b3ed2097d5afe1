"""How long this process may act as the holder of a lease, by its own clock."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ...errors import LeaseLostError

__all__ = ["OF_THIS_PROCESS", "Hold", "clock"]

OF_THIS_PROCESS = frozenset(
    {
        *("callback_failed", "message_failed", "message_sent", "receiver_gave_up"),
        *("state_changed", "system_message_failed"),
    }
)
"""The signals that tell what this process did, also what follows from the loss of its lease."""

_RENEWED_AFTER = 1 / 3  # of the length of the lease
_MARGIN = 1 / 10  # of the length; then the connection ends, so that the server hears of it in time
_UNLIMITED_CHECKED_EVERY = 5.0  # seconds


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


clock: Callable[[], float] = _boot_time if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Seconds that also pass while the process is stopped and, where the system can count them, while the machine
is suspended: Linux has CLOCK_BOOTTIME; the monotonic clock of Windows counts them anyway; that of macOS does
not. Unlike the wall clock it cannot be set.
"""


class Hold:
    """One holding of a lease, from its acquisition to its end; every method may be called from any thread.

    The time runs from the moment *before* the lease was asked for, so it is over here before it is over where
    the lease is kept. Once ``is_valid()`` has been false it is never true again.
    """

    def __init__(
        self, name: str, holder: str, seconds: float | None, now: Callable[[], float] = clock
    ) -> None:
        self.name = name
        self.holder = holder
        self.now = now
        self.fencing: int | None = None
        """The number that grows with each acquisition; None before this one."""
        self.trouble: BaseException | None = None
        """Why the last renewal failed; None if it did not."""
        self._seconds = math.inf if seconds is None else seconds
        self._lock = threading.Lock()
        self._is_over = False
        self._loss: LeaseLostError | None = None
        self._stops_at = self._expires_at = self._renew_at = -math.inf

    def begin(self, asked: float, fencing: int) -> bool:
        """Note that the lease was acquired, asked for at ``asked``; return False if that is too long ago."""
        if self.now() >= asked + self._seconds * (1 - _MARGIN):
            return False
        self.renewed(asked)
        self.fencing = fencing
        return not self._is_over

    def renewed(self, asked: float) -> None:
        """Note that the lease was renewed, unless this holding is over."""
        with self._lock:
            if self._is_over:
                return
            self.trouble = None
            self._expires_at = asked + self._seconds
            self._stops_at = asked + self._seconds * (1 - _MARGIN)
            self._renew_at = asked + min(self._seconds * _RENEWED_AFTER, _UNLIMITED_CHECKED_EVERY)

    def not_renewed(self, error: BaseException) -> None:
        """Note that a renewal failed; the next one is due soon."""
        self.trouble = error
        self._renew_at = self.now() + min(self._seconds / 10, 1.0)

    def end(self, loss: LeaseLostError | None = None) -> None:
        """End the holding: it is given back, or (``loss``) another holder has it."""
        with self._lock:
            self._is_over = True
            self._loss = self._loss or loss
            self._stops_at = self._expires_at = -math.inf

    def is_valid(self) -> bool:
        """Whether receivers may be called and messages be sent."""
        if self.now() < self._stops_at:
            return True
        with self._lock:
            if self.now() < self._stops_at:
                return True  # it was renewed since
            if self.fencing is not None and not self._is_over:
                self._is_over = True
                self._loss = self._not_renewed_in_time()
            return False

    def is_expired(self) -> bool:
        """Whether another process may have the lease by now: nothing may be written any more."""
        return self.now() >= self._expires_at

    @property
    def loss(self) -> LeaseLostError | None:
        """Why the lease was lost; None while it is held, and after it was given back."""
        self.is_valid()
        return self._loss

    @property
    def seconds_left(self) -> float:
        """The seconds until the lease expires by this clock; at least 0."""
        return max(0.0, self._expires_at - self.now())

    @property
    def seconds_to_change(self) -> float:
        """The seconds until ``is_valid()`` or, if it is false, ``is_expired()`` changes; infinite: never."""
        now = self.now()
        later = [at - now for at in (self._stops_at, self._expires_at) if at > now]
        return min(later, default=math.inf)

    @property
    def seconds_to_renewal(self) -> float:
        """The seconds until the next renewal is due; at least 0."""
        return max(0.0, self._renew_at - self.now())

    def _not_renewed_in_time(self) -> LeaseLostError:
        why = f": {self.trouble!r}" if self.trouble is not None else ""
        return LeaseLostError(f"the lease {self.name!r} could not be renewed in time{why}")
