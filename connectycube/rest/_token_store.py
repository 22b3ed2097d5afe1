"""MemoryTokenStore: a token store in memory, for tests and single processes."""

from __future__ import annotations

import threading
import time
from weakref import WeakValueDictionary

from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied

__all__ = ["MemoryTokenStore"]


class MemoryTokenStore(NotCopied):
    """A :class:`TokenStore` in memory, for tests and for the clients of one process.

    Every method may be called from any thread. A forked child has the sessions of its parent.

    Example:
        >>> store = MemoryTokenStore()
        >>> store.set("app:1:session:7", "a session", seconds=60)
        >>> store.get("app:1:session:7")
        'a session'
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, float]] = {}
        self._after_fork_in_child()
        register_for_fork(self)

    def _after_fork_in_child(self) -> None:
        """Replace the locks, which threads of the parent may have held."""
        self._mutex = threading.Lock()
        # A lock lives as long as a thread uses it, so the locks do not add up.
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<MemoryTokenStore: {len(self._values)} sessions>"

    def get(self, key: str) -> str | None:
        """Return the value of a key.

        Args:
            key: ASCII letters, digits and colons.

        Returns:
            The value; None if there is none, or its time is over.
        """
        value, end = self._values.get(key, ("", 0.0))
        return value if time.monotonic() < end else None

    def set(self, key: str, value: str, seconds: float) -> None:
        """Keep a value in place of the one before.

        Args:
            key: ASCII letters, digits and colons.
            value: The value.
            seconds: How long to keep it.
        """
        check_fork()
        now = time.monotonic()
        with self._mutex:
            kept = {each: entry for each, entry in self._values.items() if now < entry[1]}
            self._values = {**kept, key: (value, now + seconds)}

    def lock(self, key: str) -> threading.Lock:
        """Return a lock, the same one for all threads that use it at a time.

        Args:
            key: The name of the lock.

        Returns:
            The lock, to be used in a ``with`` statement.
        """
        check_fork()
        with self._mutex:
            return self._locks.setdefault(key, threading.Lock())
