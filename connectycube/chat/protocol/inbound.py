"""The stanzas that the server sends: counted, decoded, and each message reported once.

Stanzas are acknowledged (XEP-0198) once their events are committed: queued and, in durable mode, stored. When
the queue is full, the newest deliveries are rejected. From the first rejected stanza on no stanza counts as
handled, so the server sends all of them again on the next link.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from attrs import evolve

from ...config import Config
from ...models import DialogRef, Message, MessageDeletion, MessageEdit, MessageFailure, Typing
from ...models.messages import set_dialog
from .addresses import Addresses, bare
from .decoding import Delivery, Unreported, decode, typing_key
from .events import Counters, EchoReceived, Output, UncommittedDelivery
from .nodes import Node
from .outbox import Submission
from .parser import MessageStanza, StanzaItem
from .presences import decode_presence
from .recovery import Recovery
from .rooms import Rooms
from .seen_messages import Content, Key, SeenMessages
from .stream_management import MODULUS, is_before
from .timers import Timers

__all__ = ["Inbound"]

_MOST_TYPING = 1_000  # users whose end of typing is awaited
_MOST_REMEMBERED = 1_000  # sent stanzas whose echo or late refusal is still recognised


class _Sent(NamedTuple):
    """A stanza that was sent: the bare JID that it went to, and the signal and dialog of a late failure."""

    to: str
    failed: str
    dialog: DialogRef


_K = TypeVar("_K")
_V = TypeVar("_V")


class Inbound:
    """The receiving half of a session; ``emit`` takes its outputs.

    ``refused(failure)`` is called for an error that refuses a message of ours, if its sender may refuse it.
    """

    def __init__(
        self,
        config: Config,
        addresses: Addresses,
        rooms: Rooms,
        timers: Timers[bytes | Delivery],
        counters: Counters,
        seen_messages: SeenMessages,
        recovery: Recovery,
        new_id: Callable[[], str],
        emit: Callable[[Output], None],
        refused: Callable[[MessageFailure], None],
    ) -> None:
        self._config = config
        self._marks = config.auto_delivered
        self._addresses = addresses
        self._rooms = rooms
        self._timers = timers
        self._counters = counters
        self._new_id = new_id
        self._emit = emit
        self._refused = refused
        self._seen_messages = seen_messages
        self._recovery = recovery
        self._echoes: OrderedDict[tuple[str, str], Submission] = OrderedDict()
        # The stanzas that may still be refused, by id, and the ids of markers among them.
        self._sent: OrderedDict[str, tuple[str, str, DialogRef]] = OrderedDict()
        self._markers: OrderedDict[str, None] = OrderedDict()
        # The stanzas of a session are numbered from 1 on, modulo 2^32: stanza 0 follows 0xFFFFFFFF.
        self._received = 0  # the number of the newest stanza
        self._size = 0  # of the newest stanza, in bytes
        self.handled: int = 0
        """The number of the last stanza up to which all events are committed."""
        self.first_rejected: int | None = None
        """The number of the first stanza whose event was rejected on this link, or None."""
        # The users who are typing: the event that ends the typing, and the time at which a timer emits it.
        self._typing: OrderedDict[object, tuple[Delivery | None, float]] = OrderedDict()
        self._to_mark: list[tuple[int, Message]] = []  # with the numbers of their stanzas
        self._session: str | None = None  # a unique name of the session, made at its first use
        # Whether the server may still send stanzas that it has sent on an earlier link.
        self._is_catching_up = False

    # --- counting ---

    def begin(self) -> None:
        """Begin a new session, in which no stanza was received yet."""
        self._received = self.handled = 0
        self.first_rejected = self._session = None
        self._begin_link()

    def resume(self) -> None:
        """Go on with a resumed session: the server sends the stanzas again that were not handled."""
        self._received = self.handled
        self.first_rejected = None
        self._begin_link()

    def _begin_link(self) -> None:
        self._is_catching_up = True
        self._seen_messages.begin_link()

    def caught_up(self) -> None:
        """Note that the server has answered on this link, so every stanza of earlier links has arrived."""
        self._is_catching_up = False

    def count(self, size: int) -> None:
        """Give the stanza that has arrived, of so many bytes, the next number."""
        self._received = (self._received + 1) % MODULUS
        self._size = size

    def committed(self) -> list[Message]:
        """Note the commit of all deliveries except rejected ones; return the messages to mark 'delivered'."""
        # If stanza 0 is the first rejected one, the last handled one is (0 - 1) % 2^32 = 0xFFFFFFFF.
        self.handled = (
            self._received if self.first_rejected is None else (self.first_rejected - 1) % MODULUS
        )
        marks = self._to_mark
        if not marks:
            return []
        self._to_mark = []
        return [message for sequence, message in marks if self._is_before_rejected(sequence)]

    def reject(self, rejected: Sequence[Delivery]) -> None:
        """Reject the newest deliveries because the queue is full.

        They are not acknowledged, so the server sends them again.
        """
        first = rejected[0].sequence
        assert first is not None
        if self._is_before_rejected(first):
            self.first_rejected = first
        for delivery in (*rejected, *self._recovery.discard(self._is_before_rejected)):
            if delivery.key is not None:
                self._seen_messages.forget(delivery.key)

    def lose(self, lost: Sequence[Delivery]) -> None:
        """Forget the newest deliveries, which could not be committed; the session ends."""
        self._to_mark = []
        for delivery in lost:
            if delivery.key is not None:
                self._seen_messages.forget(delivery.key)

    def _is_before_rejected(self, sequence: int) -> bool:
        return self.first_rejected is None or is_before(sequence, self.first_rejected)

    def remember(self, keys: Iterable[Key], now: float) -> None:
        """Note messages as seen that had arrived, or were sent, before this connection was made."""
        for key in keys:
            self._seen_messages.add(key, now)

    # --- decoding ---

    def expect(self, submission: Submission) -> None:
        """Prepare for the echo and for the refusal of a message that is about to be sent."""
        dialog, window = submission.dialog, self._sent
        # Values instead of a _Sent, which takes longer to make: each message is noted, and few are refused.
        window[submission.id] = submission.to, submission.failed, dialog
        if len(window) > _MOST_REMEMBERED:
            window.popitem(last=False)
        if dialog.peer_id is None and submission.message is not None:
            _remember(self._echoes, (submission.to, submission.id), submission)

    def expect_marker(self, marker_id: str) -> None:
        """Prepare for the refusal of a marker of ours: no caller waits for it."""
        _remember(self._markers, marker_id, None)

    def receive_plain(self, delivery: Delivery, now: float) -> None:
        """Count a plain message and report its event: with the steps of ``receive_message`` that it needs."""
        self._received = sequence = (self._received + 1) % MODULUS
        self._size = delivery.size
        message, key = delivery.event, delivery.key
        assert key is not None  # the id of a plain message is of the service's form
        if self.first_rejected is not None:  # step 3
            if key not in self._seen_messages:
                self.report(delivery)
            return
        if message.own and self._take_echo(message.id, delivery, delivery, now):  # step 4
            return
        if not self._seen_messages.add_unique(key, now):  # step 5
            self._drop("own_echoes" if message.own else "repeated", delivery)
            return
        if self._typing or self._marks or message.dialog.peer_id is None:  # step 6
            self._complete(delivery, message, now)
        if self._recovery.is_holding:
            self.report(delivery)
        else:
            delivery.sequence = sequence
            self._emit(delivery)

    def receive_message(self, stanza: MessageStanza, me: int, now: float) -> None:
        """Decode a message stanza and report its event; each step relies on those before it."""
        # 1. Decode the stanza. Most stanzas that make no event end here.
        decoded = decode(stanza, self._addresses, me)
        if not isinstance(decoded, Delivery):
            self._drop(decoded, stanza)
            return
        event = decoded.event
        is_message = event.__class__ is Message
        # 2. Settle the message that an error refuses, even if the event is rejected below: an outcome is not
        #    a delivery, and settling a message twice changes nothing.
        if not is_message and not self._prepare(decoded, event, stanza, me):
            return
        is_repeated = decoded.content is not None and self._recognise(decoded, decoded.content, me)
        # 3. Behind a rejected stanza note no message as seen: the server sends it again on the next link,
        #    in its place.
        if self.first_rejected is not None:
            if not is_repeated and not self._seen_messages.knows(decoded.key, decoded.content):
                self.report(decoded)
            return
        # 4. Look for the echo of a room before repetitions, because sending has noted its key as seen.
        if is_message and event.own:
            own_id = stanza.attributes.get("id", "")
            if self._take_echo(own_id, decoded, stanza, now):
                return
        # 5. Report each message once, whether it arrives live, as a carbon or from history.
        if decoded.key is not None:
            is_new = not is_repeated and self._seen_messages.add(decoded.key, now, decoded.content)
            if not is_new:
                self._drop("own_echoes" if decoded.key[1] == me else "repeated", stanza)
                return
        # 6. Complete the event with the knowledge of the session: rooms, settings, timers.
        if is_message:
            self._complete(decoded, event, now)
        elif isinstance(event, Typing):
            self._expect_end_of_typing(decoded, now)
        self.report(decoded)

    def _prepare(self, delivery: Delivery, event: object, stanza: MessageStanza, me: int) -> bool:
        """Settle a refused message, or say whether its author made a change; False if there is no event."""
        if isinstance(event, MessageFailure):
            reason = self._take_failure(delivery, event, stanza.attributes.get("from"), me)
            if reason is not None:
                self._drop(reason, stanza)
                return False
        elif isinstance(event, (MessageEdit, MessageDeletion)):
            by_author = self._seen_messages.is_author(
                delivery.conversation or "", event.user_id, event.message_id
            )
            delivery.event = evolve(event, by_author=by_author)
        return True

    def _take_failure(
        self, delivery: Delivery, failure: MessageFailure, sender: str | None, me: int
    ) -> Unreported | None:
        """Settle the message that an error refuses, and complete the event; return why there is no event."""
        if failure.message_id in self._markers:
            return "refused"
        values = self._sent.get(failure.message_id)
        sent = None if values is None else _Sent(*values)
        if not self._may_refuse(sender, sent, me):
            return "forged"
        self._refused(failure)
        if sent is not None:
            delivery.signal = sent.failed
            if failure.dialog_id is None:
                delivery.event = evolve(failure, dialog_id=sent.dialog.id)
        return None

    def _may_refuse(self, sender: str | None, sent: _Sent | None, me: int) -> bool:
        """Whether the sender of an error may refuse our stanza: it is the server, or the stanza went to it.

        Any other user, and any occupant of a room, can send errors as well. (RFC 6120, 8.3.)
        """
        jid = (sender or "").lower()
        if jid in ("", self._addresses.host, self._addresses.user(me)):
            return True
        in_room = self._addresses.dialog_id(jid) is not None
        return sent is not None and sent.to.lower() == (jid if in_room else bare(jid))

    def _recognise(self, delivery: Delivery, content: Content, me: int) -> bool:
        """Give a message whose id may not be unique a key of its own; return whether it is a repetition.

        It is one if this connection has sent it, or if an equal one was seen and the server may send that
        again: a message of an earlier link until it has caught up, and as a carbon a message that went to
        another device of the user.
        """
        if self._session is None:
            self._session = self._new_id()
        delivery.key = content.key(f"{self._session}-{self._received}")
        own = (content.conversation, me, content.id)
        if content.sender == me and own in self._seen_messages:
            return True
        if delivery.is_carbon:
            return self._seen_messages.has_equal(content, on_this_link=True)
        may_repeat = delivery.is_delayed or self._is_catching_up
        return may_repeat and self._seen_messages.has_equal(content, on_this_link=False)

    def receive_presence(self, presence: Node, me: int) -> None:
        """Decode a presence and report its events."""
        decoded: Sequence[Output] | Unreported
        if self._addresses.dialog_id(presence.attrs.get("from")) is None:
            decoded = decode_presence(presence, self._addresses, me)
        else:
            decoded = self._rooms.receive(presence, me)
        if isinstance(decoded, str):
            self._drop(decoded, presence)
            return
        for output in decoded:
            if isinstance(output, Delivery):
                output.size = self._size
            if isinstance(output, Delivery) and not output.bypasses_gap:
                self.report(output)
            else:
                self._emit(output)

    def _drop(self, reason: Unreported, stanza: StanzaItem | Delivery) -> None:
        self._emit(self._counters.count(reason, stanza))

    def report(self, delivery: Delivery) -> None:
        """Emit a delivery of the newest stanza, or hold it while a gap is filled.

        If there is no room for it, the server sends its stanza again on the next link.
        """
        delivery.sequence = self._received
        delivery.size = max(delivery.size, self._size)
        if self.first_rejected is None:
            recovery = self._recovery
            if not (recovery.is_holding and recovery.holds(delivery)):
                self._emit(delivery)
                return
            if recovery.hold(delivery):
                return
            self.reject([delivery])
        self._emit(UncommittedDelivery(delivery))

    def _take_echo(
        self, own_id: str, delivery: Delivery, stanza: StanzaItem | Delivery, now: float
    ) -> bool:
        """Take a message that a room has reflected to its sender; return False if it is no such echo.

        ``own_id`` is the id of the stanza, because the server may have given the message another id.
        """
        submission = self._echoes.pop((delivery.conversation or "", own_id), None)
        if submission is None:
            return False
        if delivery.key is not None:
            self._seen_messages.add(delivery.key, now)
        self._drop("own_echoes", stanza)
        self._emit(EchoReceived(submission, delivery.event))
        return True

    def _complete(self, delivery: Delivery, message: Message, now: float) -> None:
        """Note whether 'delivered' is due, add the dialog if its room was joined, and end the typing."""
        if self._typing:
            self._end_typing(typing_key(delivery.conversation, message.sender_id), now)
        in_room = message.dialog is not None and message.dialog.peer_id is None
        is_history = in_room and message.delayed  # a room sends its history to each user who joins
        marks = self._marks
        if (
            marks
            and (message.markable or marks == "all")
            and message.id
            and not (message.own or delivery.is_carbon or is_history)
        ):
            self._to_mark.append((self._received, message))
        known = self._rooms.dialog(delivery.conversation or "") if in_room else None
        if known is not None:
            set_dialog(message, known)

    def _expect_end_of_typing(self, delivery: Delivery, now: float) -> None:
        """Report the end of typing after ``Config.typing_expires``, unless typing goes on or ends before."""
        seconds, key = self._config.typing_expires, delivery.merge_key
        if delivery.signal == "typing_started":
            if seconds is not None and len(self._timers) >= _MOST_TYPING:
                return  # too many users at once: no typing_stopped is reported for this one
            stopped = evolve(delivery, signal="typing_stopped")
            expires = math.inf if seconds is None else now + seconds
            _remember(self._typing, key, (stopped, expires))
            if seconds is not None:
                self._timers.set(key, expires, stopped)
        else:
            self._typing.pop(key, None)
            self._timers.cancel(key)

    def _end_typing(self, key: object, now: float) -> None:
        """Report that a user has stopped typing, because the user's message has arrived."""
        stopped, expires = self._typing.pop(key, (None, 0.0))
        if stopped is not None and now < expires:  # else the timer has reported it
            self._timers.cancel(key)
            self._emit(stopped)


def _remember(window: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    window[key] = value
    if len(window) > _MOST_REMEMBERED:
        window.popitem(last=False)
