"""Abandoned: what the end of a chat connection left undone."""

from __future__ import annotations

from attrs import asdict, frozen

__all__ = ["Abandoned"]


@frozen(kw_only=True)
class Abandoned:
    """What was left undone when a chat connection had ended, or its time for that was over; all counts.

    It is true if there is anything, and its text names what there is.
    """

    queued: int = 0
    """Events of the server that no receiver has been called with yet."""
    running: int = 0
    """Receivers, and callbacks of messages, that had not returned."""
    unsent: int = 0
    """Messages that have certainly not reached the server: their outcome is *failed*."""
    unacknowledged: int = 0
    """Messages that the server has not acknowledged: their outcome is *unknown*."""

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        counts = (
            (self.queued, "queued event"),
            (self.running, "running receiver"),
            (self.unsent, "unsent message"),
            (self.unacknowledged, "unacknowledged message"),
        )
        words = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
        return ", ".join(words) or "nothing"
