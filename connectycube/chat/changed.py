"""A condition that notifies only if a thread waits: each read and task notifies, and few have a waiter."""

from __future__ import annotations

import threading

__all__ = ["Changed"]


class Changed(threading.Condition):
    """``threading.Condition``, whose ``notify`` and ``notify_all`` cost little while no thread waits."""

    def __init__(self, lock: threading.Lock | threading.RLock | None = None) -> None:
        super().__init__(lock)
        self.waiting: int = 0
        """The number of threads that wait; it changes with the lock held."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as ``threading.Condition`` does."""
        self.waiting += 1
        try:
            return super().wait(timeout)
        finally:
            self.waiting -= 1

    def notify(self, n: int = 1) -> None:
        """Wake so many threads, if any wait."""
        if self.waiting:
            super().notify(n)

    def notify_all(self) -> None:
        """Wake all threads, if any wait."""
        if self.waiting:
            super().notify_all()
