"""Observer: an object that is told of requests, messages and receivers, for metrics and traces."""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ._checks import check_callable
from .errors import ArgumentTypeError

if TYPE_CHECKING:
    from .models import RecoveryFailure, RecoveryFinished, StateChange

__all__ = ["Observer", "RequestRecord", "call_observer", "check_observer"]

_log = logging.getLogger("connectycube")

_RAISED = "_connectycube_raised"
"""The attribute of an observer that holds the names of the methods whose error was logged."""


@frozen(kw_only=True)
class RequestRecord:
    """One REST request and its outcome, without secrets and bodies; see :class:`Observer`.

    Args:
        method: The HTTP method.
        path: The path as a template, such as ``/chat/Dialog/{id}``: fit for the name of a metric or a span.
            None if the request did not go to the API (the storage of files).
        url: The URL, with its secrets masked. It may hold the text of a search.
        status: The status of the response; None if there was none.
        seconds: The time that the request took.
        bytes_received: The size of the response's body.
        attempt: 1, or more for a repetition.
        error: The class of the error that ended the request, an ApiError, or one of the application's own
            transport or file; None if there was a response.

    Example:
        >>> record = RequestRecord(method="GET", path="/users/{id}", url="/users/7", status=200, seconds=0.1)
        >>> record.path, record.status
        ('/users/{id}', 200)
    """

    method: str
    path: str | None = None
    url: str
    status: int | None = None
    seconds: float
    bytes_received: int = 0
    attempt: int = 1
    error: type[BaseException] | None = None


class Observer:
    """An object that is told of requests, messages and receivers; ``Config(observer=…)`` takes one.

    Override the methods you need: each does nothing here. One observer may serve many clients, and a forked
    child goes on with it.

    **Threads.** Each method is called on the thread where the thing happens, and several threads may be in
    one method at once. No lock of the package is held. A method that blocks holds up its own thread alone: on
    a connection thread nothing is read and sent until it returns, and the server may end the link. So return
    soon. A call on a connection thread that would wait for this connection, such as ``chat.ping()``, raises
    CallbackContextError there; ``chat.logout()`` returns at once, without counts, and the connection ends
    once the method has returned. ``chat.statistics()``, ``chat.relogin()`` and sending are fine.

    **Order.** One thread calls in the order in which the things happened. Threads may overtake each other.

    **Errors.** An error that a method raises goes no further. The first error of each method is logged at
    ERROR, on logger ``connectycube``. KeyboardInterrupt on the main thread is passed on: it is meant for the
    program.

    Example:
        >>> class Counter(Observer):
        ...     count = 0
        ...     def request_finished(self, record):
        ...         self.count += 1
        >>> counter = Counter()
        >>> with ConnectyCube(config=cube.config.replace(observer=counter)) as client:
        ...     user = client.login(login="alice", password="a password")
        >>> counter.count
        1
    """

    def request_finished(self, record: RequestRecord) -> None:
        """A REST request has ended, with a response or without; each attempt is one request.

        Thread: the one that sent the request. That is the caller's, or one of the short-lived threads that
        read history and renew the session.

        Args:
            record: The request and its outcome.
        """

    def state_changed(self, chat: Any, change: StateChange) -> None:
        """A connection has entered another state.

        Thread: the connection thread; for CONNECTING, CLOSING and RECONNECTING also the thread whose call
        began that, and for CLOSED the thread that ended the connection.

        Args:
            chat: The :class:`Chat`.
            change: The new state, the one before, and the error behind it, or None.
        """

    def event_queued(self, chat: Any, signal: str, event: Any) -> None:
        """An event was put into the queue for the receivers.

        Thread: the connection thread; for messages of history the thread that reads it; for events that were
        read from the file of durable mode a dispatcher worker; for an event that a call causes the caller's
        thread.

        Args:
            chat: The :class:`Chat`.
            signal: The name of the signal.
            event: The event.
        """

    def receiver_began(self, chat: Any, signal: str | None, event: Any, receiver: str) -> None:
        """A receiver, or a done-callback of a message, is about to be called, also for a repetition.

        Thread: that of the receiver: a dispatcher worker. A done-callback that is added after the outcome is
        called on the thread that adds it.

        Args:
            chat: The :class:`Chat`.
            signal: The name of the signal; None for a done-callback.
            event: The event; for a done-callback the handle of the message.
            receiver: The name of the receiver.
        """

    def receiver_ended(
        self, chat: Any, signal: str | None, event: Any, receiver: str, error: BaseException | None
    ) -> None:
        """A receiver, or a done-callback, has returned or raised.

        Thread: that of ``receiver_began``, which was called right before the receiver.

        Args:
            chat: The :class:`Chat`.
            signal: The name of the signal; None for a done-callback.
            event: The event; for a done-callback the handle of the message.
            receiver: The name of the receiver.
            error: The error that it raised, or None.
        """

    def message_submitted(self, chat: Any, handle: Any) -> None:
        """A message was accepted, to be written now or once there is a link.

        An edit, a deletion and a system message are messages, too. A message that the durable file or a
        repeated receiver has sent before is not told again.

        Thread: the one that sends the message.

        Args:
            chat: The :class:`Chat`.
            handle: The :class:`SendHandle` of the message, with its id.
        """

    def message_settled(self, chat: Any, handle: Any, error: Exception | None) -> None:
        """The outcome of a message is known: sent, failed, unknown or deferred.

        Thread: the connection thread; where history shows the outcome the thread that reads it; at the end
        of the connection the thread that ended it.

        Args:
            chat: The :class:`Chat`.
            handle: The :class:`SendHandle` of the message. It is that of ``message_submitted``, unless an
                earlier process has sent the message.
            error: None if the server has acknowledged the message, else the error of ``handle.result()``.
        """

    def reconnected(
        self, chat: Any, resumed: bool, seconds: float, reason: Exception | None
    ) -> None:
        """A connection is ready again, by itself or by ``relogin()``, without a ``login()``.

        Thread: the connection thread.

        Args:
            chat: The :class:`Chat`.
            resumed: Whether the session goes on. If not, a new one has begun, and history is asked.
            seconds: The time for which the connection was not ready.
            reason: The error that ended the link; None after a ``logout()``.
        """

    def recovery_ended(self, chat: Any, outcome: RecoveryFinished | RecoveryFailure) -> None:
        """History was read after a lost session, or could not be read.

        After a failure whose ``is_repeated`` is true the recovery goes on, and ends once more.

        Thread: the one that reads history; the connection thread if nothing had to be read.

        Args:
            chat: The :class:`Chat`.
            outcome: The event of ``recovery_finished`` or ``recovery_failed``.
        """


_METHODS = tuple(name for name in vars(Observer) if not name.startswith("_"))


def check_observer(value: object) -> None:
    """Raise ArgumentTypeError unless ``value`` is an observer whose methods can be called."""
    if not isinstance(value, Observer):
        kind = type(value).__name__
        raise ArgumentTypeError(f"observer must be an object of a subclass of Observer, not {kind}")
    for name in _METHODS:
        _, *parameters = inspect.signature(getattr(Observer, name)).parameters
        check_callable(f"observer.{name}", getattr(value, name), *parameters)


def call_observer(observer: Observer, method: str, *arguments: Any) -> None:
    """Call a method of an observer, which cannot break the caller."""
    try:
        getattr(observer, method)(*arguments)
    except BaseException as error:  # also SystemExit, which would end a thread of this package
        # Ctrl-C has met the observer by chance. It is meant for the program.
        if isinstance(error, KeyboardInterrupt) and _is_main_thread():
            raise
        if _is_first_of(observer, method):
            with contextlib.suppress(
                Exception
            ):  # a log filter of the application may raise as well
                _log.exception(
                    "observer.%s raised; its later errors are not logged: %r", method, observer
                )


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_first_of(observer: Observer, method: str) -> bool:
    """Note that a method has raised; return whether it had not before."""
    # In the observer itself, as one may serve many clients. Each setdefault is one step for all threads.
    raised = vars(observer).setdefault(_RAISED, {})
    mark = object()
    return raised.setdefault(method, mark) is mark
