"""Signals: where receivers are connected, and how they are called. (blinker, with promises of our own.)"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import blinker
from blinker.base import ANY_ID

from .._checks import check_callable, name_of
from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied
from ..errors import ArgumentTypeError
from ..models import CallbackFailure
from .dispatcher import Dispatcher
from .shutdown import caused_by_exit

__all__ = ["Signal", "call_receivers", "check_callback"]

logger = logging.getLogger("connectycube.chat")

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


_numbers = itertools.count()


class _InOrder(dict[Any, int]):
    """The part of a set's interface that blinker uses, in the order of insertion, unions included."""

    def add(self, item: Any) -> None:
        self.setdefault(item, next(_numbers))

    def discard(self, item: Any) -> None:
        self.pop(item, None)

    def __or__(self, other: Any) -> Any:
        first = {
            item: min(number, other.get(item, number)) for item, number in {**other, **self}.items()
        }
        return dict(sorted(first.items(), key=itemgetter(1)))


class Signal(NotCopied, blinker.Signal):
    """A kind of event of one chat connection; connect a receiver with ``signal.connect``.

    Receivers are called as ``receiver(chat, event)`` with one frozen event object, in the order in which
    they were connected, on a dispatcher worker. They are held strongly unless ``weak=True``, may be
    connected at any time from any thread, and survive reconnections. ``connect`` works as a decorator and
    returns the receiver. It refuses what could not be called like this, and what would not run: coroutine
    functions and generator functions. ``event`` is the class of its events.
    """

    set_class = _InOrder  # type: ignore[assignment]

    def __init__(self, name: str, event: type, doc: str) -> None:
        super().__init__(doc)
        self.name = name
        self.event = event
        self._lock = threading.RLock()  # a weak receiver may be collected while it is held
        self._alike: tuple[Callable[..., Any], ...] | None = None
        """The receivers, if they are the same for every sender until somebody connects or disconnects."""
        register_for_fork(self)

    def connect(
        self, receiver: Receiver, sender: Any = blinker.ANY, weak: bool = False
    ) -> Receiver:
        """Call ``receiver(chat, event)`` for every event from now on; may be called from any thread.

        A receiver that is connected already keeps its place.

        Args:
            receiver: A function or another callable that takes ``(chat, event)``, but no coroutine function
                and no generator function.
            sender: The chat whose events it gets; by default every chat's.
            weak: Whether to hold the receiver by a weak reference.

        Returns:
            The receiver, so that ``connect`` works as a decorator.

        Raises:
            ArgumentTypeError: ``receiver`` cannot be called, does not take ``(chat, event)``, or is a
                coroutine function or a generator function.
        """
        check_callback("receiver", receiver, "chat", "event")
        check_fork()
        with self._lock:
            self._alike = None
            return super().connect(receiver, sender, weak)

    def disconnect(self, receiver: Callable[..., Any], sender: Any = blinker.ANY) -> None:
        """Call ``receiver`` no longer; one that is not connected is ignored."""
        check_fork()
        with self._lock:
            super().disconnect(receiver, sender)

    def receivers_for(self, sender: Any) -> Iterator[Callable[..., Any]]:  # type: ignore[override]
        """Yield the receivers that are connected now, in their order."""
        if self.is_muted:
            return iter(())
        alike = self._alike
        if alike is None:
            check_fork()
            with self._lock:
                alike = tuple(super().receivers_for(sender))
                weak = any(isinstance(entry, weakref.ref) for entry in self.receivers.values())
                if not weak and self._by_sender.keys() <= {ANY_ID}:
                    self._alike = alike
        return iter(alike)

    def disconnect_all(self) -> None:
        """Disconnect every receiver."""
        check_fork()
        with self._lock:
            self._alike = None
            self._clear_state()

    def _disconnect(self, receiver_id: Any, sender_id: Any) -> None:
        # Also what blinker calls, on any thread, when a weak receiver was collected.
        check_fork()
        with self._lock:
            self._alike = None
            super()._disconnect(receiver_id, sender_id)
            if not self._by_receiver.get(receiver_id):
                # It was connected to one sender alone; blinker would hold it for ever.
                self._by_receiver.pop(receiver_id, None)
                self.receivers.pop(receiver_id, None)

    def _after_fork_in_child(self) -> None:
        """Replace the lock in a forked child: a thread that is gone may hold the old one."""
        self._lock = threading.RLock()

    # For a type checker a signal cannot be called, so it reports the mistake itself.
    if not TYPE_CHECKING:

        def __call__(self, *_: object, **__: object) -> None:
            """Raise an error that shows how a receiver is connected."""
            raise ArgumentTypeError(f"a signal cannot be called: use chat.{self.name}.connect")

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"


# --- checks of callbacks ---


def check_callback(name: str, value: object, *parameters: str) -> None:
    """Raise ArgumentTypeError unless ``value`` can be called as ``value(*parameters)`` and runs its code.

    A signal cannot be, although it has a ``__call__``, which only explains the mistake.
    """
    if isinstance(value, Signal):
        raise ArgumentTypeError(f"{name} must be callable, not {type(value).__name__}")
    check_callable(name, value, *parameters)


# --- calling receivers ---


def call_receivers(
    chat: Any,
    signal: Signal,
    event: Any,
    report: Callable[[CallbackFailure], None] | None,
    dispatcher: Dispatcher,
    slow: float,
) -> bool:
    """Call the receivers of ``signal`` in order; return whether there was at least one and none raised.

    An error of a receiver is logged and passed to ``report``, unless that is None. An error that the exit of
    the interpreter caused is neither. A receiver that takes longer than ``slow`` seconds is named in a
    warning.
    """
    called = raised = False
    for receiver in signal.receivers_for(chat):
        error = _call(receiver, chat, signal, event, dispatcher, slow)
        called = True
        if error is None:
            continue
        raised = True
        if report is None or caused_by_exit(error):
            continue
        failure = CallbackFailure(
            receiver=name_of(receiver), signal=signal.name, event=event, error=error
        )
        report(failure)
    return called and not raised


def _call(
    receiver: Callable[..., Any],
    chat: Any,
    signal: Signal,
    event: Any,
    dispatcher: Dispatcher,
    slow: float,
) -> BaseException | None:
    name = name_of(receiver)
    dispatcher.note_receiver(name)
    began = time.monotonic()
    try:
        receiver(chat, event)
    except BaseException as error:  # also SystemExit: it would end the worker, not the program
        if caused_by_exit(error):
            logger.debug("receiver %s of %s was cut off: %s", name, signal.name, error)
        else:
            logger.exception("receiver %s of %s raised", name, signal.name)
        return error
    finally:
        dispatcher.note_receiver(None)
        took = time.monotonic() - began
        if took > slow:
            logger.warning("receiver %s of %s took %.1f seconds", name, signal.name, took)
    return None
