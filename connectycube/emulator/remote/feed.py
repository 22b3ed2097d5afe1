"""Feed: what happens in the emulator, as events for pages and programs that have asked for them.

While nobody listens there is no feed: no timer runs, and the database notes no changes. While somebody does,
the feed looks ten times a second at what has changed. So no part of the service has to know of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from attrs import asdict

from ..control.exchanges import Exchange
from ..control.inspector import Inspector
from ..db.changes import Changes
from .verbs import Emulator, clock_json, exchange_json, faults_json, switches_json

__all__ = ["EVENTS", "Feed", "Subscription"]

EVENTS = {
    "ready": "The first event: what happens from now on is told. Read the state after it.",
    "users": "Users that are new or have changed, and the ids of those deleted.",
    "dialogs": "Dialogs that are new or have changed, and the ids of those deleted.",
    "messages": "Messages that are new or have changed, also their receipts; the ids of those deleted.",
    "sessions": "All chat sessions, after a change of one.",
    "faults": "All faults that are on, after a change of one.",
    "switches": "The value of each switch, after a change of one.",
    "clock": "The clock, after it was moved.",
    "pushes": "The pushes that are new.",
    "reset_emails": "All addresses, after a new one.",
    "exchange": "An exchange, without headers and bodies; with `events?exchanges=yes` alone.",
    "reset": "The emulator was emptied. Read the state again.",
    "behind": "You read too slowly, so events were left out. Read the state again.",
    "end": "The last event: the emulator stops.",
}
"""Every event by name, and its data in words."""

_SECONDS_BETWEEN_LOOKS = 0.1
_HEARTBEAT_SECONDS = 15.0
_MOST_SUBSCRIPTIONS = 32
_MOST_CHANGED = 200  # of one kind in one event
_MOST_EVENTS = 5_000  # that wait for one reader
_MOST_BYTES = 4 * 1_048_576


class Subscription:
    """The events of one reader, in a bounded queue; for one event loop."""

    def __init__(self, wants_exchanges: bool) -> None:
        self.wants_exchanges = wants_exchanges
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._is_closed = False

    def put(self, name: str, data: bytes) -> None:
        """Queue an event. A reader that is too slow loses what waits, and is told so."""
        event = b"event: %s\ndata: %s\n\n" % (name.encode(), data)
        if len(self._waiting) >= _MOST_EVENTS or self._bytes + len(event) > _MOST_BYTES:
            self._waiting.clear()
            self._bytes = 0
            event = b"event: behind\ndata: {}\n\n"
        self._waiting.append(event)
        self._bytes += len(event)
        self._changed.set()

    def close(self) -> None:
        """Queue the last event."""
        if not self._is_closed:
            self._is_closed = True
            self.put("end", b"{}")

    async def take(self) -> bytes | None:
        """Return everything that waits, a comment if nothing has come for a while, None at the end."""
        if not self._waiting:
            if self._is_closed:
                return None
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), _HEARTBEAT_SECONDS)
            except asyncio.TimeoutError:
                return b":\n\n"
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return taken


class Feed:
    """The subscriptions to one emulator, and what they know already; for one event loop."""

    def __init__(
        self, emulator: Emulator, changes: Changes, inspector: Callable[[], Inspector]
    ) -> None:
        self._emulator = emulator
        self._changes = changes
        self._inspector = inspector
        self._subscriptions: tuple[Subscription, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._known: dict[str, Any] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, wants_exchanges: bool) -> Subscription | None:
        """Return a new subscription; None if there are too many, or if the emulator stops."""
        if self._is_closed or len(self._subscriptions) >= _MOST_SUBSCRIPTIONS:
            return None
        if not self._subscriptions:
            self._changes.start()
            self._known = dict(self._state())
            self._look_later()
        subscription = Subscription(wants_exchanges)
        self._subscriptions = (*self._subscriptions, subscription)
        if wants_exchanges:
            self._watch_exchanges()
        subscription.put("ready", b"{}")
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; after the last one the feed stops."""
        self._subscriptions = tuple(each for each in self._subscriptions if each != subscription)
        if not any(each.wants_exchanges for each in self._subscriptions):
            self._emulator.exchanges.unwatch(self._tell_exchange)
        if not self._subscriptions:
            self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._changes.stop()

    def _watch_exchanges(self) -> None:
        exchanges = self._emulator.exchanges
        exchanges.unwatch(self._tell_exchange)  # one watcher, however many readers there are
        exchanges.watch(self._tell_exchange)

    def close(self) -> None:
        """End all subscriptions, because the emulator stops."""
        self._is_closed = True
        self._stop()  # before the database is closed
        for subscription in self._subscriptions:
            subscription.close()

    def was_reset(self) -> None:
        """Tell that everything was deleted, in place of each thing that was."""
        if self._timer is not None:
            self._changes.take()
            self._known = dict(self._state())
            self._tell("reset", {})

    # --- looking ------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_SECONDS_BETWEEN_LOOKS, self._look_again)

    def _look_again(self) -> None:
        self._look_later()  # first, so that a failure does not end the feed
        with suppress(RuntimeError):  # the emulator is stopping
            self._look()

    def _look(self) -> None:
        for name, ids in self._changes.take().items():
            self._tell(name, self._changed(name, ids))
        for name, value in self._state():
            before = self._known[name]
            if value != before:
                self._known[name] = value
                self._tell(name, self._told(name, value, before))

    def _state(self) -> Iterator[tuple[str, Any]]:
        """Return what is small enough to be compared as a whole, by the name of its event."""
        emulator = self._emulator
        yield "sessions", emulator.sessions()
        yield "faults", faults_json(emulator)
        yield "switches", switches_json(emulator)
        yield "clock", emulator.clock.advanced
        yield "pushes", emulator.pushes
        yield "reset_emails", emulator.reset_emails

    def _told(self, name: str, value: Any, before: Any) -> Any:
        if name == "clock":
            return clock_json(self._emulator)
        if name == "pushes":
            latest = before[-1] if before else None
            return [asdict(push) for push in _after(value, latest)]
        return value

    def _changed(self, kind: str, ids: Sequence[int | str]) -> dict[str, Any]:
        newest = ids[-_MOST_CHANGED:]
        key = "id" if kind == "users" else "_id"
        inspector = self._inspector()
        read: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
            "users": inspector.users,
            "dialogs": inspector.dialogs,
            "messages": inspector.messages_with,
        }
        found = read[kind](newest)
        there = {each[key] for each in found}
        return {
            "changed": found,
            "deleted": [each for each in newest if each not in there],
            "left_out": len(ids) - len(newest),
        }

    # --- telling ------------------------------------------------------------------------------------

    def _tell(self, name: str, value: Any) -> None:
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        for subscription in self._subscriptions:
            subscription.put(name, data)

    def _tell_exchange(self, exchange: Exchange) -> None:
        value = exchange_json(exchange, brief=True)
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        for subscription in self._subscriptions:
            if subscription.wants_exchanges:
                subscription.put("exchange", data)


def _after(items: Sequence[Any], latest: Any) -> Sequence[Any]:
    """Return the items behind this one; all if it is not there."""
    for index in range(len(items) - 1, -1, -1):
        if items[index] is latest:
            return items[index + 1 :]
    return items
