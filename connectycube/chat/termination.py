"""Scripts that wait for the end of their connection, and the signals that ask for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterable
from contextlib import closing
from types import FrameType, TracebackType
from typing import Any

from .. import checks
from ..deadline import Deadline
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import Abandoned
from .ending import Ending, report
from .link import Waker, wait_for

__all__ = ["check_signals", "wait_until_closed"]

_NOBODY_HANDLES = {
    getattr(signal, name) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name)
}


class _Signals:
    """Handles signals as long as a ``with`` statement runs; afterwards those who did before do again.

    The handler takes no lock, as it may interrupt whoever holds it: it notes the signal. What wakes the
    main thread is the interpreter, which writes a byte for every signal, also one that others handle:
    whichever thread the system interrupted, and be it a moment before this one begins to wait.
    """

    def __init__(self, numbers: Collection[int], waker: Waker) -> None:
        self._numbers = numbers
        self._waker = waker
        self._previous: dict[int, Any] = {}
        self._previous_descriptor: int | None = None
        self.received: list[int] = []

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        self._waker.wake()

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            self._previous_descriptor = signal.set_wakeup_fd(
                self._waker.writer_fileno(), warn_on_full_buffer=False
            )
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
            # None stands for a handler that was not installed by Python, and cannot be by us.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._previous_descriptor is not None:
            signal.set_wakeup_fd(self._previous_descriptor)


def check_signals(signals: Iterable[int]) -> tuple[int, ...]:
    """Return the numbers of signals that this thread can handle, each once, or raise."""
    if isinstance(signals, (int, str)) or not isinstance(signals, Iterable):
        raise ArgumentTypeError(
            f"signals must be several, such as (signal.SIGTERM,), not {type(signals).__name__}"
        )
    numbers = tuple(dict.fromkeys(checks.check_int("signals", number) for number in signals))
    for number in numbers:
        if number not in signal.valid_signals() or number in _NOBODY_HANDLES:
            raise ArgumentValueError(f"signals holds {number!r}, which no program can handle")
    if numbers and threading.current_thread() is not threading.main_thread():
        raise ArgumentValueError("signals can be handled in the main thread only")
    return numbers


def wait_until_closed(driver: Ending, signals: Collection[int]) -> Exception | None:
    """Wait until the connection is closed for good and return why, or until a signal asks to log out.

    Then it is logged out, until its time is over or another signal comes, and None returned.
    """
    with (
        closing(Waker()) as waker,
        driver.close_waiters.waited_for(waker) as wait,
        _Signals(signals, waker) as asked,
    ):
        if driver.is_closed:
            wait.end(driver.core.closed_reason)
        while not wait.is_over and not asked.received:
            wait_for(None, waker, None, read=False, write=False)
        if asked.received:
            _log_out(driver, waker, asked)
            return None
    return wait.reason


def _log_out(driver: Ending, waker: Waker, asked: _Signals) -> None:
    results: list[Abandoned] = []

    def log_out() -> None:
        results.append(driver.logout(Deadline(driver.timeouts.logout)))
        waker.wake()

    # On a thread of its own, so that the second signal finds this one waiting for it.
    threading.Thread(target=log_out, name=f"{driver.name}-logout", daemon=True).start()
    while not results and len(asked.received) < 2:
        wait_for(None, waker, None, read=False, write=False)
    report(driver, results[0] if results else driver.abort())
