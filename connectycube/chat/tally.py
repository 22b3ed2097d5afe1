"""The counts of a connection, and the snapshot that ``chat.statistics()`` returns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime, timezone

from attrs import asdict, frozen

from ..errors import OutcomeUnknownError, SendDeferredError
from ..models import ChatState, StateChange, Statistics
from .cursor_mode import CursorMode
from .dispatcher import Dispatcher
from .durable.mode import Durability
from .protocol.core import Core
from .protocol.decoding import MESSAGE_SIGNALS, Delivery
from .protocol.states import READY_STATES
from .send_handle import AnyHandle

__all__ = ["Return", "Tally"]


@frozen
class Return:
    """A connection that was lost is ready again, after so many ``seconds``."""

    resumed: bool
    seconds: float
    reason: Exception | None


@frozen
class _Entered:
    """A state, and when it was entered, by both clocks."""

    state: ChatState
    at: datetime
    monotonic: float


class Tally:
    """What a connection has done so far; one for each process.

    The driver's mutex is held by the threads that write, except in ``gave_up``. A reader needs no lock: each
    count is right, while two of them may be a moment apart.
    """

    def __init__(
        self, core: Core, dispatcher: Dispatcher, durability: Durability | CursorMode
    ) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._durability = durability
        self._entered = _entered(core.state)
        self._lost: _Entered | None = None  # the end of the last ready state, until a login
        self._why_lost: Exception | None = None
        self._last_reason: Exception | None = None
        self._lock = threading.Lock()
        self.received: int = 0
        self.recovered: int = 0
        self.redelivered: int = 0
        self.sent: int = 0
        self.failed: int = 0
        self.unknown: int = 0
        self.unsettled: set[AnyHandle] = set()
        """The handles of the messages without an outcome."""
        self._given_up = self._reconnects = self._resumed = 0

    def note_state(self, change: StateChange) -> Return | None:
        """Note a change of the state; return what there is to tell if it ends a loss."""
        self._entered = _entered(change.state)
        if change.reason is not None:
            self._last_reason = change.reason
        if change.previous in READY_STATES:
            self._lost, self._why_lost = self._entered, change.reason
        elif change.state is ChatState.CONNECTING:
            self._lost = None
        lost = self._lost
        if change.state not in READY_STATES or lost is None:
            return None
        resumed = change.state is ChatState.RESUMED
        self._reconnects += 1
        self._resumed += resumed
        self._lost = None
        return Return(resumed, self._entered.monotonic - lost.monotonic, self._why_lost)

    def note_queued(self, deliveries: Iterable[Delivery]) -> None:
        """Note the messages among events that were queued for receivers."""
        for delivery in deliveries:
            if delivery.signal in MESSAGE_SIGNALS:
                message = delivery.event
                self.received += 1
                if message.recovered:
                    self.recovered += 1
                if message.redelivered:
                    self.redelivered += 1

    def begin_closed(self, reason: Exception) -> None:
        """Begin in CLOSED, as in a forked child."""
        self._entered, self._last_reason = _entered(ChatState.CLOSED), reason

    def note_error(self, error: Exception) -> None:
        """Note that a message was not sent; a deferred one has its outcome at the next login."""
        if isinstance(error, OutcomeUnknownError):
            self.unknown += 1
        elif not isinstance(error, SendDeferredError):
            self.failed += 1

    def gave_up(self) -> None:
        """Note that a receiver runs no more for an event; on any worker."""
        with self._lock:
            self._given_up += 1

    def statistics(self) -> Statistics:
        """Return the numbers of this moment."""
        core, dispatcher, kept = self._core, self._dispatcher, self._durability.kept
        state, entered, now = core.state, self._entered, time.monotonic()
        if entered.state is not state:
            entered = _entered(state)  # the change is noted at this moment
        is_ready = state in READY_STATES
        waiting = core.session.messages_waiting
        return Statistics(
            state=state,
            since=entered.at,
            connected_for=max(0.0, now - entered.monotonic) if is_ready else 0.0,
            queued_events=dispatcher.events,
            queued_bytes=dispatcher.event_bytes,
            oldest_queued_seconds=dispatcher.oldest_waits(now),
            running_receivers=dispatcher.running(now),
            outbound_waiting=waiting,
            outbound_unacknowledged=max(0, len(self.unsettled) - waiting),
            received=self.received,
            sent=self.sent,
            failed=self.failed,
            unknown=self.unknown,
            recovered=self.recovered,
            redelivered=self.redelivered,
            given_up=self._given_up,
            reconnects=self._reconnects,
            resumed=self._resumed,
            last_reason=self._last_reason,
            durable_inbox=kept.inbox,
            durable_outbox=kept.outbox,
            dead_letters=kept.dead_letters,
            merged=dispatcher.merged,
            **asdict(core.counters),
        )


def _entered(state: ChatState) -> _Entered:
    return _Entered(state, datetime.now(timezone.utc), time.monotonic())
