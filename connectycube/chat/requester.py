"""Makes requests to the server or a room, and waits for their answers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from .._deadline import Deadline
from ..errors import ChatTimeoutError
from .protocol.core import Core
from .protocol.iq import Answer
from .protocol.nodes import Node
from .protocol.session import Session
from .sender import Sender

__all__ = ["Ask", "Request", "Requester", "Result", "Start"]

Result = TypeVar("Result")
"""What a command returns."""

Start = Callable[[Session, object], Callable[[], None]]
"""``start(session, waiter)`` starts a request, and returns a function that cancels it."""
Ask = Callable[[Start, Deadline], "Node | None"]
Request = Callable[[str, "str | None", str, Deadline], Node]


class Connection(Protocol):
    """The driver, as far as requests need it."""

    core: Core
    sender: Sender

    def check_usable(self) -> None: ...
    def check_may_wait(self) -> None: ...
    def wait_ready(self, deadline: Deadline) -> None: ...
    def after_command(self) -> None: ...


class _Waiter:
    """A thread that waits for one answer; the link is kept open until it comes, or the wait is given up.

    Only ``get`` may be called without the mutex. So a thread that gets its answer does not need the mutex,
    which the connection thread holds at that moment.
    """

    def __init__(self, core: Core) -> None:
        self._core = core  # the same one at the end, also if the process forks during the wait
        # It wakes the thread with one lock, a Future with six. Looked up here: gevent may replace the class
        # later than this module is imported.
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._is_waiting = True
        core.hold_link(time.monotonic())

    def put(self, answer: Answer) -> None:
        """Give the answer to the thread."""
        self.stop()
        self._answers.put(answer)

    def stop(self) -> None:
        """Keep the link open no longer."""
        if self._is_waiting:
            self._is_waiting = False
            self._core.release_link()

    def get(self, seconds: float | None) -> Answer | None:
        """Wait for the answer and return it; None if there was none in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None


class Requester:
    """Makes requests for all threads of one connection; ``mutex`` is that of the driver."""

    def __init__(self, driver: Connection, mutex: threading.Lock) -> None:
        self._driver = driver
        self._mutex = mutex

    def request(self, kind: str, to: str | None, payload: str, deadline: Deadline) -> Node:
        """Send an IQ once ready and return the answer's Node, or raise the answer's error."""

        def start(session: Session, waiter: object) -> Callable[[], None]:
            return partial(session.forget_request, session.request(kind, to, payload, waiter))

        answer = self.ask(start, deadline)
        assert answer is not None  # only rooms answer without a Node
        return answer

    def ask(self, start: Start, deadline: Deadline) -> Node | None:
        """Start a request of the session once ready; return the answer's Node, or raise the answer's error.

        ``start(session, waiter)`` returns a function that cancels the request. The waiter gets the answer.
        """
        driver = self._driver
        driver.check_usable()
        driver.check_may_wait()
        with self._mutex:
            core = driver.core
            waiter = _Waiter(core)
            try:
                if not (core.is_ready and core.session.has_room(0)):
                    self._wait_for_room(deadline)
                cancel = start(core.ready_session, waiter)
                driver.after_command()
            except BaseException:
                waiter.stop()
                core.session.forget_waiter(waiter)
                raise
        answer = None
        try:
            answer = waiter.get(deadline.remaining())
        finally:
            if answer is None:
                # Also after a KeyboardInterrupt: a late answer must find no waiter.
                with self._mutex:
                    cancel()
                    waiter.stop()
                answer = waiter.get(0)  # it may have come before the mutex
        if answer is None:
            raise ChatTimeoutError("the chat server did not answer the request in time")
        if answer.error is None:
            return answer.node
        try:
            raise answer.error
        finally:
            del answer  # the error holds this frame, which must not hold the error

    def _wait_for_room(self, deadline: Deadline) -> None:
        """Wait until the connection is ready and has room for a request; the mutex is held."""
        driver = self._driver
        driver.after_command()  # an attempt may have begun, as a caller waits for the link
        driver.wait_ready(deadline)
        while not driver.core.ready_session.has_room(0):
            driver.sender.wait_for_room(0, deadline)
            driver.wait_ready(deadline)
