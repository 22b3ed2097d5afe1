"""Which messages have been seen: a bounded window over (conversation, sender, id)."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Key", "Repetitions"]

Key = tuple[str, int, str]


class Repetitions:
    """Remembers the last ``window`` keys."""

    def __init__(self, window: int = 10_000) -> None:
        self._window = window
        self._seen: OrderedDict[Key, None] = OrderedDict()

    def is_new(self, key: Key) -> bool:
        """Whether ``key`` was not seen before; it is now."""
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > self._window:
            self._seen.popitem(last=False)
        return True

    def __contains__(self, key: Key | None) -> bool:
        """Whether ``key`` was seen before."""
        return key in self._seen

    def forget(self, key: Key) -> None:
        """Let ``key`` be new again: it was not taken over."""
        self._seen.pop(key, None)
