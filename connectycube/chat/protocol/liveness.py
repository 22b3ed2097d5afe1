"""Whether the server still answers: requests, repeated in good time, and a deadline for an answer."""

from __future__ import annotations

__all__ = ["Liveness"]


class Liveness:
    """Says when to ask the server for a sign of life, and when its silence means a dead link.

    Only an answer to a request counts: bytes that merely arrive do not prove that ours do. All times are
    seconds: ``interval`` from an answer to the next request; ``answer`` from a request to the end of the
    link; ``again`` to the next request from one that was not answered, or answered without what was hoped
    for: servers lose some, and are asked too early. A server that has just given another answer may be silent
    for half of ``answer`` only.
    """

    def __init__(self, interval: float, answer: float, again: float) -> None:
        self._interval = interval
        self._answer = answer
        self._again = again
        self._asked: float | None = None  # the first request since the last answer, …
        self._next = 0.0  # … and when the next one is due
        self._active = False
        self._has_just_answered = False
        self._heard = 0.0  # when anything arrived last

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
        """A request was sent; ``soon``: the server has just answered, and must not fall silent now."""
        if self._asked is None:
            self._asked = self._heard = now
            self._has_just_answered = soon
        self._next = now + self._again

    def heard(self, now: float) -> None:
        """Something arrived, which is no answer."""
        self._heard = now

    @property
    def has_heard(self) -> bool:
        """Whether anything has arrived since the request."""
        return self._asked is not None and self._heard > self._asked

    def answered(self, now: float, satisfied: bool = True) -> None:
        """The server answered; ``satisfied`` says that nothing is left to ask for."""
        self._asked = None
        self._next = now + (self._interval if satisfied else min(self._interval, self._again))

    def is_due(self, now: float) -> bool:
        """Whether a request should be sent now."""
        return self._active and now >= self._next

    def is_dead(self, now: float) -> bool:
        """Whether a request has been waiting for too long."""
        end = self._end
        return self._active and end is not None and now >= end

    def waited(self, now: float) -> float:
        """How many seconds a request has been waiting."""
        return now - self._asked if self._asked is not None else 0.0

    @property
    def _end(self) -> float | None:
        if self._asked is None:
            return None
        end = self._asked + self._answer
        return min(end, self._heard + self._answer / 2) if self._has_just_answered else end

    @property
    def deadline(self) -> float | None:
        """When to look again, or None."""
        if not self._active:
            return None
        end = self._end
        return self._next if end is None else min(self._next, end)
