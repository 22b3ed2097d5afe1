"""Queues tasks for worker threads: in order within a conversation, behind bounds, again if they ask."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from attrs import define, field, frozen

from .._deadline import Deadline
from ..config import Limits
from ..models import RunningReceiver
from ..models._json import maker_of
from .changed import Changed
from .protocol.decoding import Delivery
from .workers import Workers, workers_of_process

__all__ = ["Again", "Dispatcher", "Task", "new_task"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_RAISED = object()


@frozen
class Again:
    """What a task returns to be run again in its place: ``run()``, after so many ``seconds``."""

    seconds: float
    run: Callable[[], Again | None]


@define(eq=False)
class Task:
    """One call of a worker: ``run()``, in order with the other tasks of its ``queue_key``.

    ``size`` counts towards the bound on bytes. When the queue is full, a task with a ``merge_key`` takes the
    place of the queued task of the same key, or is dropped if there is none. ``leave()`` says that the event
    of the task is kept elsewhere: it is called, perhaps with locks of the caller, instead of ``run()`` if the
    workers end while the queue waits for a repetition, and after ``run()`` if that raised.
    """

    run: Callable[[], Again | None]
    queue_key: Hashable = field(default=None)
    size: int = field(default=0)
    merge_key: Hashable = field(default=None)
    leave: Callable[[], None] | None = field(default=None)
    is_users: bool = field(default=False)
    """Whether the task is for the current user of the connection, and for no other."""
    stored: Any = field(default=None)
    """What the event is in a file, from which it can be read back: while it waits, it closes no link."""
    since: float | None = field(default=None)
    """When the event of the task was queued (monotonic); None if the task is no event."""
    counts: bool = field(default=True, init=False)
    """Whether the task counts towards the bounds of the queue; ``put`` decides it."""


_FIELDS = ("run", "queue_key", "size", "merge_key", "leave", "is_users", "stored", "since")
new_task: Callable[..., Task] = maker_of(Task, *_FIELDS)
"""Make a task from the values of these fields, by position: one is made for each event."""

_Queued: TypeAlias = "Task | Delivery"
"""What waits in a queue. A delivery that is no task is run by the handler of the dispatcher."""


class Dispatcher:
    """One queue of tasks for each conversation; the bounds are those of all queues together.

    ``workers`` says how many tasks may run at a time, on the workers of the process; or it is the workers of
    a fleet. Only one worker at a time takes tasks from a queue, so its order holds with any number of
    workers. Queues with tasks take turns, one task each. A queue whose first task is to run again waits
    without a worker. Tasks run from ``start()`` on, and after ``stop()`` until all queues are empty or wait.
    ``on_low_water`` is called, on a worker and without a lock, each time the queues are at most half full
    after they were full.
    ``on_long_wait(key)`` is called in the same way when a queue waits whose stored tasks are to be taken out
    with :meth:`take_stored`: the queues are more than half full.
    """

    def __init__(
        self,
        name: str,
        workers: Workers | int,
        limits: Limits,
        on_low_water: Callable[[], None],
        on_long_wait: Callable[[Hashable], None] = lambda queue_key: None,
    ) -> None:
        self._name = name
        self.handle: Callable[[Delivery], Again | None]
        """Runs the deliveries that were queued without a task."""
        if isinstance(workers, Workers):
            self.workers: Workers = workers
            self.most: int = workers.most_for_one
        else:
            self.workers, self.most = workers_of_process(), workers
        self.workers.attach()
        self._is_shared = self.workers.shared_bytes is not None
        self._limits = limits
        self._on_low_water = on_low_water
        self._on_long_wait = on_long_wait
        self._lock = self.workers.lock
        # Notified when there is room, and when tasks have ended for which a thread may wait.
        self._room = Changed(self._lock)
        # For each receiver that awaits an event: whether the event is still missing.
        self._event_waiters: list[Callable[[], bool]] = []
        self._queues: dict[Hashable, deque[_Queued]] = {}
        self._ready: deque[Hashable] = deque()  # the keys of queues with tasks and without a worker
        # The keys of queues whose first task is to run again later.
        self._waiting: set[Hashable] = set()
        self._repeating: set[Hashable] = set()  # these, and those whose first task runs again now
        self._outdated: set[Hashable] = set()  # the keys whose running task is of an earlier user
        # What becomes due, as (moment, number, key of a queue that waits, or a task to queue).
        self._timers: list[tuple[float, int, Hashable]] = []
        self._numbers = itertools.count()
        self._mergeable: dict[Hashable, Task] = {}  # the newest queued task of each merge key
        self._has_turn = False  # whether this dispatcher is among those with a turn
        # The identifiers of the threads that run tasks of these queues.
        self._at_work: set[int] = set()
        self._stopping = True
        self._was_full = False
        self.queued: int = 0
        """The number of queued tasks that count towards the bounds."""
        self.queued_bytes: int = 0
        self.events: int = 0
        """The number of queued events, whether they count towards the bounds or not."""
        self.event_bytes: int = 0
        self.merged: int = 0
        """The number of events that were merged or dropped because the queue was full."""
        self.receivers: dict[int, tuple[str, str, float]] = {}
        """The receivers that run now, by thread identifier: name, signal, and when it began (monotonic)."""
        self.spent: dict[str, float] = {}
        """The seconds of each receiver since the queue was last empty."""

    def start(self) -> None:
        """Let the tasks run; RuntimeError if there is no thread for them, which may then be tried again."""
        with self._lock:
            self._stopping = False
            self._room.notify_all()  # a thread in join() waits no longer, as the tasks go on
            self.workers.start(self, len(self._at_work))
            for moment, *_ in self._timers:  # of queues that have waited since before the end
                self.workers.wake_at(moment, self)
            if self._ready:
                self._take_turn()

    def stop(self) -> None:
        """Run no more tasks once all queues are empty, or wait for a repetition."""
        with self._lock:
            self._cancel_timers(lambda due: isinstance(due, Task))
            # Before it stops, so that the tasks behind those that are left still run.
            left = [task for key in tuple(self._waiting) for task in self._leave(key)]
            self._stopping = True
            self._room.notify_all()
            self.workers.stop(self, len(self._at_work))
        for leave in left:
            leave()

    def forget_user(self) -> int:
        """Remove the tasks that are for one user; return how many of them are kept nowhere else.

        A task of the user that runs now runs to its end, and not again.
        """
        gone: list[_Queued] = []
        with self._lock:
            ready = set(self._ready)
            self._outdated |= self._queues.keys() - ready - self._waiting
            for queue_key in tuple(self._queues):
                gone += self._remove(queue_key, lambda task: task.is_users)
            for queue_key in ready:
                if not self._queues[queue_key]:
                    self._ready.remove(queue_key)
                    self._forget_empty(queue_key)
            self._room.notify_all()
        for task in gone:
            if task.leave is not None:
                task.leave()
        return sum(task.leave is None for task in gone)

    def join(self, deadline: Deadline) -> bool:
        """Wait until no worker but the calling one has a task; return whether that is so.

        Workers without a task that no other dispatcher needs have then ended. It returns False at the
        deadline, and when ``start()`` is called during the wait.
        """
        with self._lock:
            self._room.wait_for(
                lambda: not self.is_working or not self._stopping, deadline.remaining()
            )
            if self.is_working:
                return False
        return self.workers.join(deadline) and self._stopping

    @property
    def is_working(self) -> bool:
        """Whether workers apart from the calling thread have tasks, or may get some."""
        with self._lock:
            own = threading.get_ident() in self._at_work
            if len(self._at_work) > own:
                return True
            may_begin = (not self._stopping or self._has_turn) and self.most > own
            return may_begin and self.workers.has_others

    def is_worker(self) -> bool:
        """Whether the calling thread is a worker that this dispatcher may need."""
        if self.workers.are_counted:
            return self.workers.includes_caller
        return threading.get_ident() in self._at_work

    @contextmanager
    def awaiting_event(self, is_waiting: Callable[[], bool]) -> Generator[None]:
        """Let ``wait_for_room`` return at once while ``is_waiting()``: while the caller lacks an event.

        If the caller is a receiver, the queue may stay full until it returns. A producer that waited for
        room would never queue the event for which the receiver waits.
        """
        if not self.is_worker():
            yield
            return
        with self._lock:
            self._event_waiters.append(is_waiting)
            self._room.notify_all()
        try:
            yield
        finally:
            with self._lock:
                self._event_waiters.remove(is_waiting)

    def wait_for_room(self) -> None:
        """Block until the queue is at most half full.

        Used by producers that are faster than receivers, such as history replay. It returns at once after
        ``stop()``, and while a receiver waits for an event, which the caller may be about to queue.
        """
        with self._lock:
            self._room.wait_for(
                lambda: (
                    self._stopping or self._is_half_empty() or any(f() for f in self._event_waiters)
                )
            )

    def wait_until_idle(self, timeout: float | None) -> bool:
        """Wait at most ``timeout`` seconds until all tasks so far are done; return whether they are."""
        with self._lock:
            return self._room.wait_for(lambda: not self._queues, timeout)

    def put(self, task: Task, *, bounded: bool = True, counts: bool | None = None) -> bool:
        """Queue a task; return False if the queue is full and the task is neither unbounded nor mergeable.

        ``counts`` says whether the task counts towards the bounds. By default (None) unbounded tasks do not,
        so they cannot crowd out bounded ones.
        """
        with self._lock:
            if bounded and not self._has_room(task.size):
                self._was_full = True
                if task.merge_key is None:
                    return False
                self._merge(task)
                return True
            queue = self._queues.get(task.queue_key)
            if queue is None:
                queue = self._queues[task.queue_key] = deque()
                self._ready.append(task.queue_key)
                self._take_turn()
            queue.append(task)
            if task.merge_key is not None:
                self._mergeable[task.merge_key] = task
            task.counts = bounded if counts is None else counts
            if task.counts:
                self._add(1, task.size)
            if task.since is not None:
                self.events += 1
                self.event_bytes += task.size
            return True

    def put_all(self, deliveries: Sequence[Delivery], since: float) -> int:
        """Queue deliveries, as ``put`` would one after the other, but without a task for each.

        They have a sequence, no merge key and no place in a store, and are for the current user.

        Returns:
            How many were queued; the next one found no room, and the others were not tried.
        """
        limits, queues, ready, workers = self._limits, self._queues, self._ready, self.workers
        most, most_bytes = limits.queued_events, limits.queued_bytes
        is_shared, count = self._is_shared, 0
        with self._lock:
            for delivery in deliveries:
                size = delivery.size
                if (
                    is_shared or self.queued >= most or self.queued_bytes + size > most_bytes
                ) and not self._has_room(size):
                    self._was_full = True
                    break
                key = delivery.conversation
                queue = queues.get(key)
                if queue is None:
                    queue = queues[key] = deque()
                    ready.append(key)
                delivery.since = since
                queue.append(delivery)
                count += 1
                self.queued += 1
                self.queued_bytes += size
                self.event_bytes += size
                if is_shared:
                    workers.queued_bytes += size
            self.events += count
            if ready:
                self._take_turn()
        return count

    def _merge(self, task: Task) -> None:
        """Let a task take the place of the queued one of its merge key, or drop it."""
        self.merged += 1
        # Only tasks are there: a delivery that may be merged has one.
        queued = self._mergeable.get(task.merge_key)
        if queued is not None and self._can_replace(queued, task.size):
            if queued.counts:
                self._add(0, task.size - queued.size)
            self.event_bytes += task.size - queued.size if queued.since is not None else 0
            queued.run, queued.size = task.run, task.size

    def warn(self, error: Exception) -> None:
        """Let a worker log an error: a log handler is user code, and the caller may hold a lock."""
        self.put(Task(lambda: logger.warning("%s: %s", self._name, error), "log"), bounded=False)

    def put_later(self, seconds: float, task: Task) -> None:
        """Queue an unbounded task after so many seconds, unless the workers are to end before.

        It takes the place of an earlier one of the same ``queue_key``.
        """
        with self._lock:
            self._cancel_timers(
                lambda due: isinstance(due, Task) and due.queue_key == task.queue_key
            )
            if not self._stopping:
                self._set_timer(seconds, task)

    def is_overlong(self, queue_key: Hashable, most: int, most_bytes: int) -> bool:
        """Whether the first task of a queue is to run again, and its later tasks are to stay elsewhere.

        That is so if it has so many tasks, or bytes, already, or if all queues are more than half full.
        """
        if queue_key not in self._repeating:
            return False  # as nearly always, without the lock
        with self._lock:
            if queue_key not in self._repeating:
                return False
            if not self._is_half_empty():
                return True
            tasks = self._queues[queue_key]
            return len(tasks) >= most or sum(task.size for task in tasks) >= most_bytes

    def take_stored(self, queue_key: Hashable) -> list[_Queued]:
        """Take the stored tasks behind the first one out of a queue that waits, and return them."""
        with self._lock:
            if queue_key not in self._repeating:
                return []
            first = self._queues[queue_key][0] if queue_key in self._waiting else None
            taken = self._remove(
                queue_key, lambda task: task.stored is not None and task is not first
            )
            self._room.notify_all()
            return taken

    @property
    def abandoned(self) -> int:
        """The number of queued tasks that count towards the bounds and are in no file."""
        with self._lock:
            queues = self._queues.values()
            return sum(task.counts and task.stored is None for queue in queues for task in queue)

    def room_to_half(self) -> int:
        """Return how many tasks may be queued until the queues are half full."""
        with self._lock:
            return max(0, self._limits.queued_events // 2 - self.queued)

    def slowest_receiver(self) -> str | None:
        """Return the name of the receiver that has been running for the longest time, or None."""
        running = sorted(self.receivers.values(), key=lambda entry: entry[2])
        return running[0][0] if running else None

    def slowest_of_late(self) -> str | None:
        """Return the name of the receiver that took the most time since the queue was last empty, or None."""
        spent = dict(self.spent)
        return max(spent, key=spent.__getitem__, default=None)

    def running_receivers(self) -> tuple[str, ...]:
        """Return the names of the receivers that run now, on all workers."""
        return tuple(name for name, *_ in list(self.receivers.values()))

    def running(self, now: float) -> tuple[RunningReceiver, ...]:
        """Return the receivers that run now, on all workers."""
        return tuple(
            RunningReceiver(name=name, signal=signal, seconds=max(0.0, now - began))
            for name, signal, began in list(self.receivers.values())
        )

    def oldest_waits(self, now: float) -> float:
        """Return the seconds since the oldest queued event was queued; 0 if there is none."""
        with self._lock:
            # The first event of each queue is its oldest one, also after it was put back.
            firsts = (
                next((task.since for task in queue if task.since is not None), now)
                for queue in self._queues.values()
            )
            return max(0.0, now - min(firsts, default=now))

    def receiver_began(self, name: str, signal: str) -> tuple[str, str, float] | None:
        """Note that the calling thread runs a receiver; return the one inside which it does, or None."""
        running, ident = self.receivers, threading.get_ident()
        outer = running.get(ident)
        running[ident] = (name, signal, time.monotonic())
        return outer

    def receiver_ended(self, outer: tuple[str, str, float] | None) -> None:
        """Note that the receiver of the calling thread has returned, and that ``outer`` goes on."""
        running, ident = self.receivers, threading.get_ident()
        ended = running.pop(ident, None)  # None in a child that the receiver has forked
        if outer is not None:
            running[ident] = outer
        if ended is not None:
            name, _, began = ended
            self.spent[name] = self.spent.get(name, 0.0) + time.monotonic() - began

    def _has_room(self, size: int) -> bool:
        if not self.queued:
            return True
        limits, workers, size_then = self._limits, self.workers, self.queued_bytes + size
        if self.queued >= limits.queued_events or size_then > limits.queued_bytes:
            return False
        shared = workers.shared_bytes
        return (
            shared is None
            or workers.queued_bytes + size <= shared // 2
            or size_then <= workers.bytes_for_each
        )

    def _can_replace(self, queued: Task, size: int) -> bool:
        """Whether a queued task may become one of this size without carrying the queue past its bound."""
        return (
            size <= queued.size
            or self.queued_bytes + size - queued.size <= self._limits.queued_bytes
        )

    # --- for the workers ---

    def begin(self) -> None:
        """Count the calling thread among those that run tasks. The lock is held."""
        self._has_turn = False
        self._at_work.add(threading.get_ident())
        if len(self._ready) > 1:
            self._take_turn()

    def work(self) -> None:
        """Run tasks on the calling thread until there is none, or others wait for a worker.

        One step with the lock ends a task and takes the next one. So between two tasks everything is as it
        is without workers: what is counted, the order of the queues, and what ``stop`` and ``forget_user``
        find.
        """
        lock, workers, queues, ready = self._lock, self.workers, self._queues, self._ready
        key: Hashable = None
        task: _Queued | None = None
        again: object = None
        has_run = False
        while True:
            if lock is not workers.lock:
                return  # the task has forked, and this is the child, in which no thread releases the lock
            calls: Sequence[Callable[[], object]] = ()
            with lock:
                if task is not None:
                    if again is not None or self._outdated or self._repeating:
                        calls = self._settle(key, task, again)
                    elif queues[key]:
                        ready.append(key)
                    else:
                        self._forget_empty(key)
                    task, has_run = None, True
                if not calls:
                    others_wait = workers.turns or (workers.alarms and workers.has_due())
                    if not ready or (has_run and others_wait):
                        return
                    key = ready.popleft()
                    task = self._take(queues[key])
            for call in calls:
                _run(call)
            if self._was_full:
                self._tell_low_water()
            if task is not None:
                again = _RAISED
                try:
                    again = self.handle(task) if task.run is None else task.run()
                except BaseException:  # noqa: BLE001 - it is logged
                    _log_raised()

    def end(self) -> None:
        """Count the calling thread no longer among those that run tasks. The lock is held."""
        self._at_work.discard(threading.get_ident())
        if self._ready and not self._has_turn:
            self._has_turn = True
            self.workers.add_turn(self)
        self._room.notify_all()  # a thread in join() or wait_until_idle()

    def _take(self, queue: deque[_Queued]) -> _Queued:
        """Take the next task of a queue."""
        task = queue.popleft()
        if task.since is not None:
            self.events -= 1
            self.event_bytes -= task.size
        if task.counts:
            self.queued -= 1
            self.queued_bytes -= task.size
            if self._is_shared:
                self.workers.queued_bytes -= task.size
            if self._room.waiting and self._is_half_empty():
                self._room.notify_all()
        if task.merge_key is not None and self._mergeable.get(task.merge_key) is task:
            del self._mergeable[task.merge_key]
        return task

    def _settle(
        self, queue_key: Hashable, task: _Queued, again: object
    ) -> Sequence[Callable[[], object]]:
        """Let a queue go on after its task, or wait to repeat it; return what to call without the lock."""
        calls: list[Callable[[], object]] = []
        is_gone = again is _RAISED
        if queue_key in self._outdated:
            self._outdated.discard(queue_key)
            is_gone = is_gone or task.is_users
        if is_gone and task.leave is not None:
            calls.append(task.leave)
        if isinstance(again, Again) and not is_gone:
            calls += self._put_back(queue_key, task, again)
            if self._is_long(queue_key):
                calls.append(partial(self._on_long_wait, queue_key))
            return calls
        self._repeating.discard(queue_key)
        if self._queues[queue_key]:
            self._ready.append(queue_key)
        else:
            self._forget_empty(queue_key)
        return calls

    def _take_turn(self) -> None:
        """Let a worker begin a task, unless one is to do that already, or enough have one.

        Once it has stopped and no task runs, tasks wait for the next start.
        """
        if self._has_turn or len(self._at_work) >= self.most:
            return
        if not self._stopping or self._at_work:
            self._has_turn = True
            self.workers.add_turn(self)

    def _tell_low_water(self) -> None:
        """Call ``on_low_water`` if the queues were full and are half empty now."""
        with self._lock:
            is_low_water = self._was_full and self._is_half_empty()
            if is_low_water:
                self._was_full = False
        if is_low_water:
            _run(self._on_low_water)

    def _is_long(self, queue_key: Hashable) -> bool:
        """Whether a queue that waits has stored tasks behind its first one, and all are over half full."""
        if queue_key not in self._waiting or self._is_half_empty():
            return False
        return any(task.stored is not None for task in islice(self._queues[queue_key], 1, None))

    def _forget_empty(self, queue_key: Hashable) -> None:
        del self._queues[queue_key]
        if not self._queues:
            self.spent.clear()

    # --- repetitions ---

    def _put_back(
        self, queue_key: Hashable, done: _Queued, again: Again
    ) -> Sequence[Callable[[], None]]:
        """Let a queue wait, with this task as its first one; return what to call without the lock."""
        task = done
        if task.run is None:
            task = Task(again.run, queue_key, done.size, is_users=True, since=done.since)
        task.run, task.counts = again.run, done.counts and done.stored is None
        self._queues[queue_key].appendleft(task)
        self._count(task, 1)
        self._waiting.add(queue_key)
        self._repeating.add(queue_key)
        self._set_timer(again.seconds, queue_key)
        if self._stopping:
            return self._leave(queue_key)
        return ()

    def _leave(self, queue_key: Hashable) -> list[Callable[[], None]]:
        """Remove from a queue that waits the tasks that are kept elsewhere; return their ``leave``."""
        left = self._remove(queue_key, lambda task: task.leave is not None)
        return [task.leave for task in left if task.leave is not None]

    def _remove(self, queue_key: Hashable, chosen: Callable[[_Queued], bool]) -> list[_Queued]:
        """Remove tasks of a queue, and return them; a queue that waits ends if its first task is one."""
        queue = self._queues[queue_key]
        tasks = tuple(queue)
        removed = [task for task in tasks if chosen(task)]
        if not removed:
            return removed
        queue.clear()
        queue.extend(task for task in tasks if not chosen(task))
        for task in removed:
            self._count(task, -1)
            if task.merge_key is not None and self._mergeable.get(task.merge_key) is task:
                del self._mergeable[task.merge_key]
        if queue_key in self._waiting and removed[0] is tasks[0]:
            # The task that had to run again is gone, so nothing keeps the others waiting.
            self._waiting.discard(queue_key)
            self._repeating.discard(queue_key)
            self._cancel_timers(lambda due: due == queue_key)
            if queue:
                self._ready.append(queue_key)
                self._take_turn()
            else:
                self._forget_empty(queue_key)
        return removed

    def _set_timer(self, seconds: float, due: Hashable) -> None:
        moment = time.monotonic() + seconds
        heapq.heappush(self._timers, (moment, next(self._numbers), due))
        self.workers.wake_at(moment, self)

    def take_due(self) -> None:
        """Queue what has become due. The lock is held."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            *_, due = heapq.heappop(self._timers)
            if isinstance(due, Task):
                self.put(due, bounded=False)
            else:
                self._waiting.discard(due)
                self._ready.append(due)
                self._take_turn()

    def _cancel_timers(self, chosen: Callable[[Hashable], bool]) -> None:
        self._timers = [entry for entry in self._timers if not chosen(entry[2])]
        heapq.heapify(self._timers)

    def _count(self, task: _Queued, sign: int) -> None:
        if task.counts:
            self._add(sign, sign * task.size)
        if task.since is not None:
            self.events += sign
            self.event_bytes += sign * task.size

    def _add(self, tasks: int, size: int) -> None:
        """Count so many tasks more, with so many bytes, towards the bounds."""
        self.queued += tasks
        self.queued_bytes += size
        if self._is_shared:
            self.workers.queued_bytes += size

    def _is_half_empty(self) -> bool:
        limits, shared = self._limits, self.workers.shared_bytes
        if self.queued > limits.queued_events // 2 or self.queued_bytes > limits.queued_bytes // 2:
            return False
        return (
            shared is None
            or self.workers.queued_bytes <= shared // 4
            or self.queued_bytes <= self.workers.bytes_for_each // 2
        )


def _run(call: Callable[[], object]) -> None:
    """Call, and log the error of the call, so that the worker goes on."""
    try:
        call()
    except BaseException:  # noqa: BLE001 - it is logged
        _log_raised()


def _log_raised() -> None:
    with contextlib.suppress(Exception):  # an application's log filter may raise as well
        logger.exception("a dispatcher task raised")
