"""The metrics of connections: queues, ages, boxes, as a sum or a maximum over the chats of the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from connectycube import Chat, Statistics

from . import names

__all__ = ["Numbers"]

_SUMS: dict[str, tuple[str, str, str]] = {
    names.QUEUE_EVENTS: ("queued_events", "{event}", "Events that wait for receivers."),
    names.QUEUE_SIZE: ("queued_bytes", "By", "The bytes of their stanzas."),
    names.OUTBOUND_WAITING: ("outbound_waiting", "{message}", "Messages that wait for the link."),
    names.OUTBOUND_UNACKNOWLEDGED: (
        "outbound_unacknowledged",
        "{message}",
        "Messages that were written, and that the server has not acknowledged.",
    ),
    names.DURABLE_INBOX: ("durable_inbox", "{event}", "Events in the files of durable mode."),
    names.DURABLE_OUTBOX: (
        "durable_outbox",
        "{message}",
        "Messages in the files of durable mode that have no outcome yet.",
    ),
    names.DURABLE_DEAD_LETTERS: ("dead_letters", "{event}", "Events that were given up."),
}
"""The field of ``Statistics``, the unit and the description of each metric that is a sum."""


class Numbers:
    """Observes the chats that were seen. It holds none of them: a chat that is dropped counts no more."""

    def __init__(self, meter: Meter) -> None:
        self._chats: WeakValueDictionary[int, Chat] = WeakValueDictionary()
        self._is_on = True
        self._reconnects = meter.create_counter(
            names.RECONNECTS, "{reconnection}", "Connections that were ready again, by reason."
        )
        for name, (field, unit, description) in _SUMS.items():
            meter.create_observable_up_down_counter(name, [self._sum_of(field)], unit, description)
        meter.create_observable_up_down_counter(
            names.RECEIVERS_RUNNING, [self._running], "{receiver}", "Receivers that run now."
        )
        meter.create_observable_up_down_counter(
            names.CONNECTIONS, [self._states], "{connection}", "Connections, by state."
        )
        meter.create_observable_gauge(
            names.QUEUE_AGE, [self._age], "s", "The age of the oldest event that waits."
        )

    def add(self, chat: Chat) -> None:
        """Observe a chat from now on."""
        self._chats[id(chat)] = chat

    def has(self, chat: Chat) -> bool:
        """Whether a chat is observed."""
        return self._chats.get(id(chat)) is chat

    def reconnected(self, resumed: bool, reason: BaseException | None) -> None:
        """Count a reconnection. It is an event, which no statistics hold by reason."""
        why = "logout" if reason is None else type(reason).__qualname__
        self._reconnects.add(1, {names.ERROR_TYPE: why, names.RESUMED: resumed})

    def end(self) -> None:
        """Observe nothing from now on. The provider keeps the instruments: it can remove none."""
        self._is_on = False
        self._chats.clear()

    def _statistics(self) -> list[Statistics]:
        # A copy of the references, in one step: another thread may add a chat.
        references = self._chats.valuerefs()
        return [chat.statistics() for chat in (found() for found in references) if chat is not None]

    def _sum_of(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return self._one(sum(getattr(each, field) for each in self._statistics()))

        return observe

    def _running(self, options: CallbackOptions) -> Iterable[Observation]:
        return self._one(sum(len(each.running_receivers) for each in self._statistics()))

    def _age(self, options: CallbackOptions) -> Iterable[Observation]:
        ages = [each.oldest_queued_seconds for each in self._statistics()]
        return self._one(max(ages, default=0.0))

    def _states(self, options: CallbackOptions) -> Iterable[Observation]:
        states = Counter(each.state.value for each in self._statistics())
        return [Observation(count, {names.STATE: state}) for state, count in states.items()]

    def _one(self, value: Any) -> list[Observation]:
        return [Observation(value)] if self._is_on else []
