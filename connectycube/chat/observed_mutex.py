"""The driver's mutex where there is an observer: each thread tells it, after the release, what it noted."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..observer import Observer, call_observer

if TYPE_CHECKING:
    from ..config import Config
    from .chat_signals import ChatSignals

__all__ = ["ObservedMutex"]

_Note = tuple[str, tuple[object, ...]]


class ObservedMutex:
    """A lock whose holder notes what it does, and tells the observer once it has released the lock.

    So the observer is called without the lock, on the thread where the thing happened. Without an observer
    the driver has a plain lock, and nothing is noted.
    """

    def __init__(self, observer: Observer, chat: ChatSignals) -> None:
        self._observer = observer
        self._chat = chat
        self._lock = threading.Lock()
        self._notes: list[_Note] = []  # of the thread that holds the lock
        self._local = threading.local()  # ``later``: the notes of a thread that tells them later

    @classmethod
    def of(cls, config: Config, chat: ChatSignals) -> ObservedMutex | None:
        """Return a new one if the configuration has an observer, None otherwise."""
        return None if config.observer is None else cls(config.observer, chat)

    def note(self, method: str, *arguments: object) -> None:
        """Have a method of the observer called with the chat and these arguments, after the release."""
        assert self._lock.locked()
        self._notes.append((method, arguments))

    @contextmanager
    def telling_later(self) -> Generator[None]:
        """Let this thread tell what it notes at the end of the block, inside which it holds another lock."""
        self._local.later = later = list[_Note]()
        try:
            yield
        finally:
            del self._local.later
            self._tell(later)

    def _tell(self, notes: list[_Note]) -> None:
        for method, arguments in notes:
            call_observer(self._observer, method, self._chat, *arguments)

    # --- as threading.Lock ---

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Release the lock, and tell the observer what was noted since it was acquired."""
        if not self._notes:
            self._lock.release()
            return
        # Another list before the release: the next holder notes in it, and this one stays with this thread.
        notes, self._notes = self._notes, []
        self._lock.release()
        later = getattr(self._local, "later", None)
        if later is None:
            self._tell(notes)
        else:
            later += notes

    def locked(self) -> bool:
        """Whether a thread holds the lock."""
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _release_save(self) -> None:
        """Release the lock for ``Condition.wait``, whose caller holds it again if this raises."""
        try:
            self.release()
        except BaseException:
            self._lock.acquire()
            raise

    def _acquire_restore(self, _: None) -> None:
        self._lock.acquire()
