"""Signals: where receivers are connected, each with its options. (blinker, with promises of our own.)"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import blinker
from attrs import frozen
from blinker.base import ANY_ID, make_id  # type: ignore[attr-defined]

from .._checks import check_callable, check_str, name_of
from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied
from ..config import Handling
from ..errors import ArgumentTypeError

if TYPE_CHECKING:
    from .chat import Chat

__all__ = ["Connection", "Event_co", "Signal", "check_callback"]

Event_co = TypeVar("Event_co", covariant=True)
"""The class of a signal's events."""

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


@frozen
class _Options:
    """What ``connect`` was told about a receiver, and the name that it bears while it is connected."""

    name: str
    plain: str
    """The name without the number that tells it from others."""
    where: Callable[[Any], object] | None = None
    key: str | None = None
    handling: Handling | None = None


@frozen
class Connection:
    """A connected receiver, with its name and options."""

    receiver: Callable[[Any, Any], object]
    name: str
    """Its key, else its module and qualified name; of several with the same name the later ones are numbered.

    It stays as long as the receiver is connected, whatever becomes of the others. It is the same in each
    process that connects the same receivers in the same order.
    """
    where: Callable[[Any], object] | None
    handling: Handling | None


class Signal(NotCopied, blinker.Signal, Generic[Event_co]):
    """A kind of event of one chat connection; connect a receiver with ``signal.connect``.

    Receivers are called as ``receiver(chat, event)`` with one frozen event object, in the order in which they
    were connected, on a dispatcher worker. They are held strongly unless ``weak=True``, may be connected at
    any time from any thread, and survive reconnections. ``connect`` works as a decorator and returns the
    receiver. It refuses an object that cannot be called like this, and functions that would not run:
    coroutine functions and generator functions. ``event`` is the class of its events.

    Example:
        >>> @chat.message_received.connect(where=lambda message: not message.own)
        ... def show(chat, message):
        ...     print(message.body)
        >>> chat.message_received.disconnect(show)
    """

    set_class = _InOrder  # type: ignore[assignment]

    def __init__(self, name: str, event: type[Event_co], doc: str) -> None:
        super().__init__(doc)
        self.name = name
        self.event = event
        self.check_open: Callable[[], None] | None = None
        """Raises ClientClosedError once the client is closed, whose receivers would never be called."""
        self._lock = threading.RLock()  # a weak receiver may be collected while it is held
        self._alike: tuple[Connection, ...] | None = None
        """The connections, if they are the same for every sender; None after a change of the receivers."""
        self._options: dict[Hashable, _Options] = {}
        register_for_fork(self)

    @overload  # type: ignore[override]
    def connect(
        self,
        receiver: Callable[[Chat, Event_co], None],
        /,
        *,
        where: Callable[[Event_co], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
        sender: Any = blinker.ANY,
        weak: bool = False,
    ) -> Callable[[Chat, Event_co], None]: ...
    @overload
    def connect(
        self,
        receiver: None = None,
        /,
        *,
        where: Callable[[Event_co], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
        sender: Any = blinker.ANY,
        weak: bool = False,
    ) -> Callable[[Callable[[Chat, Event_co], None]], Callable[[Chat, Event_co], None]]: ...
    # blinker calls its receivers with other arguments, and has other options.
    def connect(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        receiver: Any = None,
        /,
        *,
        where: Callable[[Any], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
        sender: Any = blinker.ANY,
        weak: bool = False,
    ) -> Any:
        """Call ``receiver(chat, event)`` for every event from now on; may be called from any thread.

        A receiver that is connected already keeps its place, and gets the new options, the key too: a signal
        calls one function once. To have one function called twice, wrap it: ``functools.partial(function)``.

        Args:
            receiver: A function or another callable that takes ``(chat, event)``, but no coroutine function
                and no generator function. Without it ``connect`` returns a decorator.
            where: The receiver is called only for events for which ``where(event)`` is true. If it raises,
                the receiver counts as having raised.
            key: The receiver's name in this signal; it replaces an earlier receiver of the same key, but not
                one of another ``sender``. Without a key the name is that of the module and of the function.
            handling: When the receiver runs again after it raised; None is ``Config.handling``.
            sender: The chat whose events it gets; by default every chat's.
            weak: Whether to hold the receiver by a weak reference, so that it goes with its object.

        Returns:
            The receiver, so that ``connect`` works as a decorator.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``receiver`` cannot be called, does not take
                ``(chat, event)``, or is a coroutine function or a generator function; ``sender`` is no chat;
                with ``weak`` the receiver is a lambda or a partial, or cannot be referred to weakly; or
                another option is wrong.
            ClientClosedError: The client was closed.
        """
        if where is not None:
            check_callback("where", where, "event")
        if key is not None:
            check_str("key", key)
        if handling is not None and not isinstance(handling, Handling):
            raise ArgumentTypeError(f"handling must be a Handling, not {type(handling).__name__}")

        if sender is not blinker.ANY and not isinstance(getattr(sender, self.name, None), Signal):
            raise ArgumentTypeError(
                f"sender must be a chat, such as cube.chat, not {type(sender).__name__}: leave it out"
            )

        def connected(receiver: Any) -> Any:
            check_callback("receiver", receiver, "chat", "event")
            if weak:
                _check_weak(receiver)
            check_fork()
            if self.check_open is not None:
                self.check_open()
            with self._lock:
                receiver_id = make_id(receiver)
                sender_id = ANY_ID if sender is blinker.ANY else make_id(sender)
                self._replace(key, receiver_id, sender_id)
                plain = key or name_of(receiver)
                name = self._name_for(plain, receiver_id, sender_id)
                self._options[receiver_id] = _Options(name, plain, where, key, handling)
                self._alike = None
                return super(Signal, self).connect(receiver, sender, weak)

        return connected if receiver is None else connected(receiver)

    def connect_via(self, sender: Any, weak: bool = False) -> Any:
        """Return a decorator that connects a receiver to the events of one sender."""
        return self.connect(sender=sender, weak=weak)

    def _others_for(self, receiver_id: Hashable, sender_id: Hashable) -> dict[Hashable, _Options]:
        """Return the options of the other receivers that get events of this sender, or of one in common."""
        return {
            other: options
            for other, options in self._options.copy().items()
            if other != receiver_id
            and (sender_id == ANY_ID or {ANY_ID, sender_id} & set(self._by_receiver.get(other, ())))
        }

    def _name_for(self, plain: str, receiver_id: Hashable, sender_id: Hashable) -> str:
        """Return the name of a receiver: ``plain``, or numbered if others of the sender bear it."""
        used = {options.name for options in self._others_for(receiver_id, sender_id).values()}
        before = self._options.get(receiver_id)
        if before is not None and before.plain == plain and before.name not in used:
            return before.name
        numbered = (f"{plain}#{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain([plain], numbered) if name not in used)

    def _replace(self, key: str | None, receiver_id: Hashable, sender_id: Hashable) -> None:
        """Disconnect the other receiver of this key, if the sender has one."""
        for other, options in self._others_for(receiver_id, sender_id).items():
            if key is not None and options.key == key:
                is_for_all = ANY_ID in self._by_receiver[other]
                self._disconnect(other, ANY_ID if is_for_all else sender_id)

    def disconnect(self, receiver: Callable[..., Any], sender: Any = blinker.ANY) -> None:
        """Call a receiver no longer; one that is not connected is ignored.

        May be called from any thread. A call that runs already goes on.

        Args:
            receiver: The receiver, as it was given to ``connect``.
            sender: The chat to whose events it was connected with ``sender=``; by default every chat.
        """
        check_fork()
        with self._lock:
            super().disconnect(receiver, sender)

    def receivers_for(self, sender: Any) -> Iterator[Callable[..., Any]]:  # type: ignore[override]
        """Return the receivers that are connected now, in their order.

        Args:
            sender: The chat whose events they get.

        Returns:
            An iterator over the receivers.
        """
        return iter([connection.receiver for connection in self.connections_for(sender)])

    def connections_for(self, sender: Any) -> tuple[Connection, ...]:
        """Return the receivers that are connected now, in their order, with their names and options."""
        if self.is_muted:
            return ()
        alike = self._alike
        if alike is None:
            check_fork()
            with self._lock:
                alike = self._connections(tuple(super().receivers_for(sender)))
                weak = any(isinstance(entry, weakref.ref) for entry in [*self.receivers.values()])
                if not weak and self._by_sender.keys() <= {ANY_ID}:
                    self._alike = alike
        return alike

    def names(self) -> list[str]:
        """Return the names of all receivers, without waiting for the lock: a thread that forks asks."""
        entries = list(self.receivers.values())
        receivers: list[Callable[..., Any] | None] = [
            entry() if isinstance(entry, weakref.ref) else entry for entry in entries
        ]
        connections = self._connections(tuple(one for one in receivers if one is not None))
        return [connection.name for connection in connections]

    def _connections(self, receivers: tuple[Callable[..., Any], ...]) -> tuple[Connection, ...]:
        found = ((receiver, self._options.get(make_id(receiver))) for receiver in receivers)
        return tuple(
            Connection(receiver, options.name, options.where, options.handling)
            for receiver, options in found
            if options is not None  # it was disconnected while another thread asked for names
        )

    def disconnect_all(self) -> None:
        """Disconnect every receiver; calls that run already go on.

        May be called from any thread.
        """
        check_fork()
        with self._lock:
            self._alike = None
            self._options.clear()
            self._clear_state()

    def disconnect_sender(self, sender: Any) -> None:
        """Disconnect the receivers that were connected with ``sender=`` from the events of this sender."""
        check_fork()
        sender_id = make_id(sender)
        with self._lock:
            for receiver_id in list(self._by_sender.get(sender_id, ())):
                self._disconnect(receiver_id, sender_id)

    def _disconnect(self, receiver_id: Any, sender_id: Any) -> None:
        # Also what blinker calls, on any thread, when a weak receiver was collected. That may be this thread,
        # at any step and with the lock held: so each loop here is over a copy.
        check_fork()
        with self._lock:
            self._alike = None
            if sender_id == ANY_ID:
                self._by_receiver.pop(receiver_id, None)
                for bucket in [*self._by_sender.values()]:
                    bucket.discard(receiver_id)
            else:
                super()._disconnect(receiver_id, sender_id)
            if not self._by_receiver.get(receiver_id):
                # It was connected to one sender alone; blinker would hold it forever.
                self._by_receiver.pop(receiver_id, None)
                self.receivers.pop(receiver_id, None)
                self._options.pop(receiver_id, None)

    def _make_cleanup_sender(self, sender_id: Any) -> Callable[[weakref.ref[Any]], None]:
        """Return what is called, on any thread, when a sender was collected; blinker's own takes no lock."""

        def clean_up(_: object) -> None:
            with self._lock:
                for receiver_id in [*self._by_sender.get(sender_id, ())]:
                    self._disconnect(receiver_id, sender_id)
                self._by_sender.pop(sender_id, None)
                self._weak_senders.pop(sender_id, None)

        return clean_up

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


def _check_weak(receiver: Any) -> None:
    """Raise ArgumentTypeError for a receiver that nothing else would hold, or that has no weak references."""
    if isinstance(receiver, partial) or getattr(receiver, "__name__", "") == "<lambda>":
        raise ArgumentTypeError(
            f"receiver {name_of(receiver)} would be gone at once with weak=True: a lambda or a partial is"
            " seldom held by anything else. Leave weak out, or connect a method or a named function"
        )
    try:
        weakref.ref(getattr(receiver, "__self__", receiver))
    except TypeError:
        raise ArgumentTypeError(
            f"receiver {name_of(receiver)} cannot be held by a weak reference: leave weak out, or add"
            ' "__weakref__" to the __slots__ of its class'
        ) from None


def check_callback(name: str, value: object, *parameters: str) -> None:
    """Raise ArgumentTypeError unless ``value`` can be called as ``value(*parameters)`` and runs its code.

    A signal cannot be, although it has a ``__call__``, which only explains the mistake.
    """
    if isinstance(value, Signal):
        raise ArgumentTypeError(f"{name} must be callable, not Signal")
    check_callable(name, value, *parameters)
