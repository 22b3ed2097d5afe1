"""How long to wait before the next attempt to reconnect."""

from __future__ import annotations

from collections.abc import Callable

from ...config import ReconnectPolicy

__all__ = ["Backoff"]


class Backoff:
    """Counts attempts; attempt n waits ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))`` seconds.

    ``random`` returns numbers in [0, 1). The count starts anew only when a connection has been
    ready for ``reset_after`` seconds, so that a server that accepts and drops is not hammered.
    """

    def __init__(self, policy: ReconnectPolicy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self.attempts = 0
        self._ready_since: float | None = None

    def ready(self, now: float) -> None:
        """The connection became ready."""
        self._ready_since = now

    def lost(self, now: float) -> None:
        """The connection was lost."""
        since, self._ready_since = self._ready_since, None
        if since is not None and now - since >= self._policy.reset_after:
            self.attempts = 0

    def reset(self) -> None:
        """Start anew: somebody asked for the connection."""
        self.attempts = 0
        self._ready_since = None

    def next_delay(self) -> float | None:
        """Count an attempt and return the seconds to wait before it, or None after the last one."""
        most = self._policy.max_attempts
        if most is not None and self.attempts >= most:
            return None
        self.attempts += 1
        # The exponent is bounded: beyond it max_delay has long taken over, and 2^n would overflow.
        longest = min(
            self._policy.max_delay, self._policy.delay * 2.0 ** min(self.attempts - 1, 60)
        )
        return (0.5 + self._random()) * longest
