"""Whether the server still answers: one request at a time, and a deadline for its answer."""

from __future__ import annotations

__all__ = ["Liveness"]


class Liveness:
    """Says when to ask the server for a sign of life, and when its silence means a dead link.

    Only an answer to a request counts: bytes that merely arrive do not prove that ours do.
    ``interval`` and ``answer`` are seconds.
    """

    def __init__(self, interval: float, answer: float) -> None:
        self._interval = interval
        self._answer = answer
        self._asked: float | None = None
        self._answered = 0.0
        self._active = False

    def start(self, now: float) -> None:
        """The link has just proved to be alive."""
        self._active, self._asked, self._answered = True, None, now

    def stop(self) -> None:
        """There is no link to watch."""
        self._active, self._asked = False, None

    @property
    def waiting(self) -> bool:
        """Whether a request is on its way."""
        return self._asked is not None

    def asked(self, now: float) -> None:
        """A request was sent."""
        self._asked = now

    def answered(self, now: float) -> None:
        """The server answered."""
        self._asked, self._answered = None, now

    def is_due(self, now: float) -> bool:
        """Whether a request should be sent now."""
        return self._active and self._asked is None and now >= self._answered + self._interval

    def is_dead(self, now: float) -> bool:
        """Whether a request has been waiting for too long."""
        return self._active and self._asked is not None and now >= self._asked + self._answer

    @property
    def deadline(self) -> float | None:
        """When to look again, or None."""
        if not self._active:
            return None
        return (
            self._answered + self._interval if self._asked is None else self._asked + self._answer
        )
