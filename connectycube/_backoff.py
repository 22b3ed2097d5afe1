"""The delay before the next attempt, over REST and in real time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .config import ReconnectPolicy

__all__ = ["Backoff", "delay_before"]


class _Delays(Protocol):
    """The fields that RetryPolicy and ReconnectPolicy share, in seconds."""

    @property
    def delay(self) -> float: ...
    @property
    def max_delay(self) -> float: ...


def delay_before(attempt: int, policy: _Delays, random: Callable[[], float]) -> float:
    """Return the seconds before attempt n: ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))``.

    ``random`` returns numbers in [0, 1), so that many clients do not reconnect at the same moment.
    """
    # The exponent is bounded: max_delay is reached long before 2^60, and 2.0 ** 1024 would overflow.
    longest = min(policy.max_delay, policy.delay * 2.0 ** min(attempt - 1, 60))
    return (0.5 + random()) * longest


class Backoff:
    """Counts the attempts to reconnect.

    The count returns to 0 only after a connection has been ready for ``reset_after`` seconds, so that a
    server which accepts connections and drops them gets few attempts.
    """

    def __init__(self, policy: ReconnectPolicy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self.attempts = 0
        self._ready_since: float | None = None

    def ready(self, now: float) -> None:
        """Note that the connection became ready."""
        self._ready_since = now

    def lost(self, now: float) -> None:
        """Note that the connection was lost."""
        since, self._ready_since = self._ready_since, None
        if since is not None and now - since >= self._policy.reset_after:
            self.attempts = 0

    def reset(self) -> None:
        """Set the count to 0, because a caller asked for the connection."""
        self.attempts = 0
        self._ready_since = None

    def next_delay(self) -> float | None:
        """Count an attempt and return the seconds to wait before it, or None after the last one."""
        most = self._policy.max_attempts
        if most is not None and self.attempts >= most:
            return None
        self.attempts += 1
        return delay_before(self.attempts, self._policy, self._random)
