"""The end of a connection within a bound: who waits for it, and what it leaves undone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ..config import Config, Timeouts
from ..deadline import Deadline
from ..models import Abandoned, ChatState
from .dispatcher import Dispatcher
from .link import Waker
from .protocol.core import Core

__all__ = ["CloseWaiters", "Ending", "report"]

logger = logging.getLogger("connectycube.chat")


class _Wait:
    """One thread that waits for the connection to be closed for good."""

    def __init__(self, waker: Waker) -> None:
        self.waker = waker
        self.is_over = False
        self.reason: Exception | None = None

    def end(self, reason: Exception | None) -> None:
        """Tell the thread; it is told once."""
        if not self.is_over:
            self.reason, self.is_over = reason, True
            self.waker.wake()


class CloseWaiters:
    """Who waits for the connection to be closed for good.

    They wait for a socket and not for a lock: an exception of a signal handler, as Ctrl-C raises one, may
    end the wait at any moment, and would leave a lock in the wrong state.
    """

    def __init__(self) -> None:
        self._waits: set[_Wait] = set()

    def tell(self, reason: Exception | None) -> None:
        """The connection is closed; ``reason`` says why, None if somebody logged out."""
        for wait in tuple(self._waits):
            wait.end(reason)

    @contextmanager
    def waited_for(self, waker: Waker) -> Iterator[_Wait]:
        """Have the waker woken when the connection is closed."""
        wait = _Wait(waker)
        self._waits.add(wait)
        try:
            yield wait
        finally:
            self._waits.discard(wait)


class Ending:
    """The part of a connection's driver that ends it; every method may be called from any thread."""

    core: Core
    dispatcher: Dispatcher
    close_waiters: CloseWaiters
    _name: str
    _config: Config
    _mutex: threading.Lock
    _changed: threading.Condition
    _thread: threading.Thread | None
    _generation: int
    _forked: bool
    _ends: int
    """How often it was closed."""
    _aborted: bool

    def _after_command(self) -> None:
        """Hand over what a command brought, and wake who must know; the mutex is held."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the connection, with which those of its threads begin."""
        return self._name

    @property
    def timeouts(self) -> Timeouts:
        """The time-outs of its configuration."""
        return self._config.timeouts

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing to end."""
        return self.core.state in (ChatState.IDLE, ChatState.CLOSED)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to end, and no receiver to wait for at the exit."""
        return self._aborted or (self.is_closed and not self.dispatcher.is_working)

    def logout(self, deadline: Deadline) -> Abandoned:
        """End the connection in any state, within the deadline; return what was left undone."""
        return self.begin_logout(deadline)()

    def begin_logout(self, deadline: Deadline) -> Callable[[], Abandoned]:
        """Begin to end the connection; what is returned waits for that until the deadline."""
        if self._forked:
            return Abandoned
        with self._mutex:
            ends = None if self.is_closed else self._ends
            now = time.monotonic()
            self.core.close(now, deadline.at if deadline.at is not None else now)
            self._after_command()
            return partial(self._finish_logout, deadline, self._thread, ends)

    def _finish_logout(
        self, deadline: Deadline, thread: threading.Thread | None, ends: int | None
    ) -> Abandoned:
        """Wait for the end that came after so many ``ends`` (None: before this logout)."""
        with self._mutex:
            if not self._changed.wait_for(lambda: ends != self._ends, deadline.remaining()):
                self._abandon()  # its thread is stuck where nothing can interrupt it
            messages = (0, 0) if ends is None else self.core.abandoned
            stays = self.is_closed
        if thread is not None:
            thread.join(deadline.remaining())
        if stays and not self.dispatcher.is_worker():
            self.dispatcher.join(deadline)
            with self._mutex:
                stays = self.is_closed  # a receiver may have opened it again, and the workers go on
        return self._left_undone(messages, stays)

    def abort(self) -> Abandoned:
        """End the connection at once, and let the exit of the interpreter not wait for it either."""
        with self._mutex:
            if not self.is_closed:
                self._abandon()
            self._aborted = True
            return self._left_undone(self.core.abandoned, True)

    def _abandon(self) -> None:
        assert self._mutex.locked()
        self._generation += 1
        self.core.abort(None)
        self._after_command()
        self.dispatcher.stop()

    def _left_undone(self, messages: tuple[int, int], stays: bool) -> Abandoned:
        queued = running = 0
        if stays and not self.dispatcher.is_worker():  # else the workers go on
            queued, running = self.dispatcher.queued, len(self.dispatcher.running_receivers())
        unsent, unacknowledged = messages
        return Abandoned(
            queued=queued, running=running, unsent=unsent, unacknowledged=unacknowledged
        )


def report(driver: Ending, abandoned: Abandoned) -> None:
    """Say in the log what was left undone, if there is anything."""
    if abandoned:
        running = driver.dispatcher.running_receivers() if abandoned.running else ()
        now = f" (now running: {', '.join(running)})" if running else ""
        logger.warning("%s: abandoned: %s%s", driver.name, abandoned, now)
