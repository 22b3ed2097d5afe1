"""Whether the server still answers: requests, repeated in good time, and a deadline for an answer."""

from __future__ import annotations

__all__ = ["Liveness"]


class Liveness:
    """Says when to ask the server for a sign of life, and when its silence means a dead link.

    Only an answer to a request counts: bytes that merely arrive do not prove that ours do. All times are
    seconds: ``interval`` from an answer to the next request; ``answer`` from a request to the end of the
    link; ``again`` to the next request from one that was not answered, or answered without what was hoped
    for: servers lose some, and are asked too early. It is also what a server has for an answer that has just
    given another one.
    """

    def __init__(self, interval: float, answer: float, again: float) -> None:
        self._interval = interval
        self._answer = answer
        self._again = again
        self._asked: float | None = None  # the first request since the last answer, …
        self._next = 0.0  # … and when the next one is due
        self._active = False
        self.allowed = answer
        """Seconds that the server has for the answer to the request that is on its way."""

    def start(self, now: float) -> None:
        """The link has just proved to be alive."""
        self._active = True
        self.answered(now)

    def stop(self) -> None:
        """There is no link to watch."""
        self._active, self._asked = False, None

    @property
    def waiting(self) -> bool:
        """Whether a request is on its way."""
        return self._asked is not None

    def asked(self, now: float, *, soon: bool = False) -> None:
        """A request was sent; ``soon``: the server has just answered, and has less time for this one."""
        if self._asked is None:
            self._asked = now
            self.allowed = self._again if soon else self._answer
        self._next = now + self._again

    def answered(self, now: float, satisfied: bool = True) -> None:
        """The server answered; ``satisfied`` says that nothing is left to ask for."""
        self._asked = None
        self._next = now + (self._interval if satisfied else min(self._interval, self._again))

    def is_due(self, now: float) -> bool:
        """Whether a request should be sent now."""
        return self._active and now >= self._next

    def is_dead(self, now: float) -> bool:
        """Whether a request has been waiting for too long."""
        return self._active and self._asked is not None and now >= self._asked + self.allowed

    @property
    def deadline(self) -> float | None:
        """When to look again, or None."""
        if not self._active:
            return None
        return self._next if self._asked is None else min(self._next, self._asked + self.allowed)
