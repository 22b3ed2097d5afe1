"""Things that become due at a time unless they are cancelled: one thing for each key."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["Timers", "earlier"]


class Timers:
    """Things with the time at which they are due; there are few at any moment, so a dict is enough."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[float, Any]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def deadline(self) -> float | None:
        """The time at which the next thing is due, or None."""
        if not self._waiting:
            return None
        return min(when for when, _ in self._waiting.values())

    def due_at(self, key: Hashable) -> float | None:
        """Return the time at which the thing of this key is due, or None."""
        entry = self._waiting.get(key)
        return None if entry is None else entry[0]

    def set(self, key: Hashable, when: float, thing: Any) -> None:
        """Let ``thing`` be due at ``when``, in place of an earlier thing for the same key."""
        self._waiting[key] = (when, thing)

    def cancel(self, key: Hashable) -> None:
        """Cancel the thing of this key, if there is one."""
        self._waiting.pop(key, None)

    def clear(self) -> None:
        """Cancel all things."""
        self._waiting.clear()

    def take_next(self, now: float) -> Any | None:
        """Remove and return the thing that has been due for the longest time; None if nothing is due.

        One at a time, because the action of the first may cancel the second.
        """
        if not self._waiting:
            return None
        key = min(self._waiting, key=lambda key: (self._waiting[key][0], str(key)))
        return self._waiting.pop(key)[1] if self._waiting[key][0] <= now else None


def earlier(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two times; None stands for never."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
