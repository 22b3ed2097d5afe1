"""Events for code that waits for them instead of being called: one, or one after the other."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._deadline import Deadline
from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied
from ..config import Limits
from ..errors import ChatTimeoutError, EventStreamOverflowError, ForkedError, NotConnectedError
from ..models import ChatState, StateChange
from .lease.hold import OF_THIS_PROCESS, Hold
from .protocol.decoding import Delivery
from .protocol.seen_messages import SeenMessages
from .protocol.stream_management import is_before
from .signals import Event_co, check_callback

__all__ = ["EventStream", "Stream", "Streams"]


def _forget_nothing(stream: object) -> None:
    """Do nothing, in place of the connection that forgets a stream."""


class EventStream(NotCopied, Generic[Event_co]):
    """The events of one signal, from its creation until ``close()``; ``chat.events(…)`` makes it.

    It collects events also between two calls of :meth:`next`, so a loop misses none. Iterating ends when the
    time-out passes without an event, or with the connection's ``logout()``; if the connection fails for good,
    the reason is raised. A stream may be made before ``login()``, but not waited for. Use it in a ``with``
    statement, in any one thread at a time, also inside a callback.

    Example:
        >>> with chat.events(chat.message_sent) as events:
        ...     handle = chat.send_private(bob_id, "Hello")
        ...     print(events.next().message.body)
        Hello
    """

    def __init__(
        self,
        signal: str,
        timeout: float,
        limits: Limits,
        waiting: Callable[[Callable[[], bool]], AbstractContextManager[None]],
        forget: Callable[[EventStream[object]], None],
    ) -> None:
        self.signal = signal
        self._timeout = timeout
        self._most = limits.queued_events
        self._most_bytes = max(limits.queued_bytes, limits.stanza_bytes)
        self._waiting = waiting
        self._forget: Callable[[EventStream[Any]], None] = forget
        self._events: deque[tuple[Event_co, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ended = False
        self._reason: Exception | None = None
        self.hold: Hold | None = None
        """The hold of the lease under which the events arrived; for the connection alone."""
        register_for_fork(self)

    def next(
        self, timeout: float | None = None, where: Callable[[Event_co], object] | None = None
    ) -> Event_co:
        """Return the next event for which ``where(event)`` is true; the others are dropped.

        Args:
            timeout: Seconds; None is the time-out of the stream.
            where: Called in this thread with each event; None takes the first one.

        Returns:
            The event.

        Raises:
            ArgumentTypeError: ``where`` cannot be called with an event.
            ChatTimeoutError: There was no such event in time.
            NotConnectedError: There was no login yet, the connection was logged out, or the stream was
                closed.
            EventStreamOverflowError: More than ``Config.limits.queued_events`` events, or ``queued_bytes``
                bytes of them, arrived between two calls.
            ChatError: The connection failed for good; the error is the reason.
        """
        if where is not None:
            check_callback("where", where, "event")
        deadline = Deadline.of(timeout, self._timeout)
        while True:
            event = self._take(deadline, self._timeout if timeout is None else timeout)
            if where is None or where(event):
                return event

    def _take(self, deadline: Deadline, seconds: float) -> Event_co:
        check_fork()
        hold = self.hold
        if hold is not None and hold.loss is not None and self.signal not in OF_THIS_PROCESS:
            raise hold.loss  # another process may have had these events
        with self._changed:
            if self._events:
                return self._take_first()
        with self._waiting(self._is_waiting), self._changed:
            self._changed.wait_for(lambda: self._events or self._ended, deadline.remaining())
            if self._events:
                return self._take_first()
            if self._ended:
                raise self._reason or NotConnectedError("logged out, or the stream was closed")
        raise ChatTimeoutError(f"no event of {self.signal} came within {seconds:g} s")

    def _take_first(self) -> Event_co:
        event, size = self._events.popleft()
        self._bytes -= size
        return event

    def _is_waiting(self) -> bool:
        return not self._events and not self._ended

    def close(self) -> None:
        """Collect no more events; those that were collected can still be read.

        May be called from any thread, and more than once.
        """
        check_fork()
        self._forget(self)
        self.end(None)

    def _wants(self, delivery: Delivery) -> bool:
        """Whether the stream collects an event; for the connection alone."""
        return delivery.signal == self.signal

    def put(self, event: Any, size: int) -> None:
        """Collect an event whose stanza had ``size`` bytes; for the connection alone."""
        with self._changed:
            if self._ended:
                return
            if not self._events or (
                len(self._events) < self._most and self._bytes + size <= self._most_bytes
            ):
                self._events.append((event, size))
                self._bytes += size
            else:
                self._ended = True
                self._reason = EventStreamOverflowError(
                    f"{len(self._events)} events of {self.signal} wait in a stream without a reader",
                )
            self._changed.notify_all()

    def end(self, reason: Exception | None) -> None:
        """End the stream, behind the events that it has collected; for the connection alone."""
        with self._changed:
            if not self._ended:
                self._ended, self._reason = True, reason
            self._changed.notify_all()

    def _after_fork_in_child(self) -> None:
        """End the stream in a forked child: the connection is the parent's."""
        self._changed = threading.Condition()
        self._forget = _forget_nothing  # a thread that is gone may hold the parent's lock
        self._ended, self._reason = True, ForkedError("this process is a fork")

    def __iter__(self) -> EventStream[Event_co]:
        return self

    def __next__(self) -> Event_co:
        try:
            return self.next()
        except (ChatTimeoutError, NotConnectedError) as error:
            if error is self._reason or (isinstance(error, NotConnectedError) and not self._ended):
                raise  # the connection failed for good, or nobody has logged in
            raise StopIteration from None

    def __enter__(self) -> EventStream[Event_co]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


Stream = TypeVar("Stream", bound=EventStream[object])
"""A class of streams."""


class Streams:
    """The open event streams of one connection, fed when an event is queued for the receivers.

    An event that the full queue rejected is put into the streams all the same, because the caller that waits
    for it may be the slow receiver. The server sends the event again, and it is not put twice. The streams
    are held by weak references.
    """

    def __init__(self) -> None:
        self.hold: Hold | None = None
        """The hold of the lease under which events arrive now; None: there is no lease."""
        self.open: tuple[weakref.ref[EventStream[object]], ...] = ()
        """References to all streams; without any, an event of a stanza need not be fed to them."""
        self._lock = threading.Lock()
        self._shown = SeenMessages()
        self._newest: dict[str, int] = {}  # by signal: the last stanza that was shown,
        self._before: dict[str, int] = {}  # the last one of the link before,
        self._replayed: dict[str, int] = {}  # and the last one when the session was resumed

    def add(self, stream: EventStream[object]) -> None:
        """Feed a stream from now on."""
        with self._lock:
            alive = [ref for ref in self.open if ref() is not None]
            self.open = (*alive, weakref.ref(stream))

    def remove(self, stream: EventStream[object]) -> None:
        """Feed a stream no longer."""
        with self._lock:
            self.open = tuple(ref for ref in self.open if ref() is not stream)

    def feed(self, delivery: Delivery) -> None:
        """Put an event into the streams of its signal."""
        change = delivery.event if isinstance(delivery.event, StateChange) else None
        if change is not None:
            self._note_session(change.state)
        if not self.open:
            return
        streams = [stream for ref in self.open if (stream := ref()) is not None]
        interested = [stream for stream in streams if stream._wants(delivery)]
        if interested and self._note_shown(delivery):
            for stream in interested:
                stream.hold = self.hold
                stream.put(delivery.event, delivery.size)
        if change is not None and change.state is ChatState.CLOSED:
            for stream in streams:
                stream.end(change.reason)

    def _note_session(self, state: ChatState) -> None:
        if state is ChatState.AUTHENTICATED:
            # The count of stanzas starts at 0 again, unless the session is resumed.
            self._before = self._newest or self._before
            self._newest, self._replayed = {}, {}
        elif state is ChatState.RESUMED:
            self._newest, self._replayed = dict(self._before), self._before
        elif state is ChatState.READY:
            self._before = {}

    def _note_shown(self, delivery: Delivery) -> bool:
        """Note that a delivery is put into streams; return whether it is new to them."""
        if delivery.key is not None and not self._shown.add(delivery.key):
            return False
        if delivery.sequence is None:
            return True
        replayed = self._replayed.get(delivery.signal)
        if replayed is not None and not is_before(replayed, delivery.sequence):
            return False
        self._newest[delivery.signal] = delivery.sequence
        return True
