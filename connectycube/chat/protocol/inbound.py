"""What the server sends: counted, understood once and reported once, or left for the next link.

Stanzas are acknowledged (XEP-0198) once their events are committed: queued and, in durable mode, stored. When
the queue is full, the newest deliveries are rejected: from the first rejected stanza on nothing counts as
handled, so the server sends all of it again on the next link.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import evolve

from ...config import Config
from ...models import Message, MessageFailure, Typing
from .addresses import Addresses
from .decoding import Delivery, Unreported, decode
from .events import Counters, EchoReceived, Output, UncommittedDelivery
from .outbox import Submission
from .parser import MessageStanza
from .presences import decode_presence
from .recovery import Recovery
from .rooms import Rooms
from .seen_messages import Key, SeenMessages
from .timers import Timers

__all__ = ["Inbound"]

_MODULUS = 2**32  # XEP-0198: counts wrap
_MOST_REMEMBERED = 1_000  # things we sent whose echo or late refusal is still known as theirs


class Inbound:
    """The receiving half of a session.

    ``emit`` takes what is to be said, ``refused`` an error that came back for a message of ours with
    the bare JID it came from.
    """

    def __init__(
        self,
        config: Config,
        addresses: Addresses,
        rooms: Rooms,
        timers: Timers,
        counters: Counters,
        seen_messages: SeenMessages,
        recovery: Recovery,
        emit: Callable[[Output], None],
        refused: Callable[[MessageFailure, str | None], None],
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._rooms = rooms
        self._timers = timers
        self._counters = counters
        self._emit = emit
        self._refused = refused
        self._seen_messages = seen_messages
        self._recovery = recovery
        self._echoes: OrderedDict[tuple[str, str], Submission] = OrderedDict()
        self._failed_signals: OrderedDict[str, str] = OrderedDict()
        self._markers: OrderedDict[str, None] = OrderedDict()
        self._received = 0  # stanzas from the server
        self.handled = 0
        """Those of them whose events were committed."""
        self.first_rejected: int | None = None
        """The first stanza there was no room for."""
        self._to_mark: list[tuple[int, Message]] = []

    # --- counting ---

    def begin(self) -> None:
        """A new session: nothing was received in it."""
        self._received = self.handled = 0
        self.first_rejected = None

    def resume(self) -> None:
        """The session goes on: the server sends again what was not handled."""
        self._received = self.handled
        self.first_rejected = None

    def count(self) -> None:
        """Another stanza has come."""
        self._received = (self._received + 1) % _MODULUS

    def committed(self) -> list[Message]:
        """All deliveries that were not rejected are committed; return the messages to mark as delivered."""
        self.handled = (
            self._received if self.first_rejected is None else (self.first_rejected - 1) % _MODULUS
        )
        marks, self._to_mark = self._to_mark, []
        return [message for sequence, message in marks if self._is_before_rejected(sequence)]

    def refuse(self, refused: Sequence[Delivery]) -> None:
        """Reject the newest deliveries because the queue is full.

        They are not acknowledged, so the server sends them again.
        """
        first = refused[0].sequence
        assert first is not None
        if self._is_before_rejected(first):
            self.first_rejected = first
        for delivery in (*refused, *self._recovery.discard(self._is_before_rejected)):
            if delivery.key is not None:
                self._seen_messages.forget(delivery.key)

    def lose(self, lost: Sequence[Delivery]) -> None:
        """The newest deliveries could not be committed, and the session ends with that."""
        self._to_mark = []
        for delivery in lost:
            if delivery.key is not None:
                self._seen_messages.forget(delivery.key)

    def _is_before_rejected(self, sequence: int) -> bool:
        # The count wraps at 2^32, so "before" means: less than half of it away.
        return (
            self.first_rejected is None
            or 0 < (self.first_rejected - sequence) % _MODULUS < _MODULUS // 2
        )

    def remember(self, keys: Iterable[Key], now: float) -> None:
        """These messages had arrived, or were sent, before this connection was made."""
        for key in keys:
            self._seen_messages.add(key, now)

    # --- understanding ---

    def expect(self, submission: Submission, me: int, now: float) -> None:
        """A message of ours is on its way: know its echo and its refusal."""
        if submission.failed != "message_failed":
            _remember(self._failed_signals, submission.id, submission.failed)
        self.remember_own(submission, me, now)
        if submission.in_room and submission.message is not None:
            _remember(self._echoes, (submission.to, submission.id), submission)

    def remember_own(self, submission: Submission, me: int, now: float) -> None:
        """What a room reflects of a message of ours, and what history holds of it, is not news."""
        self._seen_messages.add((submission.to, me, submission.id), now)

    def expect_marker(self, marker_id: str) -> None:
        """A marker of ours is on its way, whose refusal nobody waits for."""
        _remember(self._markers, marker_id, None)

    def receive_message(self, stanza: MessageStanza, me: int, now: float) -> None:
        """Decode a message stanza and report its event. The order of the steps is the meaning."""
        # 1. What it is. Most stanzas that make no event end here.
        decoded = decode(stanza, self._addresses, me)
        if not isinstance(decoded, Delivery):
            self._drop(decoded, stanza)
            return
        event = decoded.event
        # 2. An error settles the message that it refuses, even if the event is rejected below: an outcome
        #    is no delivery, and settling twice does nothing.
        if isinstance(event, MessageFailure):
            if event.message_id in self._markers:
                self._drop("refused", stanza)
                return
            self._refused(event, decoded.conversation)
            decoded.signal = self._failed_signals.get(event.message_id, decoded.signal)
        # 3. Behind a rejected stanza nothing is noted as seen: the server sends it again on the next link,
        #    in its place.
        if self.first_rejected is not None:
            if decoded.key not in self._seen_messages:
                self.report(decoded)
            return
        # 4. The echo of a room is looked for before repetitions: sending has noted its key as seen.
        if isinstance(event, Message) and event.own and self._is_echo(stanza, decoded, now):
            return
        # 5. Each message once, whether it came live, as a carbon or from history.
        if decoded.key is not None and not self._seen_messages.add(decoded.key, now):
            self._drop("own_echoes" if decoded.key[1] == me else "repeated", stanza)
            return
        # 6. What only the session knows.
        if isinstance(event, Message):
            self._complete(decoded, event)
        elif isinstance(event, Typing):
            self._expect_end_of_typing(decoded, now)
        self.report(decoded)

    def receive_presence(self, presence: Any, me: int) -> None:
        """Say what a presence means."""
        decoded: Sequence[Output] | Unreported
        if self._addresses.dialog_id(presence.attrs.get("from")) is None:
            decoded = decode_presence(presence, self._addresses, me)
        else:
            decoded = self._rooms.receive(presence, me)
        if isinstance(decoded, str):
            self._drop(decoded, presence)
            return
        for output in decoded:
            if isinstance(output, Delivery) and not output.bypasses_gap:
                self.report(output)
            else:
                self._emit(output)

    def _drop(self, reason: Unreported, stanza: Any) -> None:
        self._emit(self._counters.count(reason, stanza))

    def report(self, delivery: Delivery) -> None:
        """Emit a delivery that comes again on the next link if there is no room for it on this one.

        Where a gap is being filled, it waits.
        """
        delivery.sequence = self._received
        if self.first_rejected is None and self._recovery.holds(delivery):
            if self._recovery.hold(delivery):
                return
            self.refuse([delivery])
        self._emit(delivery if self.first_rejected is None else UncommittedDelivery(delivery))

    def _is_echo(self, stanza: MessageStanza, delivery: Delivery, now: float) -> bool:
        # By the stanza's id: the message's may be one that the server gave it.
        own_id = stanza.attributes.get("id", "")
        submission = self._echoes.pop((delivery.conversation or "", own_id), None)
        if submission is None:
            return False
        if delivery.key is not None:
            self._seen_messages.add(delivery.key, now)
        self._drop("own_echoes", stanza)
        self._emit(EchoReceived(submission, delivery.event))
        return True

    def _complete(self, delivery: Delivery, message: Message) -> None:
        """Note whether 'delivered' is due, and say what is known of the room."""
        in_room = message.dialog is not None and message.dialog.peer_id is None
        is_history = in_room and message.delayed
        if (
            message.markable
            and message.id
            and not (message.own or delivery.is_carbon or is_history)
        ):
            self._to_mark.append((self._received, message))
        known = self._rooms.dialog(delivery.conversation or "") if in_room else None
        if known is not None:
            delivery.event = evolve(message, dialog=known)

    def _expect_end_of_typing(self, delivery: Delivery, now: float) -> None:
        seconds = self._config.typing_expires
        if delivery.signal == "typing_started" and seconds is not None:
            stopped = evolve(delivery, signal="typing_stopped")
            self._timers.set(delivery.merge_key, now + seconds, stopped)
        else:
            self._timers.cancel(delivery.merge_key)


def _remember(window: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    window[key] = value
    if len(window) > _MOST_REMEMBERED:
        window.popitem(last=False)
