"""The messages that have been seen: a bounded window over (conversation, sender, id)."""

from __future__ import annotations

import math
from collections import OrderedDict

__all__ = ["Key", "SeenMessages"]

Key = tuple[str, int, str]


class SeenMessages:
    """Remembers the last ``window`` keys, and older ones that were seen since ``keep_since``."""

    def __init__(self, window: int = 10_000) -> None:
        self._window = window
        # The moment at which each key was last seen; the oldest is the first.
        self._seen: OrderedDict[Key, float] = OrderedDict()
        self.keep_since = math.inf
        """A key that was seen at this moment or later is remembered, however many there are."""

    def add(self, key: Key, now: float = 0.0) -> bool:
        """Note ``key`` as seen; return whether it is new."""
        is_new = key not in self._seen
        self._seen[key] = now
        if not is_new:
            self._seen.move_to_end(key)
            return False
        while len(self._seen) > self._window:
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= self.keep_since:
                break
            del self._seen[oldest]
        return True

    def __contains__(self, key: Key | None) -> bool:
        """Whether ``key`` was seen before."""
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def forget(self, key: Key) -> None:
        """Forget ``key``, because its message was not committed and comes again."""
        self._seen.pop(key, None)
