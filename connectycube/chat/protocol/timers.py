"""Things that become due at a time unless they are cancelled: one thing for each key."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Timers"]

Thing = TypeVar("Thing")

_MOST_OUTDATED = 64
"""Entries of cancelled and replaced things that the heap may hold beside one for each thing that waits."""


class Timers(Generic[Thing]):
    """Things with the time at which they are due, in a heap: what waits later costs nothing earlier."""

    def __init__(self) -> None:
        # The time of each thing, the thing, and the number of its entry in the heap.
        self._waiting: dict[Hashable, tuple[float, Thing, int]] = {}
        # (time, text of the key, number, key): of things that are due together the text decides.
        self._heap: list[tuple[float, str, int, Hashable]] = []
        self._numbers = itertools.count()
        self.deadline: float | None = None
        """The time at which the next thing is due, or None."""

    def __len__(self) -> int:
        return len(self._waiting)

    def due_at(self, key: Hashable) -> float | None:
        """Return the time at which the thing of this key is due, or None."""
        entry = self._waiting.get(key)
        return None if entry is None else entry[0]

    def set(self, key: Hashable, when: float, thing: Thing) -> None:
        """Let ``thing`` be due at ``when``, in place of an earlier thing for the same key."""
        number = next(self._numbers)
        self._waiting[key] = (when, thing, number)
        heapq.heappush(self._heap, (when, str(key), number, key))
        self._drop_outdated()

    def cancel(self, key: Hashable) -> None:
        """Cancel the thing of this key, if there is one."""
        self._waiting.pop(key, None)
        self._drop_outdated()

    def clear(self) -> None:
        """Cancel all things."""
        self._waiting.clear()
        self._drop_outdated()

    def take_next(self, now: float) -> Thing | None:
        """Remove and return the thing that has been due for the longest time; None if nothing is due.

        One at a time, because the action of the first may cancel the second.
        """
        if self.deadline is None or self.deadline > now:
            return None
        key = self._heap[0][3]
        thing = self._waiting.pop(key)[1]
        self._drop_outdated()
        return thing

    def _drop_outdated(self) -> None:
        """Let the first entry of the heap be that of a thing that waits, and note when it is due."""
        heap, waiting = self._heap, self._waiting
        if len(heap) > 2 * len(waiting) + _MOST_OUTDATED:
            heap[:] = [entry for entry in heap if self._is_current(entry)]
            heapq.heapify(heap)
        while heap and not self._is_current(heap[0]):
            heapq.heappop(heap)
        self.deadline = heap[0][0] if heap else None

    def _is_current(self, entry: tuple[float, str, int, Hashable]) -> bool:
        found = self._waiting.get(entry[3])
        return found is not None and found[2] == entry[2]
