"""One attempt to log in, for which any number of threads wait."""

from __future__ import annotations

import _thread
import threading
from contextlib import suppress

from ..errors import NotConnectedError
from ..models import ChatState, StateChange
from .protocol.states import READY_STATES

__all__ = ["LoginAttempt"]


class LoginAttempt:
    """The outcome of a login, once there is one.

    A thread that waits holds no lock, as it would inside a ``Future``: a signal handler that raises amid the
    wait leaves none held.
    """

    def __init__(self) -> None:
        self.is_over: bool = False
        self._failure: BaseException | None = None
        self._gates: list[_thread.LockType] = []  # one for each thread that waits

    def follow(self, change: StateChange) -> bool:
        """Note a change of the chat's state; return whether the attempt is over now."""
        if change.state in READY_STATES:
            self._end(None)
        elif change.state is ChatState.CLOSED:
            self.fail(change.reason or NotConnectedError("logged out during the login"))
        return self.is_over

    def fail(self, failure: BaseException) -> None:
        """Raise an error in the threads that wait, unless it is over; the driver's mutex is held."""
        if not self.is_over:
            self._end(failure)

    def _end(self, failure: BaseException | None) -> None:
        self._failure = failure
        # Before the gates are opened: a thread that adds its gate later looks at this after it.
        self.is_over = True
        while self._gates:
            self._gates.pop().release()

    def wait(self, seconds: float | None) -> None:
        """Wait until it is over, but not for longer than so many seconds."""
        gate = _thread.allocate_lock()
        gate.acquire()
        self._gates.append(gate)
        try:
            if not self.is_over:
                gate.acquire(timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))
        finally:
            # A reconnection may take days, and many calls wait for it, each for a while.
            with suppress(ValueError):  # it is gone if the attempt is over
                self._gates.remove(gate)

    def check(self) -> None:
        """Raise the error that it failed with, if it did."""
        if self._failure is not None:
            raise self._failure
