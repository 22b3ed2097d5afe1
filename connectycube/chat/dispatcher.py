"""Calls receivers on worker threads: in order within a conversation, behind a bounded queue."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from attrs import define, field

from .._deadline import Deadline
from ..config import Limits

__all__ = ["Dispatcher", "Task"]

logger = logging.getLogger("connectycube.chat")


@define(eq=False)
class Task:
    """One call to make: ``run()`` on a worker, in order with the others of its ``queue_key``.

    ``size`` counts towards the bound on bytes. A task with a ``merge_key`` may be replaced by a
    newer one of the same key, or dropped, when the queue is full.
    """

    run: Callable[[], None]
    queue_key: Hashable = field(default=None)
    size: int = field(default=0)
    merge_key: Hashable = field(default=None)
    counts: bool = field(default=True, init=False)
    """Whether the task counts towards the queue limits. Unbounded tasks do not, and crowd nobody out."""


class Dispatcher:
    """Worker threads around one queue for each conversation.

    One worker at a time works on a queue, so its order holds with any number of workers; queues
    with work take turns. Threads start with ``start()`` and end after ``stop()`` once the queue is
    empty. ``on_low_water`` is called, on a worker and without a lock, each time the queue has fallen to
    half of its bounds after it was full.
    """

    def __init__(
        self, name: str, workers: int, limits: Limits, on_low_water: Callable[[], None]
    ) -> None:
        self._name = name
        self._workers = workers
        self._limits = limits
        self._on_low_water = on_low_water
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)  # apart: a notification for a worker wakes a worker
        # Of each receiver that awaits an event: whether it still lacks it.
        self._event_waiters: list[Callable[[], bool]] = []
        self._queues: dict[Hashable, deque[Task]] = {}
        self._ready: deque[Hashable] = deque()  # keys of queues with work that no worker is at
        self._mergeable: dict[Hashable, Task] = {}
        self._threads: set[threading.Thread] = set()  # also those about to end
        self._working = 0  # without those
        self._stopping = True
        self._was_full = False
        self.queued = 0
        """Tasks in the queue that count towards its bound."""
        self.queued_bytes = 0
        self.merged = 0
        """Fleeting events that were merged or dropped because the queue was full."""
        self.receivers: dict[int, tuple[str, float]] = {}
        """What runs now: by thread identifier the receiver's name and since when (monotonic)."""

    def start(self) -> None:
        """Start the workers that are not running yet."""
        with self._changed:
            self._stopping = False
            self._changed.notify_all()  # who joins need not wait any more
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            while self._working < self._workers:
                thread = threading.Thread(
                    target=self._work,
                    name=f"{self._name}-dispatcher-{self._working + 1}",
                    daemon=True,
                )
                thread.start()
                self._threads.add(thread)
                self._working += 1

    def stop(self) -> None:
        """Let the workers end once the queue is empty."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._room.notify_all()

    def join(self, deadline: Deadline) -> bool:
        """Wait until all workers but the calling one have ended, or are to go on; whether they have."""
        with self._changed:
            others = self._threads - {threading.current_thread()}
            own = len(self._threads) - len(others)
            self._changed.wait_for(
                lambda: self._working <= own or not self._stopping, deadline.remaining()
            )
            if self._working > own:
                return False
        for thread in others:
            thread.join(deadline.remaining())
        return not any(thread.is_alive() for thread in others)

    @property
    def is_working(self) -> bool:
        """Whether there are workers, the calling one not counted."""
        with self._changed:
            return self._working > (threading.current_thread() in self._threads)

    def is_worker(self) -> bool:
        """Whether the calling thread is one of the workers."""
        return threading.current_thread() in self._threads

    @contextmanager
    def awaiting_event(self, is_waiting: Callable[[], bool]) -> Iterator[None]:
        """Around a wait for an event, which ``is_waiting()`` until it has one.

        In a receiver it must not wait until there is room in the queue, as that waits for the receiver.
        """
        if not self.is_worker():
            yield
            return
        with self._changed:
            self._event_waiters.append(is_waiting)
            self._room.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._event_waiters.remove(is_waiting)

    def wait_for_room(self) -> None:
        """Block until the queue is at most half full.

        Used by producers that are faster than receivers, such as history replay. Returns at once while a
        receiver waits for an event, which may be what the caller is about to queue, and after ``stop()``.
        """
        with self._changed:
            self._room.wait_for(
                lambda: (
                    self._stopping or self._is_half_empty() or any(f() for f in self._event_waiters)
                )
            )

    def put(self, task: Task, *, bounded: bool = True, counts: bool | None = None) -> bool:
        """Queue a task; False if the queue is full and the task is neither unbounded nor mergeable.

        ``counts`` says whether it takes up room (None: if it is bounded).
        """
        with self._changed:
            if bounded and not self._has_room(task.size):
                self._was_full = True
                if task.merge_key is None:
                    return False
                self.merged += 1
                queued = self._mergeable.get(task.merge_key)
                if queued is not None:
                    queued.run = task.run
                return True
            queue = self._queues.get(task.queue_key)
            if queue is None:
                queue = self._queues[task.queue_key] = deque()
                self._ready.append(task.queue_key)
                self._changed.notify()
            queue.append(task)
            if task.merge_key is not None:
                self._mergeable[task.merge_key] = task
            task.counts = bounded if counts is None else counts
            if task.counts:
                self.queued += 1
                self.queued_bytes += task.size
            return True

    def slowest_receiver(self) -> str | None:
        """The name of the receiver that has been running for the longest time, or None."""
        running = sorted(self.receivers.values(), key=lambda entry: entry[1])
        return running[0][0] if running else None

    def running_receivers(self) -> tuple[str, ...]:
        """The names of the receivers that run now, on any worker."""
        return tuple(name for name, _ in list(self.receivers.values()))

    def note_receiver(self, name: str | None) -> None:
        """Remember which receiver the calling worker is in (None: no longer in one)."""
        if name is None:
            self.receivers.pop(threading.get_ident(), None)
        else:
            self.receivers[threading.get_ident()] = (name, time.monotonic())

    def _has_room(self, size: int) -> bool:
        return not self.queued or (
            self.queued < self._limits.queued_events
            and self.queued_bytes + size <= self._limits.queued_bytes
        )

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    if self._stopping:
                        self._working -= 1
                        self._changed.notify_all()
                        return
                    self._changed.wait()
                queue_key = self._ready.popleft()
                task = self._take(queue_key)
                low_water = self._is_low_water()
            if low_water:
                _run(self._on_low_water)
            _run(task.run)
            del task  # an idle worker keeps no event alive
            with self._changed:
                if self._queues[queue_key]:
                    self._ready.append(queue_key)
                    self._changed.notify()
                else:
                    del self._queues[queue_key]

    def _take(self, queue_key: Hashable) -> Task:
        task = self._queues[queue_key].popleft()
        if task.counts:
            self.queued -= 1
            self.queued_bytes -= task.size
            if self._is_half_empty():
                self._room.notify_all()
        if task.merge_key is not None and self._mergeable.get(task.merge_key) is task:
            del self._mergeable[task.merge_key]
        return task

    def _is_low_water(self) -> bool:
        low_water = self._was_full and self._is_half_empty()
        if low_water:
            self._was_full = False
        return low_water

    def _is_half_empty(self) -> bool:
        return (
            self.queued <= self._limits.queued_events // 2
            and self.queued_bytes <= self._limits.queued_bytes // 2
        )


def _run(call: Callable[[], None]) -> None:
    """Make a call of a worker, which goes on whatever the call raises."""
    try:
        call()
    except BaseException:
        with contextlib.suppress(Exception):  # an application's log filter may raise as well
            logger.exception("a dispatcher task raised")
