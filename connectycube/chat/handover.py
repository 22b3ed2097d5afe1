"""Handing over what the core says: events to the dispatcher, outcomes and answers to who waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import QueueOverflowError
from ..models import StateChange
from .dispatcher import Dispatcher, Task
from .handle import DoneCallback, SendHandle
from .protocol.core import Core
from .protocol.decoding import Delivery
from .protocol.outputs import Dropped, Echoed, Lookup, Overheard, Recover, Settled
from .protocol.parser import summary
from .protocol.requests import Answer
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
    """Where the core's outputs go; none of it runs user code or waits for anything.

    ``deliver(delivery)`` will be called on a dispatcher worker; ``state_changed(change)`` and
    ``ask(core, question)``, of history, are called at once. A done-callback that takes longer than
    ``slow`` seconds is named in a warning, as receivers are.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        deliver: Callable[[Delivery], None],
        state_changed: Callable[[StateChange], None],
        ask: Callable[[Core, Lookup | Recover], None],
        slow: float,
    ) -> None:
        self._dispatcher = dispatcher
        self._deliver = deliver
        self._state_changed = state_changed
        self._ask = ask
        self._slow = slow
        self.unsettled: set[SendHandle[Any]] = set()
        self.streams = Streams()

    def pass_on(self, core: Core) -> bool:
        """Pass everything the core has said on, in order; whether there was anything."""
        anything = False
        while outputs := core.take_outputs():
            anything = True
            refused: list[Delivery] = []
            for output in outputs:
                if isinstance(output, Delivery):
                    self.streams.feed(output)
                    if (refused and output.sequence is not None) or not self._queue(output):
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
            if refused:
                core.overflowed(refused, self.overflow_error(), time.monotonic())
            else:
                core.taken_over(time.monotonic())
        return anything

    def overflow_error(self) -> QueueOverflowError:
        """Why the link is closed when the queue is full, or made anew when it has drained."""
        name = self._dispatcher.slowest_receiver()
        return QueueOverflowError(
            f"{self._dispatcher.queued} events wait for receivers (now running: {name or 'none'});"
            " what did not fit is fetched again when they have caught up",
            receiver=name,
        )

    def _queue(self, delivery: Delivery) -> bool:
        if isinstance(delivery.event, StateChange):
            self._state_changed(delivery.event)
        task = Task(
            lambda: self._deliver(delivery),
            delivery.conversation,
            delivery.size,
            delivery.merge_key,
        )
        bounded = delivery.sequence is not None
        return self._dispatcher.put(task, bounded=bounded, counts=bounded or delivery.counted)

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
