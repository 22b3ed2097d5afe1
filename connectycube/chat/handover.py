"""Handing over what the core says: events to the dispatcher, outcomes and answers to who waits."""

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
from .durability import Durability, Place
from .handle import DoneCallback, SendHandle
from .protocol.core import Core
from .protocol.decoding import Delivery
from .protocol.outputs import Dropped, Echoed, Lookup, Output, Overheard, Recover, Settled
from .protocol.parser import summary
from .protocol.repetitions import Key
from .protocol.requests import Answer
from .protocol.states import READY_STATES
from .signals import name_of
from .waiting import Streams

__all__ = ["HandOver", "Request"]

logger = logging.getLogger("connectycube.chat")


class Request:
    """The ticket of one IQ: the thread that waits for its answer."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.event = threading.Event()


class HandOver:
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
        ask: Callable[[Core, Lookup | Recover], None],
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

    def pass_on(self, core: Core) -> bool:
        """Pass everything the core has said on, in order; whether there was anything."""
        anything = False
        while outputs := core.take_outputs():
            anything = True
            try:
                places = self._durability.take_over(outputs, core.recovery.cursor)
            except DurableStoreError as error:
                core.fail(self._pass(core, outputs, None), error)
                continue
            refused = self._pass(core, outputs, places)
            if not refused:
                core.taken_over(time.monotonic())
                continue
            try:
                self._durability.withdraw(_places_of(refused, places))
            except DurableStoreError as error:
                core.fail(refused, error)
            else:
                core.overflowed(refused, self.overflow_error(), time.monotonic())
        return anything

    def _pass(
        self, core: Core, outputs: Sequence[Output], places: Mapping[Key, Place] | None
    ) -> list[Delivery]:
        """Pass outputs on in order; return the deliveries that could not be taken over.

        ``places`` are those of messages in the durable store; None if it could not take them: then no
        receiver gets what would come again.
        """
        refused: list[Delivery] = []
        for output in outputs:
            if isinstance(output, Delivery):
                if places is None and (output.sequence is not None or output.key is not None):
                    refused.append(output)
                    continue
                if output.sequence is not None:
                    self._pass_left()
                self.streams.feed(output)
                if (refused and output.sequence is not None) or not self._queue(output, places):
                    refused.append(output)
            elif isinstance(output, Settled):
                self._settle(output)
            elif isinstance(output, Dropped):
                self._log_dropped(output)
            elif isinstance(output, Overheard):
                self.streams.feed(output.delivery)
            elif isinstance(output, Echoed):
                output.submission.ticket.server_copy = output.message
            elif isinstance(output, Answer):
                output.ticket.answer = output
                output.ticket.event.set()
            else:
                self._ask(core, output)
        return refused

    def _pass_left(self) -> None:
        """Queue what another process had taken over: once, before anything that is new."""
        for delivery, place in self._durability.take_left():
            self.streams.feed(delivery)
            task = Task(partial(self._run, delivery, place), delivery.conversation)
            self._dispatcher.put(task, bounded=False)

    def overflow_error(self) -> QueueOverflowError:
        """Why the link is closed when the queue is full, or made anew when it has drained."""
        name = self._dispatcher.slowest_receiver()
        return QueueOverflowError(
            f"{self._dispatcher.queued} events wait for receivers (now running: {name or 'none'});"
            " what did not fit is fetched again when they have caught up",
            receiver=name,
        )

    def _queue(self, delivery: Delivery, places: Mapping[Key, Place] | None) -> bool:
        change = delivery.event if isinstance(delivery.event, StateChange) else None
        if change is not None:
            self._state_changed(change)
        place = places.get(delivery.key) if places and delivery.key is not None else None
        task = Task(
            partial(self._run, delivery, place),
            delivery.conversation,
            delivery.size,
            delivery.merge_key,
        )
        bounded = delivery.sequence is not None
        has_room = self._dispatcher.put(task, bounded=bounded, counts=bounded or delivery.counted)
        if change is not None and change.state in READY_STATES:
            self._pass_left()
        return has_room

    def _run(self, delivery: Delivery, place: Place | None) -> None:
        """Call the receivers, on a worker; ``place`` is that of a message in the durable store."""
        if place is None or delivery.key is None:
            self._deliver(delivery)
            return
        with self._durability.handling(place, delivery.key):
            done = self._deliver(delivery)
        self._durability.handled(place, keep=not done)

    def _log_dropped(self, dropped: Dropped) -> None:
        """Have a line written by a worker: a log handler may do anything, and a lock is held here."""
        if logger.isEnabledFor(logging.DEBUG):
            line = f"{dropped.reason}: {summary(dropped.stanza)}"
            self._dispatcher.put(Task(lambda: logger.debug(line), "log", merge_key="log"))

    def _settle(self, settled: Settled) -> None:
        handle: SendHandle[Any] = settled.submission.ticket
        self.unsettled.discard(handle)
        for callback in handle.settle(settled.error):
            self._queue_callback(handle, callback, settled.submission.to)

    def _queue_callback(self, handle: SendHandle[Any], callback: DoneCallback, lane: str) -> None:
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

        self._dispatcher.put(Task(run, lane), bounded=False)


def _places_of(deliveries: Sequence[Delivery], places: Mapping[Key, Place]) -> list[Place]:
    keys = [delivery.key for delivery in deliveries if delivery.key is not None]
    return [places[key] for key in keys if key in places]
