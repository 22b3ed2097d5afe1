"""What ``send_message`` returns: the future of a message's outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from .._deadline import Deadline
from ..errors import ChatTimeoutError
from ..models import Message
from .shutdown import caused_by_exit
from .signals import check_callback

__all__ = ["SendHandle"]

logger = logging.getLogger("connectycube.chat")

DoneCallback = Callable[["SendHandle[Any]"], object]
Sent = TypeVar("Sent")


class SendHandle(Generic[Sent]):
    """The outcome of a message: sent, failed or unknown; shaped like ``concurrent.futures.Future``.

    *Sent* means that the server has acknowledged the message (XEP-0198), the guide's status 'sent'.
    ``id`` is the message's id, the same at the server, at the recipient and in history; an edit or a
    deletion has one of its own. ``message`` is what was sent, ``server_copy`` a group message as its room
    reflected it, or None. Every method may be called from any thread, also inside a callback.
    """

    __slots__ = (
        "_callbacks",
        "_default_timeout",
        "_done",
        "_error",
        "_lock",
        "_needing_link",
        "id",
        "message",
        "server_copy",
    )

    def __init__(
        self,
        id: str,
        message: Sent,
        default_timeout: float,
        holding_link: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.id = id
        self.message = message
        self.server_copy: Message | None = None
        self._default_timeout = default_timeout
        self._needing_link = holding_link
        self._error: Exception | None = None
        self._callbacks: list[DoneCallback] = []
        self._renew_locks()

    def done(self) -> bool:
        """Whether the outcome is known (or known to be unknowable)."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> Sent:
        """Wait until the server has acknowledged the message, and return it as it was sent.

        ``timeout`` is in seconds (None: ``Config.timeouts.acknowledgement``). Raises
        ChatTimeoutError when it passes, which changes nothing; StanzaError if the message was
        refused; OutcomeUnknownError if nobody can know; NotConnectedError or ConnectionLostError if
        it has certainly not reached the server; SendDeferredError if the durable store keeps it for
        the next login.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self.message

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait for the outcome and return its error, or None if the message was sent.

        ``timeout`` and ChatTimeoutError as for :meth:`result`.
        """
        deadline = Deadline.of(timeout, self._default_timeout)
        if not self._done.is_set():
            with self._needing_link():
                self._done.wait(deadline.remaining())
        if not self._done.is_set():
            raise ChatTimeoutError(f"message {self.id} has not been acknowledged yet")
        return self._error

    def add_done_callback(self, callback: DoneCallback) -> None:
        """Call ``callback(handle)`` when the outcome is known, on a dispatcher worker.

        If it is known already, ``callback`` is called at once in this thread. An exception in it is
        logged and goes no further. Raises ArgumentTypeError if ``callback`` is not callable or is a
        coroutine function.
        """
        check_callback("callback", callback)
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        self.run(callback)

    def run(self, callback: DoneCallback) -> None:
        """Call one callback; what it raises is logged."""
        try:
            callback(self)
        except Exception as error:
            if caused_by_exit(error):
                logger.debug("a done-callback of message %s was cut off: %s", self.id, error)
            else:
                logger.exception("a done-callback of message %s raised", self.id)

    def settle(self, error: Exception | None) -> list[DoneCallback]:
        """Set the outcome once and return the callbacks to run; for the connection alone."""
        with self._lock:
            if self._done.is_set():
                return []
            self._error = error
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
            return callbacks

    def settle_in_child(self, error: Exception) -> None:
        """Set the outcome in a forked child, where the locks may be held by threads that are gone."""
        was_done = self._done.is_set()
        self._renew_locks()
        self._callbacks = []
        if was_done:
            self._done.set()
        else:
            self.settle(error)

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()

    def __repr__(self) -> str:
        if not self.done():
            outcome = "pending"
        else:
            outcome = "sent" if self._error is None else type(self._error).__name__
        return f"<SendHandle {self.id} {outcome}>"
