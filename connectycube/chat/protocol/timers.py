"""What is to happen later unless it is cancelled: one thing for each key."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["Timers"]


class Timers:
    """Things with the time at which they are due; there are few at any moment."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[float, Any]] = {}

    @property
    def deadline(self) -> float | None:
        """When the next thing is due, or None."""
        return min((when for when, _ in self._waiting.values()), default=None)

    def set(self, key: Hashable, when: float, thing: Any) -> None:
        """Let ``thing`` be due at ``when``, in place of what was set for the same key."""
        self._waiting[key] = (when, thing)

    def cancel(self, key: Hashable) -> None:
        """Let nothing be due for this key."""
        self._waiting.pop(key, None)

    def clear(self) -> None:
        """Let nothing be due."""
        self._waiting.clear()

    def take_due(self, now: float) -> list[Any]:
        """Remove and return what is due, the oldest first."""
        due = sorted(
            (when, str(key), key) for key, (when, _) in self._waiting.items() if when <= now
        )
        return [self._waiting.pop(key)[1] for _, _, key in due]
