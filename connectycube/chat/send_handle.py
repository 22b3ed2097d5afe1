"""What ``send_message`` returns: the future of a message's outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, TypeAlias, TypeVar

from attrs import fields

from .._checks import name_of
from .._deadline import Deadline
from .._forks import check_fork
from .._not_copied import NotCopied
from ..config import Config
from ..errors import ChatTimeoutError
from ..models import CallbackFailure, Message
from .shutdown import caused_by_exit
from .signals import check_callback

__all__ = ["AnyHandle", "SendHandle", "handles_for"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

Sent = TypeVar("Sent")
AnyHandle: TypeAlias = "SendHandle[Any]"
"""The handle of a message or of a system message."""
DoneCallback = Callable[["AnyHandle"], object]

_OF_FUTURE = frozenset(vars(Future()))
_OF_MESSAGE = frozenset(field.name for field in fields(Message))
_MADE = "_made"


class Callbacks(Protocol):
    """What calls done-callbacks, and reports their errors."""

    def call_back(self, callback: DoneCallback, handle: AnyHandle) -> None: ...
    def report(self, failure: CallbackFailure) -> None: ...


class SendHandle(NotCopied, Future[Sent]):
    """The outcome of a message: sent, failed or unknown; a ``concurrent.futures.Future``.

    *Sent* means that the server has acknowledged the message (XEP-0198), the guide's status 'sent'. ``id`` is
    the message's id, the same at the server, at the recipient and in history; an edit or a deletion has one
    of its own. ``message`` is the message as it was sent, ``server_copy`` a group message as its room
    reflected it, or None. Every method may be called from any thread, also inside a callback.

    ``concurrent.futures.wait``, ``as_completed`` and ``asyncio.wrap_future`` take handles. ``cancel()``
    returns False: a message cannot be taken back.

    Example:
        >>> handle = chat.send_private(bob_id, "Hello")
        >>> handle.result().body, handle.done()
        ('Hello', True)
    """

    # There may be many handles, and threads wait for few of them. So the attributes of Future, a lock among
    # them, are made once a thread waits or adds a callback: until then they are not in the dictionary.
    __slots__ = (
        "_callbacks",
        "_default_timeout",
        "_error",
        "_holding_link",
        "_is_done",
        "_is_future",
        "_receivers",
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
        receivers: Callbacks | None = None,
    ) -> None:
        self.id: str = id
        self.message: Sent = message
        self.server_copy: Message | None = None
        self._default_timeout = default_timeout
        self._holding_link = holding_link
        self._receivers = receivers
        self._is_done = False
        self._error: Exception | None = None
        # Not the list of Future: the connection thread would call the callbacks in it.
        self._callbacks: tuple[DoneCallback, ...] = ()
        self._is_future = False

    def _begin(self) -> None:
        """Be a Future from now on, with the outcome if that is known."""
        # settle() notes the outcome and then looks at the flag; this is the other way round. So one of the
        # two finds what the other has done, or both do.
        self._is_future = True
        made: Future[Sent] = Future()
        made.set_running_or_notify_cancel()  # so that no thread can cancel it
        if self._is_done:
            self._finish(made)
        # Two threads may come here, or one again that a signal's handler has cut off: the values of the first
        # one count, each of which is put once. The dictionary stays, as the application may use it as well.
        own = vars(self)
        for name, value in own.setdefault(_MADE, vars(made)).items():
            own.setdefault(name, value)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of Future, which its functions and those of ``concurrent.futures`` look for."""
        if name not in _OF_FUTURE:
            hint = ": result() returns the message, which has it" if name in _OF_MESSAGE else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")
        self._begin()
        return vars(self)[name]

    def done(self) -> bool:
        """Return at once whether the outcome is known.

        Returns:
            Whether it is: sent, failed, or known to be unknowable.
        """
        check_fork()
        return self._is_done

    def result(self, timeout: float | None = None) -> Sent:
        """Wait until the server has acknowledged the message, and return it as it was sent.

        Args:
            timeout: Seconds to wait; None is ``Config.timeouts.acknowledgement``.

        Returns:
            The message.

        Raises:
            ChatTimeoutError: The time-out has passed. The message is still on its way.
            StanzaError: The server or the recipient's side refused the message.
            OutcomeUnknownError: The connection ended, and the message may have arrived.
            NotConnectedError, ConnectionLostError: The message has certainly not reached the server.
            SendDeferredError: The durable store keeps the message for the next login.
            ArgumentTypeError, ArgumentValueError: ``timeout`` is no number of seconds.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self.message

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait for the outcome and return its error.

        Args:
            timeout: Seconds to wait; None is ``Config.timeouts.acknowledgement``.

        Returns:
            The error that :meth:`result` raises; None if the message was sent.

        Raises:
            ChatTimeoutError: The time-out has passed. The message is still on its way.
            ArgumentTypeError, ArgumentValueError: ``timeout`` is no number of seconds.
        """
        check_fork()
        deadline = Deadline.of(timeout, self._default_timeout)
        if not self._is_done:
            with self._holding_link():
                wait([self], deadline.remaining())
        if not self._is_done:
            raise ChatTimeoutError(f"message {self.id} has not been acknowledged yet")
        return self._error

    # concurrent.futures names the argument fn.
    def add_done_callback(self, callback: DoneCallback) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Call ``callback(handle)`` when the outcome is known, on a dispatcher worker.

        If the outcome is known already, ``callback`` is called at once in this thread. An exception in it
        is logged, reported to ``chat.callback_failed`` in the same thread, and goes no further.

        Args:
            callback: A function that takes the handle.

        Raises:
            ArgumentTypeError: ``callback`` cannot be called with a handle, or is a coroutine function or a
                generator function.
        """
        check_callback("callback", callback, "handle")
        check_fork()
        with self._condition:
            if not self._is_done:
                self._callbacks = (*self._callbacks, callback)
                return
        error = self.run(callback)
        if error is not None and not isinstance(error, Exception):
            raise error  # such as KeyboardInterrupt: it is meant for this thread

    def run(self, callback: DoneCallback) -> BaseException | None:
        """Call one callback; return what it raises, which is logged and reported."""
        try:
            if self._receivers is None:
                callback(self)
            else:
                self._receivers.call_back(callback, self)
        except BaseException as error:  # also SystemExit: it would end the worker, not the program
            if caused_by_exit(error):
                logger.debug("a done-callback of message %s was cut off: %s", self.id, error)
                return error
            logger.exception("a done-callback of message %s raised", self.id)
            failure = CallbackFailure(
                receiver=name_of(callback), signal="add_done_callback", event=self, error=error
            )
            if self._receivers is not None:
                self._receivers.report(failure)
            return error
        return None

    def settle(self, error: Exception | None) -> tuple[DoneCallback, ...]:
        """Set the outcome once and return the callbacks to run; for the connection alone, and one thread."""
        if self._is_done:
            return ()
        # Before set_result, which wakes the waiting threads.
        self._error = error
        self._is_done = True
        if not self._is_future:
            return ()
        with self._condition:
            callbacks, self._callbacks = self._callbacks, ()
        self._finish(self)
        return callbacks

    def settle_in_child(self, error: Exception) -> None:
        """Set the outcome in a forked child, where threads that are gone may hold the locks."""
        self._callbacks, self._is_future = (), False
        for name in (_MADE, *_OF_FUTURE):
            vars(self).pop(name, None)
        self.settle(error)

    def _finish(self, future: Future[Sent]) -> None:
        with suppress(InvalidStateError):  # another thread has done it
            if self._error is None:
                future.set_result(self.message)
            else:
                future.set_exception(self._error)

    def __repr__(self) -> str:
        if not self._is_done:
            outcome = "pending"
        else:
            outcome = "sent" if self._error is None else type(self._error).__name__
        return f"<SendHandle {self.id} {outcome}>"


def handles_for(
    config: Config,
    holding_link: Callable[[], AbstractContextManager[None]],
    receivers: Callbacks,
) -> Callable[[str, Message], SendHandle[Message]]:
    """Return a function that makes the handle of a message, from its id and the message."""
    timeout = config.timeouts.acknowledgement
    return lambda own_id, message: SendHandle(own_id, message, timeout, holding_link, receivers)
