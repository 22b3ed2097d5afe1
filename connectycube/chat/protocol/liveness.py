"""Watches whether the server still answers: when to ask it, and when its silence means a dead link."""

from __future__ import annotations

__all__ = ["Liveness"]


class Liveness:
    """Says when to ask the server for an answer, and when its silence means a dead link.

    Only an answer to a request counts: bytes from the server do not prove that our bytes reach it. The times
    are seconds. ``interval`` after an answer the next request is due. ``answer`` after a request the link is
    dead. ``again`` after a request it is repeated, because servers lose requests; as long after an answer
    that acknowledges too little, because the server was asked too early. A server that had just answered
    something else before the request may be silent only for half of ``answer``.
    """

    def __init__(self, interval: float, answer: float, again: float) -> None:
        self._interval = interval
        self._answer = answer
        self._again = again
        self._asked: float | None = None  # when the first request since the last answer was sent
        self._next = 0.0  # when the next request is due
        self._active = False
        self._has_just_answered = False
        self._heard = 0.0  # when the last bytes arrived, or the request was sent

    def start(self, now: float) -> None:
        """Begin to watch a link that has just proved to be alive."""
        self._active = True
        self.answered(now)

    def stop(self) -> None:
        """Stop watching, because there is no link."""
        self._active, self._asked = False, None

    @property
    def waiting(self) -> bool:
        """Whether a request is on its way."""
        return self._asked is not None

    def asked(self, now: float, *, soon: bool = False) -> None:
        """Note that a request was sent; ``soon``: the server has just answered something else."""
        if self._asked is None:
            self._asked = self._heard = now
            self._has_just_answered = soon
        self._next = now + self._again

    def hurry(self) -> None:
        """Let a request be due now, unless one is on its way."""
        if self._active and self._asked is None:
            self._next = min(self._next, self._heard)

    def heard(self, now: float) -> None:
        """Note that bytes have arrived, perhaps without an answer."""
        self._heard = now

    @property
    def has_heard(self) -> bool:
        """Whether bytes have arrived since the request."""
        return self._asked is not None and self._heard > self._asked

    def answered(self, now: float, satisfied: bool = True) -> None:
        """Note an answer of the server; ``satisfied`` says that nothing is left to ask for."""
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
        """Return for how many seconds a request has been waiting."""
        return now - self._asked if self._asked is not None else 0.0

    @property
    def _end(self) -> float | None:
        if self._asked is None:
            return None
        end = self._asked + self._answer
        return min(end, self._heard + self._answer / 2) if self._has_just_answered else end

    @property
    def deadline(self) -> float | None:
        """The time at which a request is due or the link is dead, whichever is first; None without a link."""
        if not self._active:
            return None
        if self._asked is None:  # mostly; each wait looks at it
            return self._next
        end = self._end
        return self._next if end is None else min(self._next, end)
