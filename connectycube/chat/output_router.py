"""Routes the core's outputs: events to the dispatcher, outcomes to handles, answers to waiting threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

from .._checks import name_of
from ..errors import DurableStoreError, QueueOverflowError
from ..models import Abandoned, StateChange
from .answers import InboxEntry
from .compact import compact
from .cursor_mode import CursorMode
from .dispatcher import Dispatcher, Task, new_task
from .durable.mode import MOST_BYTES_IN_MEMORY, Durability, Saved
from .event_stream import Streams
from .lease.hold import OF_THIS_PROCESS
from .observed_mutex import ObservedMutex
from .protocol.core import Core
from .protocol.decoding import Delivery, summary
from .protocol.events import (
    CheckStored,
    Dropped,
    EchoReceived,
    FetchGap,
    OutcomeKnown,
    Output,
    UncommittedDelivery,
)
from .protocol.iq import Answer
from .protocol.states import READY_STATES
from .receivers import Receivers
from .send_handle import AnyHandle, DoneCallback
from .tally import Tally

__all__ = ["OutputRouter"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_NO_ENTRIES: Mapping[Delivery, InboxEntry] = {}

_MOST_WHOLE = 512
"""So many queued events are whole; later ones are compact, which takes a quarter of a message's CPU."""
_RECOVERY_SIGNALS = ("recovery_finished", "recovery_failed")
_DEAD_LETTERS_EVERY = 2.0  # seconds between two looks at what other processes have marked


class OutputRouter:
    """Routes each output of the core to its place, with the driver's mutex held.

    It runs no user code and waits for nothing but the disk. The receivers are called on a dispatcher worker.
    ``read_back(conversation)`` is called there to queue what stayed in the store. ``state_changed(change)``
    and ``ask(core, question)``, a question to history, are called at once. A done-callback that takes longer
    than ``slow`` seconds is named in a warning. ``notes`` are for the observer, if there is one.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        receivers: Receivers,
        read_back: Callable[[str], None],
        state_changed: Callable[[StateChange], None],
        ask: Callable[[Core, CheckStored | FetchGap], None],
        slow: float,
        durability: Durability | CursorMode,
        tally: Tally,
        mutex: threading.Lock,
        notes: ObservedMutex | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._receivers = receivers
        self._last_user: int | None = None
        self._last_warning = ""  # the last warning about the dead letters
        self._read_back = read_back
        self._state_changed = state_changed
        self._slow = slow
        self._durability = durability
        self._file = durability if isinstance(durability, Durability) else None
        self._tally = tally
        self._mutex = mutex
        self._notes = notes
        # By conversation: the number of the last event that was queued before it was left in the file.
        self._queued_to: dict[str, int] = {}
        self._now = 0.0  # when these outputs are routed: one number for all their tasks
        self.streams: Streams = Streams()
        self._routes: Mapping[type, Callable[[Core, Any], None]] = {
            OutcomeKnown: self._settle,
            EchoReceived: self._note_echo,
            Answer: self._answer,
            UncommittedDelivery: self._show,
            Dropped: self._log_dropped,
            CheckStored: ask,
            FetchGap: ask,
        }

    @property
    def wants_sent(self) -> bool:
        """Whether a receiver, a stream or the observer is to be told that a message was sent."""
        receivers = self._receivers.chat.message_sent.receivers
        return bool(receivers) or bool(self.streams.open) or self._notes is not None

    def begin_for(self, user_id: int) -> None:
        """Drop what is queued for another user, whose events must not reach the receivers of this one."""
        self._receivers.begin_for(user_id)
        other, self._last_user = self._last_user, user_id
        self._queued_to.clear()
        if other in (None, user_id):
            return
        dropped = self._dispatcher.forget_user()
        if dropped:
            words = (
                f"abandoned: {Abandoned(queued=dropped)} of user {other}, as user {user_id} logs in"
            )
            self._dispatcher.put(Task(lambda: logger.warning("%s", words), "log"), bounded=False)

    def route(self, core: Core, now: float | None = None) -> bool:
        """Route all outputs of the core, in order; return whether there were any.

        ``now`` is the time of the read that they come from, if they come from one.
        """
        has_routed = False
        self._now = time.monotonic() if now is None else now
        while core.session.outputs:
            outputs = core.session.take_outputs()
            has_routed = True
            # The order is the promise of durable mode: commit, then queue for receivers, then acknowledge to
            # the server. A process that is killed between two of these steps repeats work and loses none.
            try:
                entries = self._durability.commit(outputs, core.session.recovery.cursor)
            except DurableStoreError as error:
                self._route_uncommitted(core, outputs, error)
            else:
                if self._durability.has_file:
                    self._now = time.monotonic()  # the disk may have taken long
                self._route_committed(core, outputs, entries)
        return has_routed

    def _route_committed(
        self, core: Core, outputs: Sequence[Output], entries: Mapping[Delivery, InboxEntry]
    ) -> None:
        """Route outputs that are committed; ``entries`` are those of events in the durable store.

        Once the queue has rejected a delivery, all later ones are rejected as well. The server sends them
        again in their order; without this rule a later message could overtake an earlier one.
        """
        rejected: list[Delivery] = []
        together: list[Delivery] = []
        streams, has_saved = self.streams, self._durability.has_saved
        # What waits in the queue without a task of its own: no store and no lease must know of it.
        may_be_plain = not entries and self._receivers.hold is None
        for output in outputs:
            if not isinstance(output, Delivery):
                if together:
                    self._queue_together(together, rejected)
                self._routes[type(output)](core, output)
                continue
            is_repeatable = output.sequence is not None
            if is_repeatable and has_saved:
                has_saved = False
                self._queue_saved()  # events of an earlier process are older than any of this session
            # Before the queue, which may reject the event: the caller that waits for it in a stream may be
            # the slow receiver that keeps the queue full.
            if streams.open or output.sequence is None:
                streams.feed(output)
            if may_be_plain and is_repeatable and output.merge_key is None:
                together.append(output)
                continue
            self._queue_together(together, rejected)
            if (rejected and is_repeatable) or not self._queue(output, entries):
                rejected.append(output)
        self._queue_together(together, rejected)
        if not rejected:
            core.committed(self._now)
            return
        try:
            self._durability.withdraw(_entries_of(rejected, entries))
        except DurableStoreError as error:
            # The rows stay in the file, so the server must not send the events again: the connection has
            # to end.
            core.fail(rejected, error)
        else:
            core.overflowed(rejected, self.overflow_error(), time.monotonic())

    def _route_uncommitted(
        self, core: Core, outputs: Sequence[Output], error: DurableStoreError
    ) -> None:
        """Route outputs that the store could not commit, and close the connection.

        No receiver gets a delivery that the server sends again: without the store it would be handled twice.
        """
        lost: list[Delivery] = []
        for output in outputs:
            if not isinstance(output, Delivery):
                self._routes[type(output)](core, output)
            # The server, or history, has these still. All others (states, failures) exist here alone, so
            # receivers get them.
            elif output.sequence is not None or output.key is not None:
                lost.append(output)
            else:
                self.streams.feed(output)
                self._queue(output, _NO_ENTRIES)
        core.fail(lost, error)

    # --- outcomes, answers and the log ---

    def _settle(self, core: Core, outcome: OutcomeKnown) -> None:
        # Threads that wait for the handle wake at once; callbacks are user code, so they go to a worker.
        submission, error = outcome
        handle: AnyHandle = submission.waiter
        self._tally.unsettled.discard(handle)
        if error is None:
            self._tally.sent += 1
        else:
            self._tally.note_error(error)
        if self._notes is not None:
            self._notes.note("message_settled", handle, error)
        for callback in handle.settle(error):
            self._queue_callback(handle, callback, submission.to)

    def _note_echo(self, core: Core, echo: EchoReceived) -> None:
        echo.submission.waiter.server_copy = echo.message

    def _answer(self, core: Core, answer: Answer) -> None:
        # Wakes a thread in Requester.ask; the mutex is held, so that thread sees the answer or cancels, not
        # both.
        answer.waiter.put(answer)

    def _show(self, core: Core, output: UncommittedDelivery) -> None:
        self.streams.feed(output.delivery)

    def _log_dropped(self, core: Core, dropped: Dropped) -> None:
        """Let a worker write the log line: a log handler is user code, and the mutex is held here."""
        if logger.isEnabledFor(logging.DEBUG):
            line = f"{dropped.reason}: {summary(dropped.stanza)}"
            self._dispatcher.put(Task(lambda: logger.debug(line), "log", merge_key="log"))

    # --- deliveries ---

    def _queue_saved(self) -> None:
        """Queue, once, the events that an earlier process committed and did not handle."""
        saved, unread = self._durability.load_saved()
        self._queue_stored(saved)
        for conversation in unread:
            self._queue_read_back(conversation)

    def _queue_stored(self, saved: Sequence[Saved], *, counts: bool = False) -> None:
        """Queue events that were in the durable store."""
        now = time.monotonic()
        for delivery, entry in saved:
            if not self._durability.was_shown(entry):
                self.streams.feed(delivery)
            self._dispatcher.put(self._task(delivery, entry, now), bounded=False, counts=counts)
            if entry.n <= self._queued_to.get(entry.key[0], 0):
                continue  # it was counted and reported when it arrived
            if getattr(delivery.event, "redelivered", False):
                self._tally.redelivered += 1
            if self._notes is not None:
                self._notes.note("event_queued", delivery.signal, delivery.event)

    def _queue_read_back(self, conversation: str) -> None:
        """Let a worker read the next events of a conversation, behind those that are queued."""
        read = partial(self._read_back, conversation)
        assert self._file is not None
        leave = partial(self._file.leave_parked, conversation)
        task = Task(read, conversation or None, leave=leave, is_users=True)
        self._dispatcher.put(task, bounded=False)

    def read_back(self, conversation: str) -> None:
        """Queue the next events of a conversation that stayed in the store. Raises DurableStoreError."""
        assert self._file is not None
        saved, has_more = self._file.read_back(conversation, self._dispatcher.room_to_half())
        self._queue_stored(saved, counts=True)
        if has_more:
            self._queue_read_back(conversation)
        else:
            self._queued_to.pop(conversation, None)

    def leave_in_file(self, queue_key: Hashable) -> None:
        """Take a conversation that waits out of memory, but for its first event; it is read back later."""
        tasks = self._dispatcher.take_stored(queue_key)
        entries = [task.stored for task in tasks if task.stored is not None]
        if not entries or self._file is None:
            return
        conversation, last = entries[0].key[0], entries[-1].n
        self._queued_to[conversation] = max(last, self._queued_to.get(conversation, 0))
        if self._file.park(entries):
            self._queue_read_back(conversation)

    def watch_dead_letters(self, seconds: float = 0.0) -> None:
        """Look, after so many seconds and again and again, for dead letters that are marked to be retried."""
        if self._file is not None and self._file.path:
            self._dispatcher.put_later(seconds, Task(self._retry_dead_letters, "dead letters"))

    def _retry_dead_letters(self) -> None:
        try:
            assert self._file is not None
            if taken := self._file.take_marked(self._receivers.is_connected):
                with self._mutex:
                    self._queue_stored(taken)
        except DurableStoreError as error:
            if str(error) != self._last_warning:  # and not again every two seconds
                logger.warning("%s", error)
            self._last_warning = str(error)
        self.watch_dead_letters(_DEAD_LETTERS_EVERY)

    def overflow_error(self) -> QueueOverflowError:
        """Return the reason for closing the link when the queue is full, and for a new link afterwards."""
        running = self._dispatcher.slowest_receiver()
        name = running or self._dispatcher.slowest_of_late()
        if running is not None:
            what_is_slow = f"now running: {running}"
        else:
            what_is_slow = f"none runs now; slowest of late: {name or 'none'}"
        return QueueOverflowError(
            f"{self._dispatcher.queued} events wait for receivers ({what_is_slow});"
            " what did not fit is fetched again when they have caught up",
            receiver=name,
        )

    def _queue_together(self, deliveries: list[Delivery], rejected: list[Delivery]) -> None:
        """Queue deliveries for the receivers, and empty the list; what finds no room is rejected."""
        if not deliveries:
            return
        # An observer is told of the very event that receivers get.
        if self._dispatcher.queued >= _MOST_WHOLE and self._notes is None:
            for delivery in deliveries:
                delivery.event = compact(delivery.event)
        count = 0 if rejected else self._dispatcher.put_all(deliveries, self._now)
        queued = deliveries if count == len(deliveries) else deliveries[:count]
        rejected += deliveries[count:]
        self._tally.note_queued(queued)
        if self._notes is not None:
            for delivery in queued:
                self._note_queued(self._notes, delivery)
        deliveries.clear()

    def _queue(self, delivery: Delivery, entries: Mapping[Delivery, InboxEntry]) -> bool:
        """Queue a delivery for the receivers; return whether there was room."""
        change = delivery.event if isinstance(delivery.event, StateChange) else None
        if change is not None:
            # Before it is queued, for the threads in login() and logout(). Receivers get it on a worker.
            self._note_state(change)
            self._state_changed(change)
        entry = entries.get(delivery) if entries else None
        stays = entry is not None and self._stays_in_store(delivery, entry)
        # A delivery with a sequence comes again if it is rejected, so it may be, and one with a merge key may
        # be dropped. Others must fit.
        bounded = delivery.sequence is not None or delivery.merge_key is not None
        has_room = stays or self._dispatcher.put(
            self._task(delivery, entry, self._now),
            bounded=bounded,
            counts=bounded or delivery.takes_room,
        )
        if has_room:
            self._tally.note_queued((delivery,))
            if self._notes is not None and not stays:
                self._note_queued(self._notes, delivery)
        if change is not None and change.state in READY_STATES:
            self._queue_saved()  # after the event of the state, also if no new message arrives
        return has_room

    def _note_state(self, change: StateChange) -> None:
        back = self._tally.note_state(change)
        if self._notes is not None:
            self._notes.note("state_changed", change)
            if back is not None:
                self._notes.note("reconnected", back.resumed, back.seconds, back.reason)

    def _note_queued(self, notes: ObservedMutex, delivery: Delivery) -> None:
        notes.note("event_queued", delivery.signal, delivery.event)
        if delivery.signal in _RECOVERY_SIGNALS:
            notes.note("recovery_ended", delivery.event)

    def _task(self, delivery: Delivery, entry: InboxEntry | None, now: float) -> Task:
        hold, handle = self._receivers.hold, self._receivers.handle
        run = (
            partial(handle, delivery, entry)
            if hold is None or delivery.signal in OF_THIS_PROCESS
            else partial(handle, delivery, entry, None, hold)
        )
        return new_task(
            run,
            delivery.conversation,
            delivery.size,
            delivery.merge_key,
            None if entry is None else partial(self._durability.leave, entry),
            not isinstance(delivery.event, StateChange),
            None if self._file is None else entry,
            now,
        )

    def _stays_in_store(self, delivery: Delivery, entry: InboxEntry) -> bool:
        """Leave an event in the durable store, if its conversation waits and has many; return whether."""
        file, conversation = self._file, delivery.conversation
        if file is None:
            return False
        if file.joins_parked(entry):
            return True
        most = file.most_in_memory
        if not self._dispatcher.is_overlong(conversation, most, MOST_BYTES_IN_MEMORY):
            return False
        file.park([entry])
        self._queue_read_back(entry.key[0])
        return True

    def _queue_callback(self, handle: AnyHandle, callback: DoneCallback, queue_key: str) -> None:
        def run() -> None:
            name, began = name_of(callback), time.monotonic()
            outer = self._dispatcher.receiver_began(name, "add_done_callback")
            try:
                handle.run(callback)
            finally:
                self._dispatcher.receiver_ended(outer)
                took = time.monotonic() - began
                if took > self._slow:
                    logger.warning(
                        "done-callback %s of message %s took %.1f seconds", name, handle.id, took
                    )

        self._dispatcher.put(Task(run, queue_key), bounded=False)


def _entries_of(
    deliveries: Sequence[Delivery], entries: Mapping[Delivery, InboxEntry]
) -> list[InboxEntry]:
    return [entries[delivery] for delivery in deliveries if delivery in entries]
