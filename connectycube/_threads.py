"""Steps that a signal does not interrupt, the start of a thread above all.

A signal handler that raises, as that of Ctrl-C does, interrupts the main thread between any two of its
instructions. In ``Thread.start`` this can leave the lock held under which the new thread says that it has
started, or the lock under which ``threading`` lists all threads: the first thread would never run, and then
no thread of the process could start or end. Python runs signal handlers in the main thread alone, so another
thread takes such steps for it.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

__all__ = ["start_thread", "uninterrupted"]


def uninterrupted(*steps: Callable[[], object]) -> None:
    """Call functions one after the other; an error of a signal handler is raised after them.

    In a process that can have no more threads, as at its exit, they can be interrupted. The steps must not
    ask for ``threading.current_thread()``: Python before 3.12 would list a thread that ``threading`` did not
    start for as long as the process lives.
    """

    def take() -> None:
        for step in steps:
            step()

    if not _can_be_interrupted():
        take()
        return
    _in_thread(take)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; an error of a signal handler is raised once it has started.

    Raises:
        RuntimeError: The process can have no more threads.
    """
    if not _can_be_interrupted():
        thread.start()
        return
    _in_thread(thread.start)


def _can_be_interrupted() -> bool:
    return threading.get_ident() == threading.main_thread().ident


def _in_thread(call: Callable[[], object]) -> None:
    """Have another thread make the call, and wait for its end."""
    elsewhere, interrupt = _Elsewhere(call), None
    try:
        # Not with ``threading``, which needs several steps and a lock for the start of a thread.
        _thread.start_new_thread(elsewhere.run, ())
    except BaseException as error:
        if elsewhere.is_decided_here():
            if isinstance(error, RuntimeError):
                call()  # there is no other thread
                return
            raise
        interrupt = error
    try:
        elsewhere.finish(interrupt)
    finally:
        del interrupt  # as in ``finish``


class _Elsewhere:
    """A call that another thread makes, or nobody."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._undecided = [True]  # the thread that pops it decides whether the call is made
        self._outcome: list[BaseException | None] = []
        self._gate = _thread.allocate_lock()
        self._gate.acquire()

    def is_decided_here(self) -> bool:
        """Whether this thread decides about the call: no other one has begun it, and none will."""
        try:
            return self._undecided.pop()
        except IndexError:
            return False

    def run(self) -> None:
        """Make the call, in the other thread."""
        if not self.is_decided_here():
            return
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller
            self._outcome.append(error)
        else:
            self._outcome.append(None)
        self._gate.release()

    def finish(self, interrupt: BaseException | None) -> None:
        """Wait until the call is made; raise what it or a signal handler has raised."""
        while not self._outcome:
            try:
                self._gate.acquire()
            except BaseException as error:  # noqa: BLE001 - it is raised below
                interrupt = error
        failure = self._outcome[0] or interrupt
        try:
            if failure is not None:
                raise failure
        finally:
            # The error holds this frame, which must not hold the error.
            self._outcome.clear()
            del failure, interrupt
