"""One thread that makes the steps of many connections, and a bound on those that connect at once."""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from .._deadline import Deadline
from .._forks import check_fork, register_for_fork
from .._threads import start_thread
from .connection_thread import Run, Step, Steps, seconds_until
from .link import Waker

__all__ = ["Place", "SharedReader", "runs_here"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_LONGEST_WAIT = 3_600.0  # seconds; epoll takes no more than 2^31 milliseconds


class Place:
    """The place of one run of a connection in a shared reader: what wakes it, and what tells its end.

    But for ``wake`` and ``join`` it is for the reader's thread alone.
    """

    def __init__(self, reader: SharedReader, driver: Steps, run: Run) -> None:
        self._reader = reader
        self.driver = driver
        self.run = run
        self.is_woken = False
        self.connecting: Waker | None = None
        """Wakes the thread that opens the link; None without one. The reader's lock guards it."""
        self.connector: threading.Thread | None = None
        self.has_slot = False
        """Whether it counts among those that connect: from the attempt to open a link until it is ready."""
        self.descriptor = -1
        self.events = 0
        """What the selector waits for on the descriptor."""
        self.due: float | None = None
        """The earliest moment at which the reader will look at it, as far as one is set."""
        self.over: threading.Event = threading.Event()

    def wake(self) -> None:
        """Have the next step made soon; may be called from any thread, with the driver's mutex held."""
        self._reader.wake(self)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the run is over, at most ``timeout`` seconds."""
        self.over.wait(timeout)

    def is_current(self) -> bool:
        """Whether the calling thread is the one that makes the steps of this run, or opens its link."""
        return threading.current_thread() in (self._reader._thread, self.connector)

    def close(self) -> None:
        """Do nothing: the reader closes what it shares."""


def runs_here(thread: threading.Thread | Place | None) -> bool:
    """Whether the calling thread makes the steps of the connection with this thread, or place."""
    if isinstance(thread, Place):
        return thread.is_current()
    return threading.current_thread() is thread


class SharedReader:
    """Reads and writes the sockets of many connections on one thread, which runs while there are any.

    Links are opened on short-lived threads, for at most ``connecting`` connections at once. A connection
    counts from the attempt to open its link until messages flow or the attempt has failed. The others wait
    for their turn, first come first served, and the time-out of their attempt begins with it.
    """

    def __init__(self, name: str, connecting: int) -> None:
        self._name = name
        self._connecting = connecting
        self._begin()
        register_for_fork(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()  # the last one in the order of locks
        self._places: set[Place] = set()
        self._woken: deque[Place] = deque()
        self._waker: Waker | None = None
        self._selector: selectors.BaseSelector | None = None
        self._thread: threading.Thread | None = None
        # The rest is for the thread of the reader alone.
        self._waiting: dict[Place, None] = {}  # for a slot, in this order
        self._slots = self._connecting
        self._alarms: list[tuple[float, int, Place]] = []
        self._numbers = itertools.count()

    def start(self, driver: Steps, run: Run) -> Place:
        """Make the steps of a run until it is over; return its place."""
        check_fork()
        place = Place(self, driver, run)
        with self._lock:
            self._places.add(place)
            if self._waker is None:
                self._waker, self._selector = Waker(), selectors.DefaultSelector()
                self._thread = threading.Thread(
                    target=self._work,
                    args=(self._waker, self._selector),
                    name=f"{self._name}-reader",
                    daemon=True,
                )
                start_thread(self._thread)
        place.wake()
        return place

    def join(self, deadline: Deadline) -> None:
        """Wait until the thread has ended, as there are no runs; not beyond the deadline."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(deadline.remaining())

    def wake(self, place: Place) -> None:
        """Have the next step of a run made soon; any thread may call it, with any lock."""
        with self._lock:
            if place.connecting is not None:
                place.connecting.wake()
            if not place.is_woken and place in self._places:
                place.is_woken = True
                self._woken.append(place)
                if self._waker is not None:
                    self._waker.wake()

    # --- the reader's thread ---

    def _work(self, waker: Waker, selector: selectors.BaseSelector) -> None:
        try:
            selector.register(waker.fileno(), selectors.EVENT_READ)
            while self._make_steps(selector):
                timeout = _LONGEST_WAIT
                if self._alarms:
                    timeout = min(timeout, seconds_until(self._alarms[0][0]) or 0.0)
                for key, _ in selector.select(timeout):
                    if key.data is None:
                        waker.drain()
                    else:
                        self._step(key.data, key.data.driver.serve, selector)
        except BaseException as error:
            logger.exception("%s: the reader's thread failed", self._name)
            for place in self._take_all(waker):
                place.driver.give_up(place.run, error)
                self._leave(place)
        finally:
            with suppress(OSError):  # a fork inside a log handler has closed it
                selector.close()
            waker.close()

    def _make_steps(self, selector: selectors.BaseSelector) -> bool:
        """Make the steps of those that were woken, or are due; return False once there are no runs."""
        with self._lock:
            woken, self._woken = self._woken, deque()
            for place in woken:
                place.is_woken = False
        now = time.monotonic()
        while self._alarms and self._alarms[0][0] <= now:
            due, _, place = heapq.heappop(self._alarms)
            if place.due == due:
                place.due = None
                woken.append(place)
        for place in woken:
            self._step(place, place.driver.next_step, selector)
        with self._lock:
            if self._places:
                return True
            self._waker = self._selector = None  # the next run starts another thread
            return False

    def _step(
        self,
        place: Place,
        make: Callable[[Run], Step | None],
        selector: selectors.BaseSelector,
    ) -> None:
        """Make a step of a connection, and do what it says is next."""
        if place.connecting is not None or place.over.is_set():
            return  # the thread that connects wakes this one when it has finished
        try:
            step = make(place.run)
            if step is not None:
                self._follow(place, step, selector)
                return
        except BaseException as error:  # noqa: BLE001 - the driver logs it
            place.driver.give_up(place.run, error)
        self._unregister(place, selector)
        self._release_slot(place)
        self._leave(place)

    def _follow(self, place: Place, step: Step, selector: selectors.BaseSelector) -> None:
        """Connect, or wait for what the step waits for."""
        deadline = step.deadline
        link = place.run.link
        if link is None:
            self._unregister(place, selector)
        else:
            self._register(place, link.sock.fileno(), step.events, selector)
        if step.connects:
            if self._takes_slot(place):
                self._start_connecting(place)
                return
            deadline = place.driver.wait_for_turn(place.run)
        elif step.is_ready or link is None:
            self._release_slot(place)
        if deadline is not None and (place.due is None or deadline < place.due):
            place.due = deadline
            heapq.heappush(self._alarms, (deadline, next(self._numbers), place))

    def _register(
        self, place: Place, descriptor: int, events: int, selector: selectors.BaseSelector
    ) -> None:
        if place.descriptor != descriptor:
            self._unregister(place, selector)
            selector.register(descriptor, events, place)
        elif place.events != events:
            selector.modify(descriptor, events, place)
        place.descriptor, place.events = descriptor, events

    def _unregister(self, place: Place, selector: selectors.BaseSelector) -> None:
        if place.descriptor != -1:
            # Right after the step that closed the socket, so no other socket of ours is registered with this
            # number yet.
            selector.unregister(place.descriptor)
            place.descriptor = -1

    def _leave(self, place: Place) -> None:
        try:
            place.driver.leave(place.run, place)
        finally:
            with self._lock:
                self._places.discard(place)
            place.over.set()

    def _take_all(self, waker: Waker) -> list[Place]:
        """Return all runs, so that runs which begin later get another thread."""
        with self._lock:
            places, self._places = list(self._places), set()
            if self._waker is waker:
                self._waker = self._selector = None
        self._woken.clear()
        self._waiting.clear()
        self._alarms.clear()
        self._slots = self._connecting
        return places

    # --- the bound on those that connect ---

    def _takes_slot(self, place: Place) -> bool:
        """Whether it may connect now; if not, it gets its turn later."""
        if not place.has_slot:
            if not self._slots:
                self._waiting[place] = None
                return False
            self._slots -= 1
            place.has_slot = True
        return True

    def _release_slot(self, place: Place) -> None:
        """Let the next run connect, if this one does not connect any more."""
        self._waiting.pop(place, None)
        if not place.has_slot:
            return
        place.has_slot = False
        self._slots += 1
        if self._waiting:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._slots -= 1
            following.has_slot = True
            following.wake()

    def _start_connecting(self, place: Place) -> None:
        place.connecting = waker = Waker()
        try:
            place.connector = threading.Thread(
                target=self._connect,
                args=(place, waker),
                name=f"{place.driver.name}-connect",
                daemon=True,
            )
            start_thread(place.connector)
        except RuntimeError:  # the process has too many
            place.connecting = None
            waker.close()
            raise

    def _connect(self, place: Place, waker: Waker) -> None:
        try:
            place.driver.connect(place.run, waker)
        except BaseException as error:  # noqa: BLE001 - the driver logs it
            place.driver.give_up(place.run, error)
        finally:
            with self._lock:
                place.connecting = None
                waker.close()
            place.wake()

    # --- forks ---

    def _after_fork_in_child(self) -> None:
        if self._selector is not None:
            with suppress(OSError):
                self._selector.close()  # without unregistering: the parent's sockets stay in its own
        if self._waker is not None:
            self._waker.close()
        self._begin()
