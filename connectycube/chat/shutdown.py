"""How a connection ends within its bound: by logout, at the exit of the interpreter, by a signal."""

from __future__ import annotations

import atexit
import logging
import signal
import threading
import weakref
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing, contextmanager
from types import FrameType, TracebackType
from typing import Any, Protocol

from .._checks import check_int
from .._deadline import Deadline
from .._forks import check_fork
from .._threads import start_thread
from ..config import Timeouts
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    NotConnectedError,
)
from ..models import Abandoned, ChatState
from .dispatcher import Dispatcher
from .link import Waker
from .protocol.core import Core

__all__ = [
    "CloseWaiters",
    "caused_by_exit",
    "check_signals",
    "check_stop",
    "end_at_exit",
    "exit_has_begun",
    "left_undone",
    "report",
    "wait_for_end",
    "wait_until_closed",
]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_STOP_INTERVAL = 0.1  # seconds between two looks at the event that ends a wait
_UNHANDLED = {getattr(signal, name) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name)}


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
    """The threads that wait for the connection to be closed for good.

    Each waits for a socket and not for a lock: an exception of a signal handler, such as KeyboardInterrupt,
    may end the wait at any moment, and would leave a lock in the wrong state.
    """

    def __init__(self) -> None:
        self._waits: set[_Wait] = set()

    def tell(self, reason: Exception | None) -> None:
        """End all waits: the connection is closed for ``reason``, None after a logout."""
        for wait in tuple(self._waits):
            wait.end(reason)

    @contextmanager
    def waited_for(self, waker: Waker) -> Generator[_Wait]:
        """Have the waker woken when the connection is closed."""
        wait = _Wait(waker)
        self._waits.add(wait)
        try:
            yield wait
        finally:
            self._waits.discard(wait)


class Waitable(Protocol):
    """Something whose end a thread can wait for: a driver, or a fleet; each method is for any thread."""

    dispatcher: Dispatcher
    close_waiters: CloseWaiters

    @property
    def name(self) -> str: ...
    @property
    def timeouts(self) -> Timeouts: ...
    @property
    def is_closed(self) -> bool: ...
    def logout(self, deadline: Deadline) -> Abandoned: ...
    def abort(self) -> Abandoned: ...


class Endable(Waitable, Protocol):
    """The driver of a connection, as far as its end needs it; every method may be called from any thread."""

    core: Core

    @property
    def is_over(self) -> bool: ...
    def check_usable(self) -> None: ...
    def check_may_wait(self) -> None: ...
    def begin_logout(self, deadline: Deadline) -> Callable[[], Abandoned]: ...


def left_undone(
    dispatcher: Dispatcher, messages: tuple[int, int], stays: bool, unsaved: int = 0
) -> Abandoned:
    """Return the counts of what a connection leaves undone; its workers go on unless it ``stays`` closed.

    ``messages`` are the numbers of unsent and of unacknowledged ones.
    """
    queued = running = 0
    if stays and not dispatcher.is_worker():
        queued, running = dispatcher.abandoned, len(dispatcher.running_receivers())
    unsent, unacknowledged = messages
    return Abandoned(
        queued=queued,
        running=running,
        unsent=unsent,
        unacknowledged=unacknowledged,
        unsaved=unsaved,
    )


def report(driver: Waitable, abandoned: Abandoned) -> None:
    """Log the messages and events that a connection abandoned, if there are any."""
    if abandoned:
        running = driver.dispatcher.running_receivers() if abandoned.running else ()
        now = f" (now running: {', '.join(running)})" if running else ""
        logger.warning("%s: abandoned: %s%s", driver.name, abandoned, now)


# --- the exit of the interpreter ---

_connections: weakref.WeakSet[Endable] = weakref.WeakSet()
_begun = False


def end_at_exit(connection: Endable) -> None:
    """Have ``connection`` ended when the interpreter exits, if it lives until then."""
    _connections.add(connection)


def exit_has_begun() -> bool:
    """Whether the interpreter exits: connections are ended, and no new ones are made."""
    return _begun


def caused_by_exit(error: BaseException) -> bool:
    """Whether a callback raised this only because the exit of the interpreter ended its connection."""
    return _begun and isinstance(error, NotConnectedError)


def _at_exit() -> None:
    """End all of them together within the shortest of their time-outs."""
    global _begun  # noqa: PLW0603 - there is one interpreter
    _begun = True
    check_fork()
    unfinished = [connection for connection in list(_connections) if not connection.is_over]
    if not unfinished:
        return
    deadline = Deadline(min(connection.timeouts.exit for connection in unfinished))
    # Every logout begins before the first wait: else a slow receiver of the first takes the others' time.
    ends = [(connection, connection.begin_logout(deadline)) for connection in unfinished]
    for connection, wait in ends:
        report(connection, wait())


atexit.register(_at_exit)


# --- signals ---


class _Signals:
    """Handles signals as long as a ``with`` statement runs; the previous handlers are restored afterwards.

    The handler only notes the signal. It takes no lock, because it may interrupt the thread that holds the
    lock.
    """

    def __init__(self, numbers: Collection[int], waker: Waker) -> None:
        self._numbers = numbers
        self._waker = waker
        self._previous: dict[int, Any] = {}
        self.received: list[int] = []

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        self._waker.wake()

    def __enter__(self) -> _Signals:
        for number in self._numbers:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            # None stands for a handler of a C library, which Python cannot install again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def check_signals(signals: Iterable[int]) -> tuple[int, ...]:
    """Return the numbers of signals that this thread can handle, each once, or raise."""
    if isinstance(signals, (int, str)) or not isinstance(signals, Iterable):
        raise ArgumentTypeError(
            f"signals must be several, such as (signal.SIGTERM,), not {type(signals).__name__}"
        )
    numbers = tuple(dict.fromkeys(check_int("signals", number) for number in signals))
    for number in numbers:
        if number not in signal.valid_signals() or number in _UNHANDLED:
            raise ArgumentValueError(f"signals holds {number!r}, which no program can handle")
    if numbers and threading.current_thread() is not threading.main_thread():
        raise ArgumentValueError("signals can be handled in the main thread only")
    return numbers


def check_stop(stop: object) -> threading.Event | None:
    """Return the event that ends a wait, or None; raise if it is something else."""
    if isinstance(stop, type):
        raise ArgumentTypeError(
            f"stop must be a threading.Event, not the class {stop.__name__}: call it, {stop.__name__}()"
        )
    if stop is None or (
        callable(getattr(stop, "is_set", None)) and callable(getattr(stop, "wait", None))
    ):
        return stop  # type: ignore[return-value]
    raise ArgumentTypeError(f"stop must be a threading.Event, not {type(stop).__name__}")


def wait_until_closed(
    driver: Endable, signals: Collection[int], stop: threading.Event | None
) -> None:
    """Wait until the connection is closed for good, and raise why; or until it is asked to log out.

    A signal, or ``stop``, logs the connection out, within its time-out or until the next signal. Raises
    CallbackContextError on a worker, and NotConnectedError if there was no login.
    """
    if driver.dispatcher.is_worker():
        raise CallbackContextError("chat.wait() would wait for the callback it was called in")
    driver.check_may_wait()
    driver.check_usable()
    if driver.core.state is ChatState.IDLE:
        raise driver.core.not_connected_error()
    wait_for_end(driver, lambda: driver.core.closed_reason, signals, stop)


def wait_for_end(
    driver: Waitable,
    reason: Callable[[], Exception | None],
    signals: Collection[int],
    stop: threading.Event | None,
) -> None:
    """Do what :func:`wait_until_closed` does, without its checks; ``reason()`` is why it is closed."""
    with (
        closing(Waker()) as waker,
        driver.close_waiters.waited_for(waker) as wait,
        waker.woken_by_signals(),
        _Signals(signals, waker) as asked,
    ):
        if driver.is_closed:
            wait.end(reason())
        # Only the threads in stop.wait() are woken when an event is set, so it is looked at now and then.
        interval = None if stop is None else _STOP_INTERVAL
        while not (wait.is_over or asked.received or (stop is not None and stop.is_set())):
            waker.wait(interval)
        if asked.received or not wait.is_over:
            _log_out(driver, waker, asked)
            return
    if wait.reason is not None:
        raise wait.reason


def _log_out(driver: Waitable, waker: Waker, asked: _Signals) -> None:
    results: list[Abandoned] = []

    def log_out() -> None:
        results.append(driver.logout(Deadline(driver.timeouts.logout)))
        waker.wake()

    # On a thread of its own, so that the next signal finds this one waiting for it.
    start_thread(threading.Thread(target=log_out, name=f"{driver.name}-logout", daemon=True))
    enough = 2 if asked.received else 1
    while not results and len(asked.received) < enough:
        waker.wait(None)
    report(driver, results[0] if results else driver.abort())
