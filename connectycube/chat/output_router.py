"""Routes the core's outputs: events to the dispatcher, outcomes to handles, answers to waiting threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..errors import DurableStoreError, QueueOverflowError
from ..models import StateChange
from .dispatcher import Dispatcher, Task
from .durable.mode import Durability, InboxEntry
from .event_stream import Streams
from .protocol.core import Core
from .protocol.decoding import Delivery
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
from .protocol.parser import summary
from .protocol.seen_messages import Key
from .protocol.states import READY_STATES
from .send_handle import DoneCallback, SendHandle
from .signals import name_of

__all__ = ["OutputRouter", "Request"]

logger = logging.getLogger("connectycube.chat")


class Request:
    """The waiter of one IQ: the thread that waits for its answer."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.event = threading.Event()


class OutputRouter:
    """Where the core's outputs go; none of it runs user code or waits for anything but the disk.

    ``deliver(delivery)`` will be called on a dispatcher worker and returns whether the message need not be
    kept for the receivers of another login; ``state_changed(change)`` and ``ask(core, question)``, of
    history, are called at once. A done-callback that takes longer than ``slow`` seconds is named in a
    warning, as receivers are.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        deliver: Callable[[Delivery], bool],
        state_changed: Callable[[StateChange], None],
        ask: Callable[[Core, CheckStored | FetchGap], None],
        slow: float,
        durability: Durability,
    ) -> None:
        self._dispatcher = dispatcher
        self._deliver = deliver
        self._state_changed = state_changed
        self._ask = ask
        self._slow = slow
        self._durability = durability
        self.unsettled: set[SendHandle[Any]] = set()
        self.streams = Streams()

    def route(self, core: Core) -> bool:
        """Route all outputs of the core, in order; return whether there were any."""
        anything = False
        while outputs := core.take_outputs():
            anything = True
            try:
                entries = self._durability.commit(outputs, core.recovery.cursor)
            except DurableStoreError as error:
                core.fail(self._route(core, outputs, None), error)
                continue
            refused = self._route(core, outputs, entries)
            if not refused:
                core.committed(time.monotonic())
                continue
            try:
                self._durability.withdraw(_entries_of(refused, entries))
            except DurableStoreError as error:
                core.fail(refused, error)
            else:
                core.overflowed(refused, self.overflow_error(), time.monotonic())
        return anything

    def _route(
        self, core: Core, outputs: Sequence[Output], entries: Mapping[Key, InboxEntry] | None
    ) -> list[Delivery]:
        """Route outputs in order; return the deliveries that were rejected.

        ``entries`` are those of messages in the durable store; None if the store failed. Then no receiver
        gets a delivery that the server sends again.
        """
        refused: list[Delivery] = []
        for output in outputs:
            if isinstance(output, Delivery):
                if entries is None and (output.sequence is not None or output.key is not None):
                    refused.append(output)
                    continue
                if output.sequence is not None:
                    self._queue_saved()
                self.streams.feed(output)
                if (refused and output.sequence is not None) or not self._queue(output, entries):
                    refused.append(output)
            elif isinstance(output, OutcomeKnown):
                self._settle(output)
            elif isinstance(output, Dropped):
                self._log_dropped(output)
            elif isinstance(output, UncommittedDelivery):
                self.streams.feed(output.delivery)
            elif isinstance(output, EchoReceived):
                output.submission.waiter.server_copy = output.message
            elif isinstance(output, Answer):
                output.waiter.answer = output
                output.waiter.event.set()
            else:
                self._ask(core, output)
        return refused

    def _queue_saved(self) -> None:
        """Queue the messages that an earlier process committed and did not handle: once, before new ones."""
        for delivery, entry in self._durability.load_saved():
            self.streams.feed(delivery)
            task = Task(partial(self._run, delivery, entry), delivery.conversation)
            self._dispatcher.put(task, bounded=False)

    def overflow_error(self) -> QueueOverflowError:
        """Why the link is closed when the queue is full, or made anew when it has drained."""
        name = self._dispatcher.slowest_receiver()
        return QueueOverflowError(
            f"{self._dispatcher.queued} events wait for receivers (now running: {name or 'none'});"
            " what did not fit is fetched again when they have caught up",
            receiver=name,
        )

    def _queue(self, delivery: Delivery, entries: Mapping[Key, InboxEntry] | None) -> bool:
        change = delivery.event if isinstance(delivery.event, StateChange) else None
        if change is not None:
            self._state_changed(change)
        entry = entries.get(delivery.key) if entries and delivery.key is not None else None
        task = Task(
            partial(self._run, delivery, entry),
            delivery.conversation,
            delivery.size,
            delivery.merge_key,
        )
        bounded = delivery.sequence is not None
        has_room = self._dispatcher.put(
            task, bounded=bounded, counts=bounded or delivery.takes_room
        )
        if change is not None and change.state in READY_STATES:
            self._queue_saved()
        return has_room

    def _run(self, delivery: Delivery, entry: InboxEntry | None) -> None:
        """Call the receivers, on a worker; ``entry`` is that of a message in the durable store."""
        if entry is None or delivery.key is None:
            self._deliver(delivery)
            return
        with self._durability.handling(entry, delivery.key):
            done = self._deliver(delivery)
        self._durability.handled(entry, keep=not done)

    def _log_dropped(self, dropped: Dropped) -> None:
        """Have a line written by a worker: a log handler may do anything, and a lock is held here."""
        if logger.isEnabledFor(logging.DEBUG):
            line = f"{dropped.reason}: {summary(dropped.stanza)}"
            self._dispatcher.put(Task(lambda: logger.debug(line), "log", merge_key="log"))

    def _settle(self, settled: OutcomeKnown) -> None:
        handle: SendHandle[Any] = settled.submission.waiter
        self.unsettled.discard(handle)
        for callback in handle.settle(settled.error):
            self._queue_callback(handle, callback, settled.submission.to)

    def _queue_callback(
        self, handle: SendHandle[Any], callback: DoneCallback, queue_key: str
    ) -> None:
        def run() -> None:
            name, began = name_of(callback), time.monotonic()
            self._dispatcher.note_receiver(name)
            try:
                handle.run(callback)
            finally:
                self._dispatcher.note_receiver(None)
                took = time.monotonic() - began
                if took > self._slow:
                    logger.warning(
                        "done-callback %s of message %s took %.1f seconds", name, handle.id, took
                    )

        self._dispatcher.put(Task(run, queue_key), bounded=False)


def _entries_of(
    deliveries: Sequence[Delivery], entries: Mapping[Key, InboxEntry]
) -> list[InboxEntry]:
    keys = [delivery.key for delivery in deliveries if delivery.key is not None]
    return [entries[key] for key in keys if key in entries]
