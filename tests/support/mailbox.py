"""What arrives from another thread or process, to be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue of which any item can be taken; all methods may be called from any thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._waiting: list[Item] = []
        self._all: list[Item] = []
        self._closed: BaseException | None = None

    def put(self, item: Item) -> None:
        """Add an item and wake who waits for it."""
        with self._changed:
            self._waiting.append(item)
            self._all.append(item)
            self._changed.notify_all()

    def close(self, error: BaseException) -> None:
        """Make all waits that find nothing raise ``error``, since nothing can come any more."""
        with self._changed:
            self._closed = error
            self._changed.notify_all()

    def wait_for(
        self, wanted: Callable[[Item], object] = lambda item: True, timeout: float = 10.0
    ) -> Item:
        """Take and return the oldest item for which ``wanted`` is true; what is skipped stays.

        Raises TimeoutError after ``timeout`` seconds, with the items that wait instead.
        """
        found: list[Item] = []

        def take() -> bool:
            for position, item in enumerate(self._waiting):
                if wanted(item):
                    found.append(self._waiting.pop(position))
                    return True
            return self._closed is not None

        with self._changed:
            arrived = self._changed.wait_for(take, timeout)
            if found:
                return found[0]
            if arrived and self._closed is not None:
                raise self._closed
            raise TimeoutError(f"{self._name}: not within {timeout} s; waiting: {self._waiting}")

    def all(self) -> list[Item]:
        """Return everything that ever arrived, in order, taken or not."""
        with self._changed:
            return list(self._all)

    def clear(self) -> None:
        """Forget everything that has arrived."""
        with self._changed:
            self._waiting.clear()
            self._all.clear()
