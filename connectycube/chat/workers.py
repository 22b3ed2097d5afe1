"""The worker threads of one dispatcher, or of several that take turns."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from os import getpid
from typing import Any, Protocol

from .._deadline import Deadline
from .._forks import register_for_fork
from .changed import Changed

__all__ = ["Workers"]


class _Dispatcher(Protocol):
    """A dispatcher, as far as its workers need it."""

    def take(self) -> Any: ...
    def perform(self, task: Any) -> None: ...
    def take_due(self) -> None: ...


class Workers:
    """Threads that run the tasks of dispatchers, and the lock of all of them.

    A dispatcher with tasks gets one turn after the other, each for one task, behind the other dispatchers
    that have tasks. Threads start with the first dispatcher that starts, and end once all have stopped and
    none has a turn.

    ``shared_bytes`` is for several dispatchers: the bound on the bytes in all their queues together. Half of
    it is for whichever needs it, the other half is divided equally among the dispatchers. Also, one
    dispatcher then never has more than half of the threads, so that slow tasks of one leave some to others.
    """

    def __init__(self, name: str, count: int, shared_bytes: int | None = None) -> None:
        self._name = name
        self._count = count
        self.shared_bytes = shared_bytes
        self.most_for_one = count if shared_bytes is None else (count + 1) // 2
        """The largest number of threads that run tasks of one dispatcher."""
        self._begin()
        if shared_bytes is not None:
            register_for_fork(self)

    def _begin(self) -> None:
        self._process = getpid()
        self.lock = threading.RLock()
        self.changed = Changed(self.lock)
        """Notified for each new turn. Only workers wait for it: no notification is lost on other threads."""
        self._ended = Changed(self.lock)
        self.turns: deque[_Dispatcher] = deque()
        """The dispatchers whose next task may begin; one that may begin two is behind the others again."""
        # When dispatchers have timers, as (moment, number, dispatcher); a timer may be cancelled by now.
        self._alarms: list[tuple[float, int, _Dispatcher]] = []
        self._numbers = itertools.count()
        self._started: set[_Dispatcher] = set()
        self.queued_bytes = 0
        """The bytes in the queues of all dispatchers, as far as they count towards the bounds."""
        self.threads: set[threading.Thread] = set()
        """Also threads that are about to end."""
        self._working = 0  # the number of threads, without those that are about to end

    def attach(self) -> None:
        """Replace the lock if this process is a fork; a new dispatcher calls it before it uses the lock."""
        if self._process != getpid():
            self._begin()

    def _after_fork_in_child(self) -> None:
        self.attach()

    @property
    def bytes_for_each(self) -> int:
        """The part of ``shared_bytes`` that each dispatcher has for itself."""
        assert self.shared_bytes is not None
        return self.shared_bytes // 2 // max(1, len(self._started))

    @property
    def has_others(self) -> bool:
        """Whether there are threads apart from the calling one; the lock is held."""
        return self._working > (threading.current_thread() in self.threads)

    def start(self, dispatcher: _Dispatcher) -> None:
        """Start the threads that are not running yet; they run until ``stop`` at least."""
        with self.lock:
            self._started.add(dispatcher)
            self.threads = {thread for thread in self.threads if thread.is_alive()}
            while self._working < self._count:
                thread = threading.Thread(
                    target=self.work,
                    name=f"{self._name}-dispatcher-{self._working + 1}",
                    daemon=True,
                )
                thread.start()
                self.threads.add(thread)
                self._working += 1
            self._ended.notify_all()

    def stop(self, dispatcher: _Dispatcher) -> None:
        """Let the threads end once no dispatcher needs them."""
        with self.lock:
            self._started.discard(dispatcher)
            self._alarms = [alarm for alarm in self._alarms if alarm[2] is not dispatcher]
            heapq.heapify(self._alarms)
            self.changed.notify_all()

    def join(self, deadline: Deadline) -> bool:
        """Wait until all threads but the calling one have ended; return whether they have.

        It returns True at once if another dispatcher needs the threads.
        """
        with self.lock:
            others = self.threads - {threading.current_thread()}
            own = len(self.threads) - len(others)
            self._ended.wait_for(
                lambda: self._working <= own or bool(self._started), deadline.remaining()
            )
            if self._started:
                return True
            if self._working > own:
                return False
        for thread in others:
            thread.join(deadline.remaining())
        return not any(thread.is_alive() for thread in others)

    def wake_at(self, moment: float, dispatcher: _Dispatcher) -> None:
        """Have ``dispatcher.take_due()`` called at a moment (monotonic); the lock is held."""
        heapq.heappush(self._alarms, (moment, next(self._numbers), dispatcher))
        self.changed.notify()  # each thread may sleep for longer than that

    def work(self) -> None:
        """Run tasks, one after the other, until no dispatcher needs this thread."""
        lock = self.lock
        while True:
            with lock:
                if lock is not self.lock:
                    return  # a task has forked, and this is the child
                if (self._alarms or not self.turns) and not self._wait_for_turn():
                    self._working -= 1
                    self._ended.notify_all()
                    return
                dispatcher = self.turns.popleft()
                task = dispatcher.take()
            if task is not None:
                dispatcher.perform(task)
            del dispatcher, task  # or a thread without work would keep the event alive

    def _wait_for_turn(self) -> bool:
        """Wait until a dispatcher has a turn; return False if there is none and no dispatcher is started."""
        while True:
            alarms = self._alarms
            while alarms and alarms[0][0] <= time.monotonic():
                heapq.heappop(alarms)[2].take_due()
            if self.turns:
                return True
            if not self._started:
                return False
            # Another thread may replace the list meanwhile: then it notifies.
            self.changed.wait(max(0.0, alarms[0][0] - time.monotonic()) if alarms else None)
