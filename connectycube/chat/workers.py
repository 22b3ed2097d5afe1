"""The worker threads that run the tasks of dispatchers: those of the process, or those of a fleet."""

from __future__ import annotations

import _thread
import heapq
import itertools
import threading
import time
from collections import deque
from contextlib import suppress
from os import getpid
from typing import Protocol

from .._deadline import Deadline
from .._forks import register_for_fork
from .._threads import start_thread
from .changed import Changed

__all__ = ["Workers", "workers_of_process"]

_IDLE = 10.0  # seconds after which a thread without work ends


class _Dispatcher(Protocol):
    """A dispatcher, as far as its workers need it; all but ``work`` are called with the lock held."""

    @property
    def most(self) -> int: ...
    def take_due(self) -> None: ...
    def begin(self) -> None: ...
    def work(self) -> None: ...
    def end(self) -> None: ...


class Workers:
    """Threads that run the tasks of dispatchers, and the lock of all of them.

    A dispatcher with tasks gets one turn after the other. While others have tasks as well, each turn is for
    one task, and the next one is behind theirs.

    A thread starts only when it is needed: before a thread begins a task, which may block, it makes sure that
    another one waits, as long as a dispatcher may begin one more task. So a task that blocks never delays
    those of another dispatcher, and there are never more threads than all dispatchers together may have
    tasks at a time, nor more than ``count``. A thread without work ends after some seconds; one or two stay
    until the last dispatcher has stopped, and then all end that have no task.

    ``shared_bytes`` is for the members of a fleet: the bound on the bytes in all their queues together. Half
    of it is for whichever needs it, the other half is divided equally among the dispatchers. Also, one
    dispatcher then never has more than half of the threads, so that slow tasks of one leave some to others.
    """

    def __init__(
        self, name: str, count: int | None = None, shared_bytes: int | None = None
    ) -> None:
        self._name = name
        self._count = count
        self.shared_bytes = shared_bytes
        self._begin()
        register_for_fork(self)

    def _begin(self) -> None:
        self._process = getpid()
        self.lock: threading.RLock = threading.RLock()
        self._ended = Changed(self.lock)
        self.turns: deque[_Dispatcher] = deque()
        """The dispatchers whose next task may begin; one that may begin two is behind the others again."""
        # When dispatchers have timers, as (moment, number, dispatcher); a timer may be cancelled by now.
        self.alarms: list[tuple[float, int, _Dispatcher]] = []
        self._numbers = itertools.count()
        self._started: set[_Dispatcher] = set()
        self.queued_bytes = 0
        """With ``shared_bytes``: the bytes in the queues of all dispatchers, as far as they count."""
        self.threads: set[threading.Thread] = set()
        """Without those that are about to end."""
        self._ending: set[threading.Thread] = set()
        self._looking = 0  # threads that look for a turn before they wait, or are about to start
        # Of each thread that waits the lock that it waits for. One of them, the watcher, waits for alarms.
        self._idle: list[_thread.LockType] = []
        self._watcher: _thread.LockType | None = None
        # How many more tasks the started dispatchers may begin, whether they have them or not.
        self._room = 0

    def attach(self) -> None:
        """Replace the lock if this process is a fork; a new dispatcher calls it before it uses the lock."""
        if self._process != getpid():
            self._begin()

    def _after_fork_in_child(self) -> None:
        self.attach()

    @property
    def most_for_one(self) -> int:
        """The largest number of threads that run tasks of one dispatcher; the threads must be counted."""
        assert self._count is not None
        return self._count if self.shared_bytes is None else (self._count + 1) // 2

    @property
    def bytes_for_each(self) -> int:
        """The part of ``shared_bytes`` that each dispatcher has for itself."""
        assert self.shared_bytes is not None
        return self.shared_bytes // 2 // max(1, len(self._started))

    @property
    def has_others(self) -> bool:
        """Whether there are threads apart from the calling one, or may be; the lock is held."""
        return self._count is None or self._count > self.includes_caller

    @property
    def includes_caller(self) -> bool:
        """Whether the calling thread is one of these."""
        return threading.current_thread() in self.threads

    @property
    def are_counted(self) -> bool:
        """Whether there are so many threads at most, which tasks of different dispatchers wait for."""
        return self._count is not None

    # --- for dispatchers; with the lock held, but for start, stop and join ---

    def start(self, dispatcher: _Dispatcher, at_work: int) -> None:
        """Run the tasks of a dispatcher, of whose earlier tasks so many still run, until ``stop`` at least.

        Raises RuntimeError if a thread is needed and the system has none; then it may be called again.
        """
        with self.lock:
            if dispatcher not in self._started:
                self._started.add(dispatcher)
                self._room += dispatcher.most - at_work
                self._ended.notify_all()
            self._have_another()

    def stop(self, dispatcher: _Dispatcher, at_work: int) -> None:
        """Let the threads end once no dispatcher needs them."""
        with self.lock:
            if dispatcher in self._started:
                self._started.discard(dispatcher)
                self._room -= dispatcher.most - at_work
            self.alarms = [alarm for alarm in self.alarms if alarm[2] is not dispatcher]
            heapq.heapify(self.alarms)
            while not self._started and self._wake():
                pass

    def join(self, deadline: Deadline) -> bool:
        """Wait until all threads without a task have ended; return whether they have.

        It returns True at once if another dispatcher needs the threads.
        """
        with self.lock:
            if not self._ended.wait_for(
                lambda: bool(self._started) or not self._are_without_task(), deadline.remaining()
            ):
                return False
            if self._started:
                return True
            ending = self._ending - {threading.current_thread()}
        for thread in ending:
            thread.join(deadline.remaining())
        return not any(thread.is_alive() for thread in ending)

    def wake_at(self, moment: float, dispatcher: _Dispatcher) -> None:
        """Have ``dispatcher.take_due()`` called at a moment (monotonic)."""
        heapq.heappush(self.alarms, (moment, next(self._numbers), dispatcher))
        if self._watcher is not None and self.alarms[0][0] == moment:
            self._wake_watcher()  # it would sleep for longer than that

    def add_turn(self, dispatcher: _Dispatcher) -> None:
        """Let a thread begin a task of a dispatcher."""
        self.turns.append(dispatcher)
        if len(self.turns) > self._looking:
            self._wake()  # if none waits, the next one that is free looks for a turn

    def has_due(self) -> bool:
        """Whether the next alarm is due; there is one."""
        return self.alarms[0][0] <= time.monotonic()

    # --- the threads ---

    def _work(self) -> None:
        """Run tasks until no dispatcher needs this thread."""
        lock, dispatcher = self.lock, None
        while lock is self.lock:  # else a task has forked, and this is the child
            with lock:
                if dispatcher is not None:
                    self._looking += 1
                    self._room += dispatcher in self._started
                    dispatcher.end()
                    dispatcher = None  # or a thread without work would keep it alive
                if not self._wait_for_turn():
                    self._end()
                    return
                dispatcher = self.turns.popleft()
                self._looking -= 1
                self._room -= dispatcher in self._started
                dispatcher.begin()
                # If the process can have no more threads, as at its exit, those that it has take turns.
                with suppress(RuntimeError):
                    self._have_another()
            dispatcher.work()

    def _have_another(self) -> None:
        """Have a thread wait for the next turn or alarm, if there may be one."""
        if self._watcher is not None or self._looking or self._wake():
            return
        if (self._room or self.turns) and (self._count is None or len(self.threads) < self._count):
            used = {thread.name for thread in self.threads}
            names = (f"{self._name}-dispatcher-{number}" for number in itertools.count(1))
            name = next(name for name in names if name not in used)
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self.threads.add(thread)
            self._looking += 1
            try:
                start_thread(thread)
            except RuntimeError:
                self.threads.discard(thread)
                self._looking -= 1
                raise

    def _end(self) -> None:
        """Leave the threads, as the calling one."""
        self._looking -= 1
        self.threads.discard(threading.current_thread())
        self._ending = {thread for thread in self._ending if thread.is_alive()}
        self._ending.add(threading.current_thread())
        self._ended.notify_all()

    def _are_without_task(self) -> bool:
        """Whether there are threads without a task."""
        return bool(self._looking or self._idle or self._watcher)

    def _wait_for_turn(self) -> bool:
        """Wait until a dispatcher has a turn; return False if this thread is to end."""
        while True:
            alarms = self.alarms
            while alarms and alarms[0][0] <= time.monotonic():
                heapq.heappop(alarms)[2].take_due()
                alarms = self.alarms
            if self.turns:
                return True
            if not self._started:
                return False
            if self._watcher is None:
                self._sleep(alarms[0][0] - time.monotonic() if alarms else None)
            elif not self._sleep(_IDLE, is_watcher=False) and self._idle:
                return False

    def _sleep(self, seconds: float | None, is_watcher: bool = True) -> bool:
        """Wait without the lock until this thread is woken; return False if the time is over first.

        The last that went to sleep is woken first, and the watcher last, so that the others can end.
        """
        gate = _thread.allocate_lock()  # as threading.Condition has one for each wait
        gate.acquire()
        if is_watcher:
            self._watcher = gate
        else:
            self._idle.append(gate)
        self._looking -= 1
        self.lock.release()
        try:
            if seconds is None:
                gate.acquire()
            else:
                gate.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))
        finally:
            self.lock.acquire()
        if self._watcher is gate:
            self._watcher = None
        elif gate in self._idle:
            self._idle.remove(gate)
        else:
            return True  # the thread that woke it has counted it among the threads that look
        self._looking += 1
        return False

    def _wake(self) -> bool:
        """Wake a thread that waits, which then looks for a turn; return whether there was one."""
        if not self._idle:
            return self._wake_watcher()
        self._looking += 1
        self._idle.pop().release()
        return True

    def _wake_watcher(self) -> bool:
        if self._watcher is None:
            return False
        gate, self._watcher = self._watcher, None
        self._looking += 1
        gate.release()
        return True


_of_process: dict[type, Workers] = {}
"""By the kind of lock: gevent replaces it, and a lock of before would stop all greenlets."""


def workers_of_process() -> Workers:
    """Return the workers of all connections of this process but those of fleets."""
    kind = type(threading.Lock())
    # Made with the first connection; of two threads that make them one wins.
    return _of_process.get(kind) or _of_process.setdefault(kind, Workers("connectycube"))
