"""Puts what callers send into the outbound buffer, and waits for room in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from .._deadline import Deadline
from ..config import Timeouts
from ..errors import ConnectyCubeError, SendQueueFullError
from .cursor_mode import CursorMode
from .durable.mode import Durability
from .ids import new_id
from .lease.exclusive import Exclusive
from .observed_mutex import ObservedMutex
from .protocol.core import Core
from .protocol.outbox import Submission
from .protocol.session import Session
from .send_handle import AnyHandle, SendHandle

__all__ = ["Sender"]

Sent = TypeVar("Sent")

_MOST_LEFT = 8_192  # bytes that a thread leaves for the next one to write


class Connection(Protocol):
    """The driver, as far as sending needs it."""

    exclusive: Exclusive
    notes: ObservedMutex | None
    new_handle: Callable[[str, Any], AnyHandle]

    @property
    def timeouts(self) -> Timeouts: ...
    def check_usable(self) -> None: ...
    def holding_link(self) -> AbstractContextManager[None]: ...
    def after_command(self) -> None: ...
    def after_submit(self, *, is_due_sooner: bool) -> None: ...
    def cut_off(self) -> None: ...
    def wake(self) -> None: ...


class Sender:
    """Sends for all threads of one connection.

    ``mutex`` and ``changed`` are those of the driver, ``receiving`` the threads that run a receiver of this
    connection, and ``unsettled`` the handles without an outcome.
    """

    def __init__(
        self,
        driver: Connection,
        mutex: threading.Lock,
        changed: threading.Condition,
        core: Core,
        durability: Durability | CursorMode,
        receiving: Mapping[int, object],
        unsettled: set[AnyHandle],
    ) -> None:
        self._driver = driver
        self._mutex = mutex
        self._changed = changed
        self._core = core
        self._durability = durability
        # A file is asked with the mutex held.
        self._finds_stored = isinstance(durability, CursorMode)
        self._unsettled = unsettled
        self._receiving = receiving
        # The message of each thread that waits for the mutex to send it. The thread before it leaves its
        # bytes to it: one write, and one record of TLS, takes the messages of all threads that came together.
        self._arriving: set[Submission] = set()
        # Whether a message whose bytes were left needs an earlier wake-up of the connection thread.
        self._is_due_sooner = False
        self.waiting: int = 0
        """The number of threads that wait for room."""

    def message_id(self, recipient: str) -> str:
        """Return the id for a new message to a bare JID."""
        # What the receiver of a thread does is asked if there is one on any thread: to ask takes long.
        return self._durability.message_id(recipient) if self._receiving else new_id()

    def submit(
        self, submission: Submission, content: Sent, data: bytes, deadline: Deadline
    ) -> SendHandle[Sent]:
        """Send a message through the outbound buffer and return its handle; wait for room until the deadline.

        In durable mode, and with a cursor store, the result is the earlier handle if a message with this id
        was sent before.
        """
        self._driver.check_usable()
        submission.waiter = self._driver.new_handle(submission.id, content)
        if self._finds_stored and (stored := self._durability.find_stored(submission)) is not None:
            return stored
        while (handle := self._submit_if_room(submission, data)) is None:
            with self._driver.holding_link(), self._mutex:
                self.wait_for_room(len(data), deadline)
        if handle is not submission.waiter:
            self._durability.running.warn_if_other(submission, handle)
        return handle

    def send_later(self, action: Callable[[Session, float], None]) -> None:
        """Call ``action(session, now)``, which sends a stanza without an outcome, once there is room."""
        self._driver.check_usable()
        deadline = Deadline(self._driver.timeouts.send)
        while not self._send_if_room(action):
            with self._driver.holding_link(), self._mutex:
                self.wait_for_room(0, deadline)

    def _send_if_room(self, action: Callable[[Session, float], None]) -> bool:
        with self._mutex:
            if self._driver.exclusive.hold is not None:
                self._check_lease()
            session = self._core.open_session
            if not session.has_room(0):
                return False
            try:
                action(session, time.monotonic())
                self._driver.after_command()
            except ConnectyCubeError:
                raise
            except BaseException:
                self._driver.cut_off()
                raise
            return True

    def wait_for_room(self, size: int, deadline: Deadline) -> None:
        """Wait until so many bytes have room, or raise SendQueueFullError; the mutex is held."""
        assert self._mutex.locked()
        if deadline.expired:
            raise SendQueueFullError(
                f"the outbound buffer had no room in time: {self._core.session.why_full()}"
            )
        # No acknowledgement may be asked for yet: only messages ask for it, and the buffer may hold others.
        self._core.session.ask_if_needed(time.monotonic())
        self._driver.after_command()
        self.waiting += 1
        try:
            self._changed.wait_for(
                lambda: self._core.session.has_room(size) or not self._core.is_open,
                deadline.remaining(),
            )
        finally:
            self.waiting -= 1

    def _submit_if_room(self, submission: Submission, data: bytes) -> AnyHandle | None:
        """Submit a message; return the handle of the message with this id, or None if there is no room."""
        handle = None
        try:
            self._arriving.add(submission)
            with self._mutex:
                self._arriving.discard(submission)
                handle = self._put(submission, data)
            return handle
        finally:
            if handle is not submission.waiter:
                # The message was sent before, has no room or was refused, or a signal's handler has raised at
                # any step. No thread may wait for this one now, and the connection thread writes what others
                # have left.
                self._arriving.discard(submission)
                self._driver.wake()

    def _put(self, submission: Submission, data: bytes) -> AnyHandle | None:
        """Put a message into the outbound buffer, and write it unless the next thread does."""
        assert self._mutex.locked()
        if self._driver.exclusive.hold is not None:
            self._check_lease()
        session = self._core.open_session
        # Whether a message with this id may have been sent before.
        may_be_known = self._receiving or self._durability.has_file
        if may_be_known and (known := self._durability.known(submission)) is not None:
            return known
        if len(data) > session.most_bytes:
            raise session.too_large("message", len(data))
        if not session.has_room(len(data)):
            return None
        try:
            # The store first: a message that the server may get must survive this process.
            if may_be_known:
                self._durability.accept(submission, data)
            if session.submit(submission, data, time.monotonic()):
                self._is_due_sooner = True
            handle: AnyHandle = submission.waiter
            self._unsettled.add(handle)
            if self._driver.notes is not None:
                self._driver.notes.note("message_submitted", handle)
            if not self._arriving or len(session.outgoing) > _MOST_LEFT:
                is_due_sooner, self._is_due_sooner = self._is_due_sooner, False
                self._driver.after_submit(is_due_sooner=is_due_sooner)
        except ConnectyCubeError:
            raise
        except BaseException:
            self._driver.cut_off()
            raise
        return handle

    def _check_lease(self) -> None:
        """Raise LeaseLostError if the lease was lost during the wait for room, or for the mutex."""
        loss = self._driver.exclusive.loss(self._durability.running.hold)
        if loss is not None:
            raise loss
