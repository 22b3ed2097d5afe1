"""What any thread may have the connection do: send a message, ask the server, command the core."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ..config import Config
from ..deadline import Deadline
from ..errors import ChatTimeoutError, SendQueueFullError
from ..models import Message
from .durability import Durability
from .handle import SendHandle
from .handover import OutputRouter, Request
from .protocol.core import Core
from .protocol.outbox import Submission

__all__ = ["Calls"]


class Calls(ABC):
    """The half of the driver that callers use; the other half is the connection thread."""

    _config: Config
    _mutex: threading.Lock
    _changed: threading.Condition
    _router: OutputRouter
    _durability: Durability
    _waiting_senders: int
    core: Core

    @abstractmethod
    def check_usable(self) -> None:
        """Raise ForkedError in a forked child that has not logged in itself."""

    @abstractmethod
    def holding_link(self) -> AbstractContextManager[None]:
        """Around a wait for what only the link can bring."""

    @abstractmethod
    def _wait_ready(self, deadline: Deadline) -> None:
        """Wait until messages flow, with the mutex held."""

    @abstractmethod
    def _after_command(self) -> None:
        """Hand over what a command brought, with the mutex held."""

    # --- messages ---

    def message_id(self, recipient: str) -> str:
        """Return the id for a new message to a bare JID."""
        return self._durability.message_id(recipient)

    def submit(self, submission: Submission, data: bytes, deadline: Deadline) -> SendHandle[Any]:
        """Send a message through the outbound buffer and return its handle; wait for room until the deadline.

        In durable mode the handle is another's where a message with that id was sent before.
        """
        self.check_usable()
        while (handle := self._submit_if_room(submission, data)) is None:
            if deadline.expired:
                raise SendQueueFullError(
                    "the outbound buffer had no room in time: the server does not keep up"
                )
            with self.holding_link(), self._mutex:
                self._wait_for_room(len(data), deadline)
        return handle

    def _wait_for_room(self, size: int, deadline: Deadline) -> None:
        assert self._mutex.locked()
        self._waiting_senders += 1
        try:
            self._changed.wait_for(
                lambda: self.core.has_room(size) or not self.core.is_open, deadline.remaining()
            )
        finally:
            self._waiting_senders -= 1

    def _submit_if_room(self, submission: Submission, data: bytes) -> SendHandle[Any] | None:
        with self._mutex:
            self.core.check_open()
            known = self._durability.known(submission)
            if known is not None:
                return known
            if not self.core.has_room(len(data)):
                return None
            self._durability.accept(submission, data)
            self.core.submit(submission, data, time.monotonic())
            handle: SendHandle[Any] = submission.waiter
            self._router.unsettled.add(handle)
            self._after_command()
            return handle

    def _new_handle(self, message_id: str, message: Message) -> SendHandle[Message]:
        acknowledgement = self._config.timeouts.acknowledgement
        return SendHandle(message_id, message, acknowledgement, self.holding_link)

    # --- commands and requests ---

    def command(self, action: Callable[[Core, float], Any]) -> Any:
        """Do something short with the core, from any thread."""
        self.check_usable()
        with self._mutex:
            result = action(self.core, time.monotonic())
            self._after_command()
            return result

    def request(self, kind: str, to: str | None, payload: str, deadline: Deadline) -> Any:
        """Send an IQ once ready and return the answer's Node, or raise what it says."""

        def start(core: Core, waiter: Request) -> Callable[[], None]:
            return partial(core.forget_request, core.request(kind, to, payload, waiter))

        return self.ask(start, deadline)

    def ask(self, start: Callable[[Core, Request], Callable[[], None]], deadline: Deadline) -> Any:
        """Start something with the core once ready and return what it is answered, or raise it.

        ``start`` gets the waiter that the answer will carry and returns how to give up on it.
        """
        self.check_usable()
        request = Request()
        with self.holding_link():
            with self._mutex:
                self._wait_ready(deadline)
                give_up = start(self.core, request)
                self._after_command()
            try:
                request.event.wait(deadline.remaining())
            finally:
                with self._mutex:
                    give_up()
        if request.answer is None:
            raise ChatTimeoutError("the chat server did not answer the request in time")
        if request.answer.error is not None:
            raise request.answer.error
        return request.answer.node
