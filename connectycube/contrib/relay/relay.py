"""A relay: hands the events of a chat over to workers on an engine, and sends their answers."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from connectycube import Chat, ChatState, Fleet, Handling, StateChange
from connectycube._checks import check_callable, check_list
from connectycube.errors import ArgumentTypeError, NotConnectedError

from ..common.signal_names import check_signal
from ..common.sources import check_source
from .engine import Engine, Letter, PartitionStatus
from .engines import EngineOptions, engine_of
from .envelope import Envelope, conversation_of, is_traceparent
from .errors import RelayError
from .ids import EventIds
from .outbox import Outbox
from .topics import check_name, events_topic

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["EngineCursor", "Relay"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

_FOR_EVER = 1e9  # seconds: an event that the engine does not take is never given up
_JOIN = 5.0  # seconds for all outboxes to end
_PASSING = (RelayError, NotConnectedError)
_OPEN = (ChatState.READY, ChatState.RESUMED)
_OVER = (ChatState.CLOSED, ChatState.IDLE)


class EngineCursor:
    """A cursor store in the engine: ``Config(cursor_store=relay.cursor("shop-bot"))``."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def load(self) -> Any:
        """Return the value that was saved last; None if there is none."""
        found = self._engine.load(self._name)
        return None if found is None else json.loads(found)

    def save(self, value: Any) -> None:
        """Keep the value in place of the one before.

        Args:
            value: What JSON can carry.
        """
        self._engine.save(self._name, json.dumps(value).encode())


class Relay:
    """Hands events over to workers, and sends their answers.

    A receiver of the chat gives each event to the engine, and returns when the engine has it. While the
    engine is away the receiver runs again and again, so the event stays in the file of durable mode, or is
    read from history again by the next process.

    Args:
        url: The engine: ``redis://…`` or ``amqp://…``, or an Engine.
        prefix: The beginning of all names in the broker.
        partitions: The number of queues; the events of a dialog are in one of them. All relays and workers of
            a prefix have the same number.
        groups: The names of the groups of workers, each of which gets each event.
        limit: The number of events that may wait in a partition. Beyond it the relay waits.
        traceparent: ``traceparent(chat, event)`` returns the trace of an event (W3C Trace Context) or None;
            it is the custom parameter ``traceparent`` of a message by default.
        options: More arguments of the engine's class.

    Example:
        >>> from connectycube.contrib.relay import Relay
        >>> relay = Relay("redis://localhost/0", groups=("workers", "archive"))
        >>> relay.close()  # relay.attach(chat) comes between, before chat.login()
    """

    def __init__(
        self,
        url: str | Engine,
        prefix: str = "cube",
        partitions: int = 16,
        *,
        groups: Iterable[str] = ("workers",),
        limit: int = 100_000,
        traceparent: Callable[[Chat, Any], str | None] | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        self._engine = engine_of(url, check_name("prefix", prefix), **options)
        self._prefix = prefix
        self._topic = events_topic(groups, partitions, limit)
        if traceparent is not None:
            check_callable("traceparent", traceparent, "chat", "event")
        self._traceparent = traceparent or _traceparent_of
        self._ids = EventIds()
        self._tried: set[str] = set()  # events that the engine may have, although it did not say so
        self._lock = threading.Lock()
        self._outboxes: dict[int, Outbox] = {}
        # The outboxes of closed chats, whose threads may still run.
        self._ended: list[Outbox] = []

    def cursor(self, name: str) -> EngineCursor:
        """Make a cursor store in the engine, for a relay without a disk: ``Config(cursor_store=…)``.

        Args:
            name: A name that no other bot has.

        Returns:
            The cursor store.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``name`` is not made of letters, digits, dots, hyphens and
                underscores, or is longer than 63 characters.
        """
        return EngineCursor(self._engine, f"cursor.{check_name('name', name)}")

    def attach(self, chat: Chat | Fleet, signals: Iterable[str] = ("message_received",)) -> Relay:
        """Hand over the events of a chat from its login on, and send the answers for it.

        Call it before ``chat.login()``, so that the events that an earlier process has left are handed over.
        Of a fleet it hands over the events of all members, also of those that are added later. Each member
        has an outbox of its own, from its login until it is logged out or removed.

        Args:
            chat: The chat of a bot, or a fleet.
            signals: The names of the signals whose events are handed over.

        Returns:
            The relay.

        Raises:
            ArgumentTypeError, ArgumentValueError: A signal is unknown, or ``chat`` is neither.
            EngineUnavailableError: The engine cannot be reached.
            EngineSettingsError: The engine has other settings than this relay.
        """
        check_source(chat)
        names = [check_signal(signal) for signal in _names(signals)]
        self._engine.declare(self._topic)
        # Before a receiver is connected: settings that do not fit are an error here, not one for each
        # event.
        for name in names:
            getattr(chat, name).connect(
                self._receiver(name),
                # The same in each process: in durable mode the key names the receiver that has handled an
                # event.
                key=f"connectycube.relay.{self._prefix}",
                handling=Handling(
                    delay=0.1, max_delay=5.0, give_up_after=_FOR_EVER, transient=_PASSING
                ),
            )
        chat.state_changed.connect(self._follow, key=f"connectycube.relay.{self._prefix}.outbox")
        for each in chat if isinstance(chat, Fleet) else (chat,):
            self._begin_outbox(each)  # it may be logged in already
        return self

    def _receiver(self, signal: str) -> Callable[[Chat, Any], None]:
        def hand_over(chat: Chat, event: Any) -> None:
            user = chat.user
            if user is None or user.id is None:  # events may arrive before login() has returned
                raise NotConnectedError("the chat has no user yet, or no more")
            conversation = conversation_of(event)
            event_id = self._ids.id_of(user.id, signal, conversation, event)
            envelope = Envelope(
                id=event_id,
                bot=user.id,
                signal=signal,
                conversation=conversation,
                event=event,
                traceparent=self._traceparent(chat, event),
                repeated=event_id in self._tried,
            )
            # The bot is a part of the key: two bots of one relay have dialogs with the same ids.
            body, key = envelope.to_json(), f"{user.id}/{conversation}"
            # Before the call: if the engine takes the event and the confirm is lost, the next attempt
            # says so.
            self._tried.add(event_id)
            self._engine.add(self._topic, key, event_id, body)
            self._tried.discard(event_id)
            # Only after success, so that each attempt for an event has the same id.
            self._ids.forget(event)

        return hand_over

    def _follow(self, chat: Chat, change: StateChange) -> None:
        """Begin to send the answers when the chat is ready, and end it when it is closed."""
        if change.state in _OPEN:
            self._begin_outbox(chat)
        elif change.state in _OVER:
            self._end_outbox(chat)

    def _begin_outbox(self, chat: Chat) -> None:
        with self._lock:
            # RESUMED and READY come after each reconnection; the outbox lives from login to logout. A chat
            # that is closed by now is not reported as closed again.
            if chat.state not in _OVER and id(chat) not in self._outboxes:
                outbox = self._outboxes[id(chat)] = Outbox(self._engine, chat)
                outbox.start()

    def _end_outbox(self, chat: Chat) -> None:
        """Have an outbox end, without a wait: all members of a fleet may be closed at once."""
        with self._lock:
            outbox = self._outboxes.pop(id(chat), None)
            if outbox is not None:
                outbox.stop()
                self._ended = [each for each in self._ended if each.is_alive]
                self._ended.append(outbox)

    def status(self) -> list[PartitionStatus]:
        """Count the events that wait for workers, and the answers that wait for this relay.

        Returns:
            The numbers for each topic, group and partition.

        Raises:
            EngineUnavailableError: The engine cannot be reached.
        """
        with self._lock:
            outboxes = [outbox.topic for outbox in self._outboxes.values()]
        topics = [self._topic, *(topic for topic in outboxes if topic is not None)]
        return [each for topic in topics for each in self._engine.status(topic)]

    def blocked(self) -> str | None:
        """Ask whether the engine takes no events at the moment.

        RabbitMQ takes none while it has no memory or disk left, and Redis none while it has no memory left,
        cannot write to the disk, or is a replica.

        Returns:
            The reason, in words; None if it takes events.

        Raises:
            EngineUnavailableError: The engine cannot be reached.
        """
        return self._engine.blocked()

    def letters(self) -> list[Letter]:
        """Return the dead letters of all groups.

        Returns:
            The letters, the oldest first.

        Raises:
            EngineUnavailableError: The engine cannot be reached.
        """
        return self._engine.letters()

    def retry_letters(self, *ids: str) -> None:
        """Put events back behind the others of their partition, for the group that has given them up.

        Args:
            ids: The ids of dead letters.

        Raises:
            ArgumentValueError: One of the ids is that of no letter; then none is put back.
            EngineUnavailableError: The engine cannot be reached.
        """
        self._engine.retry_letters(ids)

    def drop_letters(self, *ids: str) -> None:
        """Remove dead letters for good.

        Args:
            ids: The ids of dead letters.

        Raises:
            ArgumentValueError: One of the ids is that of no letter; then none is removed.
            EngineUnavailableError: The engine cannot be reached.
        """
        self._engine.drop_letters(ids)

    def close(self) -> None:
        """End the threads that send answers, and close the connections to the engine.

        Log out of the chat first. Answers that were not sent stay in the engine."""
        with self._lock:
            outboxes = [*self._outboxes.values(), *self._ended]
            self._outboxes, self._ended = {}, []
        # Before the engine, which they use.
        for outbox in outboxes:
            outbox.stop()
        deadline = time.monotonic() + _JOIN
        for outbox in outboxes:
            outbox.join(max(0.0, deadline - time.monotonic()))
        self._engine.close()


def _names(signals: Iterable[str]) -> list[str]:
    if isinstance(signals, str):
        raise ArgumentTypeError("signals must be several names, not one text: write (name,)")
    return [str(each) for each in check_list("signals", [*signals], "names", empty=False)]


def _traceparent_of(chat: Chat, event: Any) -> str | None:
    custom: Mapping[str, Any] = getattr(event, "custom", None) or {}
    value = custom.get("traceparent")
    return value if is_traceparent(value) else None
