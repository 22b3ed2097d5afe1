"""Calls the receivers of each event, runs those again that failed for the moment, and gives up the others."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field

from .._backoff import delay_before
from .._checks import name_of, repr_of
from .._containers import AnyDict, AnySet
from ..config import Config, Handling
from ..errors import DurableStoreError, NotConnectedError, NotHandledError
from ..models import CallbackFailure, ReceiverGaveUp, StateChange
from ..observer import call_observer
from .answers import Answers, InboxEntry, Running
from .chat_signals import ChatSignals
from .compact import CompactMessage
from .dispatcher import Again, Dispatcher
from .protocol.decoding import Delivery
from .shutdown import caused_by_exit
from .signals import Connection, Signal

if TYPE_CHECKING:
    from .cursor_mode import CursorMode
    from .durable.mode import Durability
    from .lease.hold import Hold
    from .send_handle import AnyHandle, DoneCallback
    from .tally import Tally

__all__ = ["Receivers"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_LAST = frozenset({"callback_failed", "receiver_gave_up"})
"""Signals about failures: a failure of their receivers is only logged."""
_PREPARED = frozenset({CompactMessage, StateChange})
_GIVE_UP_AFTER = 60.0  # seconds, in memory
_UNTIL_CLOSED = 1.0  # seconds between two looks whether the connection is open again
_LONGEST_WAIT = 3_600.0  # seconds, whatever an error asks for


@define
class _Failure:
    """The failed attempts of one receiver for one event."""

    since: float
    """When the first attempt had failed."""
    attempts: int = 0
    due: float = 0.0
    """When the next attempt is due."""
    answers: Answers | None = None


@define
class _Progress:
    """How far the receivers of one event are, once that cannot be said in one word."""

    only: str | None = None
    done: set[str] = field(factory=AnySet)
    failures: dict[str, _Failure] = field(factory=AnyDict)
    """The receivers that are to run again, by name."""
    is_repeating: bool = False
    """Whether every receiver has had its first attempt."""
    is_cut_off: bool = False
    """Whether a receiver failed while the connection was being closed: it is left to the next login."""
    is_left: bool = False
    """Whether a receiver is left to the next login for another reason."""
    is_noted: bool = True
    """Whether the store knows ``done``."""

    def wants(self, name: str) -> bool:
        """Whether the receiver of this name is to run now."""
        if not self.is_repeating:
            return name not in self.done and self.only in (None, name)
        failure = self.failures.get(name)
        return failure is not None and failure.due <= time.monotonic()


class _Connection(Protocol):
    """The driver, as far as receivers need it."""

    @property
    def is_open(self) -> bool: ...
    def show(self, delivery: Delivery) -> None: ...


class Receivers:
    """Calls the receivers of a chat's signals, on dispatcher workers.

    What receivers raise is logged and reported to ``callback_failed``. After a transient error the receiver
    runs again, while its queue waits without a worker. What is given up is told by ``receiver_gave_up`` and,
    if the event is in a durable store, kept as a dead letter.
    """

    def __init__(self, chat: ChatSignals, config: Config) -> None:
        self.chat = chat
        self._observer = config.observer
        self._handling = config.handling
        self._slow = config.timeouts.slow_callback
        self._connection: _Connection
        self._dispatcher: Dispatcher
        self._durability: Durability | CursorMode
        self._tally: Tally
        self.hold: Hold | None = None
        """The hold of the lease under which events arrive now; None: there is no lease."""
        self.user_id: int | None = None

    def attach(
        self,
        connection: _Connection,
        dispatcher: Dispatcher,
        durability: Durability | CursorMode,
        tally: Tally,
    ) -> None:
        """Use these from now on: also a forked child makes new ones."""
        self._tally = tally
        self._connection = connection
        self._dispatcher = dispatcher
        self._durability = durability
        self.running: Running = durability.running
        self.hold = None
        dispatcher.handle = self.handle

    def begin_for(self, user_id: int) -> None:
        """Call receivers for this user from now on; the receiver that logs in itself goes on for the user."""
        self.user_id = user_id
        if self.running.user_id is not None:
            self.running.user_id = user_id

    def check_user(self) -> None:
        """Raise NotConnectedError in a receiver that still runs for the user of an earlier login."""
        user_id = self.running.user_id
        if user_id and user_id != self.user_id:
            raise NotConnectedError(
                f"this receiver was called for user {user_id}, and user {self.user_id} has logged in"
                " since"
            )

    def is_connected(self, signal: str, receiver: str) -> bool:
        """Whether there is a receiver of this name, by the name of the signal."""
        found = getattr(self.chat, signal, None)
        if not isinstance(found, Signal):
            return False  # the name is that of a file, in which anything may be written
        return any(each.name == receiver for each in found.connections_for(self.chat))

    def handle(
        self,
        delivery: Delivery,
        entry: InboxEntry | None = None,
        progress: _Progress | None = None,
        hold: Hold | None = None,
    ) -> Again | None:
        """Run the receivers of an event; return when to run those again that failed for the moment.

        ``entry`` is the event's in the durable store, ``progress`` that of the passes before this one. With a
        lease (``hold``) none is called once it is over; then an event in a store is left to the next login.
        """
        if progress is None:
            if type(delivery.event) in _PREPARED:
                self._prepare(delivery)
            if entry is not None:
                progress = _Progress(entry.receiver, set(entry.done))
        running = vars(self.running)
        connections = getattr(self.chat, delivery.signal).connections_for(self.chat)
        for connection in connections:
            if hold is not None and not hold.is_valid():
                self._leave(entry, progress)
                return None
            if progress is not None:
                if not progress.wants(connection.name):
                    continue
                self._note_done(entry, progress)  # before the next receiver, which may take long
            failure = progress.failures.pop(connection.name, None) if progress is not None else None
            running["hold"] = hold
            error = self._call(running, connection, delivery, entry, failure)
            answers = running.pop("answers", None)
            if error is not None:
                progress = progress or _Progress()
                failure = failure or _Failure(time.monotonic())
                failure.answers = answers
                self._failed(connection, delivery, entry, progress, failure, error)
            elif progress is not None:
                progress.done.add(connection.name)
                progress.is_noted = False
        if progress is None:
            return None
        return self._finish(delivery, entry, progress, connections, hold)

    def _prepare(self, delivery: Delivery) -> None:
        """Do what goes before the first attempt for an event."""
        if isinstance(delivery.event, CompactMessage):
            delivery.event = delivery.event.whole()
        else:
            self._log(delivery.event)

    def report(self, failure: CallbackFailure) -> None:
        """Tell the receivers and streams of ``callback_failed``, unless one of them is what failed."""
        if self.chat._failure_observer is not None:
            self.chat._failure_observer(self.chat, failure)
        if failure.signal not in _LAST:
            self._tell("callback_failed", failure)

    def call_back(self, callback: DoneCallback, handle: AnyHandle) -> None:
        """Call a done-callback, inside the context managers of ``chat.around``.

        A receiver that adds it to a message with an outcome calls it here, in one attempt and not in another.
        """
        name = name_of(callback)
        call = partial(self._call_inside, partial(callback, handle), None, handle, name)
        self.running.call_outside(call)

    # --- one attempt ---

    def _call(
        self,
        running: dict[str, Any],
        connection: Connection,
        delivery: Delivery,
        entry: InboxEntry | None,
        failure: _Failure | None,
    ) -> BaseException | None:
        """Call a receiver, if it wants the event; return what it raised.

        ``running`` are the attributes of ``self.running`` in this thread: to set one there costs a call.
        """
        name, where, event, chat = connection.name, connection.where, delivery.event, self.chat
        dispatcher, thread = self._dispatcher, threading.get_ident()
        running["delivery"], running["entry"], running["receiver"] = delivery, entry, name
        running["user_id"] = self.user_id
        if failure is not None and failure.answers is not None:
            running["answers"] = failure.answers
            failure.answers.begin()
        # As receiver_began() and receiver_ended() of the dispatcher, without the calls.
        receivers, spent = dispatcher.receivers, dispatcher.spent
        outer, began = receivers.get(thread), time.monotonic()
        receivers[thread] = (name, delivery.signal, began)
        try:
            if where is None or where(event):
                if chat._managers or self._observer is not None:
                    managed = partial(
                        self._call_inside, signal=delivery.signal, event=event, receiver=name
                    )
                    self.running.call_inside(managed, partial(connection.receiver, chat, event))
                else:
                    connection.receiver(chat, event)
        except BaseException as error:  # noqa: BLE001 - also SystemExit: it would end the worker alone
            return error
        finally:
            running["delivery"] = running["hold"] = running["user_id"] = None
            if outer is None:
                del receivers[thread]
            else:
                receivers[thread] = outer
            took = time.monotonic() - began
            spent[name] = spent.get(name, 0.0) + took
            if took > self._slow:
                logger.warning("receiver %s of %s took %.1f seconds", name, delivery.signal, took)
        return None

    def _call_inside(
        self, call: Callable[[], object], signal: str | None, event: object, receiver: str
    ) -> None:
        """Make a call inside the context managers of ``chat.around``, and tell the observer."""
        observer, what = self._observer, (self.chat, signal, event, receiver)
        if observer is None:
            self._call_managed(call, what)
            return
        call_observer(observer, "receiver_began", *what)
        try:
            self._call_managed(call, what)
        except BaseException as error:
            call_observer(observer, "receiver_ended", *what, error)
            raise
        call_observer(observer, "receiver_ended", *what, None)

    def _call_managed(
        self, call: Callable[[], object], what: tuple[ChatSignals, str | None, object, str]
    ) -> None:
        with ExitStack() as stack:
            for manager in self.chat._managers:
                stack.enter_context(manager(*what))
            call()

    # --- after an error ---

    def _failed(
        self,
        connection: Connection,
        delivery: Delivery,
        entry: InboxEntry | None,
        progress: _Progress,
        failure: _Failure,
        error: BaseException,
    ) -> None:
        """Decide what follows an error, and tell of it."""
        name, signal, now = connection.name, delivery.signal, time.monotonic()
        # The close of the connection may well be the cause: in durable mode the receiver is left to the next
        # login, which is also what follows a transient error then.
        is_over = not self._connection.is_open
        is_cut_off = entry is not None and is_over
        if caused_by_exit(error):
            logger.debug("receiver %s of %s was cut off: %s", name, signal, error)
            progress.is_cut_off = is_cut_off
            return
        is_of_server = delivery.sequence is not None or delivery.takes_room
        if is_over and isinstance(error, NotHandledError) and (entry is not None or is_of_server):
            # No fault of the receiver: the event is left to the next login, and counted as abandoned if no
            # store has it.
            logger.debug("receiver %s of %s was cut off: %s", name, signal, error)
            progress.is_cut_off = True
            return
        failure.attempts += 1
        delay = None if signal in _LAST else self._delay(connection, entry, failure, error, now)
        with suppress(Exception):  # of an application's log handler
            if delay is None or is_cut_off:
                logger.error("receiver %s of %s raised", name, signal, exc_info=error)
            else:
                logger.warning(
                    "receiver %s of %s raised, and runs again in %.3g seconds (attempt %d): %s",
                    *(name, signal, delay, failure.attempts, repr_of(error)),
                )
        self.report(
            CallbackFailure(receiver=name, signal=signal, event=delivery.event, error=error)
        )
        if signal in _LAST:
            return
        if is_cut_off:
            progress.is_cut_off = True
        elif delay is not None:
            failure.due = now + delay
            progress.failures[name] = failure
        else:
            self._give_up(delivery, entry, progress, name, failure, error)

    def _delay(
        self,
        connection: Connection,
        entry: InboxEntry | None,
        failure: _Failure,
        error: BaseException,
        now: float,
    ) -> float | None:
        """Return the seconds until the next attempt; None if there is none."""
        handling = connection.handling or self._handling
        if not isinstance(error, Exception) or not _passes(handling, error):
            return None
        patience = handling.give_up_after
        if patience is None:
            patience = math.inf if entry is not None else _GIVE_UP_AFTER
        left = patience - (now - failure.since)
        asked = min(_asked_by(error), _LONGEST_WAIT)
        if left <= 0.0 or asked > left:
            return None
        # The last attempt is made at the end: the delays double, so the next one may reach far beyond it.
        return max(min(left, delay_before(failure.attempts, handling, random.random)), asked)

    def _give_up(
        self,
        delivery: Delivery,
        entry: InboxEntry | None,
        progress: _Progress,
        name: str,
        failure: _Failure,
        error: BaseException,
    ) -> None:
        gave_up = ReceiverGaveUp(
            event=delivery.event,
            signal=delivery.signal,
            receiver=name,
            error=error,
            attempts=failure.attempts,
        )
        if entry is not None:
            # Before the store notes that the receiver is done: a process that dies in between gives it up
            # again, and the same letter takes the place of this one.
            try:
                self._durability.bury(entry, gave_up)
            except Exception as refused:  # noqa: BLE001 - the text of the error is the application's code
                is_ours = isinstance(refused, DurableStoreError)
                why = (
                    str(refused)
                    if is_ours
                    else f"no dead letter can be written: {repr_of(refused)}"
                )
                logger.error("%s; the event is left to the next login", why)
                progress.is_left = True
                return
        progress.done.add(name)
        progress.is_noted = False
        self._tally.gave_up()
        self._tell("receiver_gave_up", gave_up)

    def _tell(self, signal: str, event: object) -> None:
        delivery, running = Delivery(signal=signal, event=event), self.running
        self._connection.show(delivery)
        # A done-callback that fails inside a receiver is told of in the same thread.
        outer = vars(running).copy()
        vars(running).clear()
        self.handle(delivery)
        vars(running).clear()
        vars(running).update(outer)

    # --- the end of a pass ---

    def _finish(
        self,
        delivery: Delivery,
        entry: InboxEntry | None,
        progress: _Progress,
        connections: tuple[Connection, ...],
        hold: Hold | None,
    ) -> Again | None:
        """Note in the store what was done; return when to go on, or None if the event is handled."""
        connected = {connection.name for connection in connections}
        for name in progress.failures.keys() - connected:
            del progress.failures[name]  # it was disconnected since
        if progress.is_cut_off:
            self._note_done(entry, progress)
            return Again(_UNTIL_CLOSED, partial(self._go_on, delivery, entry, progress, hold))
        if progress.failures:
            self._note_done(entry, progress)
            progress.is_repeating = True
            due = min(failure.due for failure in progress.failures.values())
            again = partial(self.handle, delivery, entry, progress, hold)
            return Again(max(0.0, due - time.monotonic()), again)
        if entry is not None:
            # Without receivers while the connection is being closed: destroy() has forgotten them.
            keep = progress.is_left or not (connections or self._connection.is_open)
            if keep:
                self._note_done(entry, progress)
            if not keep and entry.receiver is not None and entry.receiver not in progress.done:
                self._durability.put_back(entry)
            else:
                self._durability.handled(entry, keep=keep)
        return None

    def _go_on(
        self,
        delivery: Delivery,
        entry: InboxEntry | None,
        progress: _Progress,
        hold: Hold | None,
    ) -> Again | None:
        """Run the receivers that the close cut off, if a login came before the workers were to end.

        Until then the queue waits, so that no later event of the conversation comes first; the dispatcher
        leaves the whole queue to the next login when it stops.
        """
        if self._connection.is_open:
            return self.handle(delivery, entry, _Progress(progress.only, progress.done), hold)
        return Again(_UNTIL_CLOSED, partial(self._go_on, delivery, entry, progress, hold))

    def _leave(self, entry: InboxEntry | None, progress: _Progress | None) -> None:
        """Leave an event to the next holder of the lease."""
        if entry is not None and progress is not None:
            self._note_done(entry, progress)
            self._durability.handled(entry, keep=True)

    def _note_done(self, entry: InboxEntry | None, progress: _Progress) -> None:
        if entry is not None and not progress.is_noted:
            progress.is_noted = True
            self._durability.note_done(entry, progress.done)

    def _log(self, change: StateChange) -> None:
        # Here and not where the state changes: a log handler may call the chat, and no lock is held.
        reason = f": {change.reason}" if change.reason else ""
        logger.info("%s: %s -> %s%s", self.chat, change.previous.value, change.state.value, reason)


def _asked_by(error: Exception) -> float:
    """Return the seconds that an error asks for, 0 if it does not."""
    try:
        asked = getattr(error, "retry_after", None)
    except Exception:
        logger.exception("retry_after of an error raised")
        return 0.0
    return asked if isinstance(asked, (int, float)) else 0.0


def _passes(handling: Handling, error: Exception) -> bool:
    """Whether the application, or the default, says that an error passes."""
    try:
        return handling.passes(error)
    except BaseException:  # also SystemExit: the event would be lost
        logger.exception("transient() of a Handling raised")
        return False
