"""Filling the gap after a session that could not be resumed: each message of history once, in its place.

A gap begins at the *cursor*, the moment up to which everything was committed, and ends with the next
session. While it is open, live events are held: in every conversation until history has named the dialogs
with new messages, then in these only, until each of them is filled or has failed. The driver reads
history: it gets a :class:`FetchGap`, asks from the cursor minus an overlap on, and answers with the
methods that take ``asked``. A late answer to an earlier question changes nothing.

Reading may fail for the moment, as REST often does after an outage, and is then repeated as long as the
session lives. Live events do not wait for that: from the first such failure on none is held, and messages of
the gap come behind them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime

from attrs import define, evolve, field

from ..._containers import AnyDict
from ...config import Config, Limits
from ...models import DialogRef, DialogType, Message, RecoveryFailure, RecoveryFinished
from .addresses import Addresses
from .decoding import MESSAGE_SIGNALS, Delivery
from .events import Counters, FetchGap, Output, UncommittedDelivery
from .seen_messages import Key, SeenMessages, short_id

__all__ = ["SHOWN", "Recovery", "key_in_history"]

SHOWN = "message_shown"
"""The signal, which has no receivers, of the copy of a sent message for the views of its dialog."""

_MOST_KEPT = 100_000  # the keys that are remembered for a gap that could not be filled
_OVERHEAD = 300  # an estimate of the bytes of a message around its body


class Recovery:
    """The gap of one user's sessions; ``emit`` takes the outputs."""

    def __init__(
        self,
        config: Config,
        addresses: Addresses,
        seen_messages: SeenMessages,
        counters: Counters,
        emit: Callable[[Output], None],
        me: Callable[[], int],
        enabled: bool,
        known_room: Callable[[str], DialogRef | None],
    ) -> None:
        self._marks_all = config.auto_delivered == "all"
        self._known_room = known_room
        self._overlap = config.gap_overlap
        self._addresses = addresses
        self._seen_messages = seen_messages
        self._counters = counters
        self._emit = emit
        self._me = me
        self._enabled = enabled
        self._held = _Held(config.limits)
        self._cursor: float | None = None  # live sessions have committed everything up to here
        # The next cursor, which takes its place once the deliveries before it are committed.
        self._pending_cursor: float | None = None
        self._since: float | None = None  # the beginning of the gap, until the whole gap is filled
        self._older: frozenset[Key] = frozenset()  # what history had before the first login
        self.is_open: bool = False
        """Whether there is a gap that is still to be filled."""
        self.is_holding: bool = False
        """Whether live events, all or some, wait for history."""
        self._asked: FetchGap | None = None
        self._asked_since: datetime | None = None
        self._gaps: dict[str, DialogRef] | None = None  # by conversation; None: not known yet
        # The ids of private dialogs in the gap that do not name the other user, so they have no conversation.
        self._unplaced: set[str | None] = set()
        self._has_failed = False  # whether a part of the gap cannot be read
        self._recovered_messages = 0
        self._to_mark: list[Message] = []

    # --- the cursor ---

    @property
    def cursor(self) -> float | None:
        """The moment up to which everything was committed; None before there was one."""
        return self._cursor if self._since is None else self._since

    def received_until(self, moment: float) -> None:
        """Note that every stanza that the server had sent until ``moment`` has arrived."""
        # It moves the cursor only once the deliveries before it are committed.
        self._pending_cursor = moment

    @property
    def awaits_commit(self) -> bool:
        """Whether ``committed`` has anything to do."""
        return self._pending_cursor is not None or bool(self._to_mark)

    def committed(self, *, rejected: bool) -> list[Message]:
        """Move the cursor, as deliveries were committed; return the messages to mark as delivered.

        ``rejected`` says that the queue has rejected some of them: then the cursor must stay before them.
        """
        moment, self._pending_cursor = self._pending_cursor, None
        if moment is not None and not rejected:
            self._cursor = max(moment, self._cursor or -math.inf)
            if not self.is_holding and len(self._seen_messages) > _MOST_KEPT:
                # The known keys would become more without end, so the part that cannot be read is given up.
                self._since = self._asked = None
                self.is_open = False
            self._keep_window()
        marks, self._to_mark = self._to_mark, []
        return marks

    def start_at(self, moment: float) -> None:
        """Let the next session begin with a gap since ``moment``, the cursor of an earlier process."""
        self._cursor = moment
        self._keep_window()

    def leave_out(self, older: Iterable[Key]) -> None:
        """Take nothing from history that was there before the first login.

        History counts whole seconds, so it returns messages of the second of that login. One of them may
        arrive live all the same, as an offline copy.
        """
        self._older = frozenset(older)

    def forget(self) -> None:
        """Forget the cursor after a logout: the time until the next login is no gap."""
        self._cursor = self._since = self._pending_cursor = None
        self._keep_window()

    def _keep_window(self) -> None:
        # While a gap may have to be filled, a key must be remembered as long as history may return it:
        # since the cursor less the overlap. Twice the overlap, as the service's clock is known to some
        # seconds only.
        cursor = self.cursor if self._enabled else None
        kept = math.inf if cursor is None else cursor - 2 * self._overlap
        self._seen_messages.keep_since = kept

    # --- its life ---

    def begin(self) -> None:
        """Open a gap between the session before, if there was one, and the new session."""
        self._pending_cursor = None
        self._held.forget_sequences()
        if self._enabled and self.cursor is not None:
            self._since = self.cursor
            self._open()

    def _open(self) -> None:
        self.is_open = self.is_holding = True
        self._recovered_messages = 0
        self._asked = self._asked_since = self._gaps = None
        self._has_failed = False

    def ask(self) -> None:
        """Ask history for the gap, now that messages reach the new session."""
        # Not before the presence: a message that arrives between the answer of history and the presence is
        # neither in that answer nor sent to this session.
        if self.is_open and self._asked is None:
            assert self._since is not None
            self._asked = FetchGap(self._since)
            self._emit(self._asked)

    def end(self) -> None:
        """End for good, and release the held events."""
        self.is_open = False
        self._asked = self._gaps = None
        self._release_all()

    def is_about(self, asked: FetchGap) -> bool:
        """Whether ``asked`` is the current question."""
        return asked is self._asked

    # --- live events in a gap ---

    def holds(self, delivery: Delivery) -> bool:
        """Whether a live event must wait for history. An ephemeral event, such as typing, does not."""
        if not self.is_holding or delivery.conversation is None or delivery.merge_key is not None:
            return False
        # Until history has named the dialogs with a gap, each may have one.
        return self._gaps is None or delivery.conversation in self._gaps

    def hold(self, delivery: Delivery) -> bool:
        """Keep a live event for later; False if there is no room."""
        return self._held.add(delivery)

    def hold_sent(self, delivery: Delivery, key: Key) -> bool:
        """Keep a copy of a "message_sent" for the views of its dialog; False if it does not wait."""
        size = len(delivery.event.message.body or "") + _OVERHEAD
        copy = Delivery(
            signal=SHOWN,
            event=delivery.event,
            conversation=delivery.conversation,
            size=size,
            key=key,
        )
        return self.holds(copy) and self._held.add(copy)

    def discard(self, keeps: Callable[[int], bool]) -> list[Delivery]:
        """Drop and return the events of this link for which ``keeps(sequence)`` is false."""
        return self._held.take_if(
            lambda delivery: delivery.sequence is not None and not keeps(delivery.sequence)
        )

    # --- answers of history; each returns whether the question is still the current one ---

    def dialogs(self, asked: FetchGap, dialogs: Collection[DialogRef], since: datetime) -> bool:
        """Take the dialogs that have changed since ``since``, by the service's clock; messages follow."""
        if asked is not self._asked:
            return False
        self._asked_since = since
        places = [(self._conversation(dialog), dialog) for dialog in dialogs]
        gaps = self._gaps = {place: dialog for place, dialog in places if place is not None}
        self._unplaced = {dialog.id for place, dialog in places if place is None}
        self._release(self._held.take_if(lambda delivery: delivery.conversation not in gaps))
        self._close_if_filled()
        return True

    def page(
        self, asked: FetchGap, dialog: DialogRef, messages: Sequence[Message], now: float
    ) -> bool:
        """Take the next messages of one of these dialogs that are new or changed, in history's order."""
        if asked is not self._asked:
            return False
        for message in messages:
            self._merge(dialog, message, now)
        return True

    def filled(self, asked: FetchGap, dialog: DialogRef) -> bool:
        """Note that all messages of this dialog have been given; release its held events."""
        if asked is not self._asked:
            return False
        conversation = self._conversation(dialog)
        if conversation is None:
            self._unplaced.discard(dialog.id)
        elif self._gaps is not None and self._gaps.pop(conversation, None) is not None:
            self._release(
                self._held.take_if(lambda delivery: delivery.conversation == conversation)
            )
        self._close_if_filled()
        return True

    def failed(self, asked: FetchGap, dialog: DialogRef | None, error: Exception) -> bool:
        """Note that this dialog, or even the list of dialogs (None), cannot be read."""
        if asked is not self._asked:
            return False
        self._has_failed = True
        self._emit_failure(dialog, error, is_repeated=False)
        if dialog is not None:
            return self.filled(asked, dialog)
        self._gaps, self._unplaced = {}, set()
        self._release_all()
        self._close_if_filled()
        return True

    def give_way(self, error: Exception) -> None:
        """Release the held events ahead of history, as there is no room to wait for it.

        The gap stays open. The signal ``recovery_failed`` reports that the order is not that of history.
        """
        held = self._held.take_if(lambda delivery: True)
        if held:
            self._emit_failure(None, error, is_repeated=True)
            self._release(held)

    def failing(self, asked: FetchGap, dialog: DialogRef | None, error: Exception) -> bool:
        """Note that reading failed for the moment, and is repeated; only the first failure is reported."""
        if asked is not self._asked:
            return False
        if self.is_holding:
            self._emit_failure(dialog, error, is_repeated=True)
            self._release_all()
        return True

    def _emit_failure(
        self, dialog: DialogRef | None, error: Exception, *, is_repeated: bool
    ) -> None:
        conversation = None if dialog is None else self._conversation(dialog)
        failure = RecoveryFailure(dialog=dialog, error=error, is_repeated=is_repeated)
        self._emit(Delivery(signal="recovery_failed", event=failure, conversation=conversation))

    def _release_all(self) -> None:
        """Release the held events, and hold no more."""
        self.is_holding = False
        self._release(self._held.take_if(lambda delivery: True))

    def _close_if_filled(self) -> None:
        if self._gaps or self._unplaced:
            return
        self.is_open = self.is_holding = False
        self._asked = None
        # After a failure the moment is kept: the next session reads from where this gap began.
        if not self._has_failed:
            self._since = None
            finished = RecoveryFinished(messages=self._recovered_messages)
            self._emit(Delivery(signal="recovery_finished", event=finished, conversation=None))
        self._keep_window()

    # --- what history holds ---

    def _merge(self, dialog: DialogRef, message: Message, now: float) -> None:
        key = self._key(dialog, message)
        # A message that has also arrived live is released here, in its place in history, and as the live
        # event, which has more fields. Earlier events of its sender go first, as they were sent first.
        if self._release_up_to(key):
            return
        if key in self._older or self._is_old(message):
            return  # history lists the old one because of a new status or a new body
        seen = None if key is None else self._seen_messages.add_stored(key, message, now)
        if seen is None:
            self._recovered(dialog, message, key)
        elif not self._release_up_to(seen):  # the live copy may have another id
            self._counters.repeated += 1

    def _is_old(self, message: Message) -> bool:
        since, created = self._asked_since, message.created_at
        return since is not None and created is not None and created < since

    def _recovered(self, dialog: DialogRef, message: Message, key: Key | None) -> None:
        me = self._me()
        own = message.sender_id == me
        event = evolve(
            message,
            dialog=self._reference(dialog, message),
            dialog_id=dialog.id,
            own=own,
            recovered=True,
        )
        is_marked = me in message.delivered_ids or me in message.read_ids
        is_markable = event.markable or self._marks_all
        if is_markable and event.id and event.sender_id and not own and not is_marked:
            self._to_mark.append(event)
        delivery = Delivery(
            signal=MESSAGE_SIGNALS[own],
            event=event,
            conversation=key[0] if key is not None else self._conversation(dialog),
            size=len(message.body or "") + _OVERHEAD,
            key=key,
            takes_room=True,
        )
        self._emit(delivery)
        self._recovered_messages += 1

    def _reference(self, dialog: DialogRef, message: Message) -> DialogRef:
        """Return the dialog as a live message has it: real time does not tell the types of rooms apart."""
        if dialog.type is DialogType.PRIVATE:
            peer_id = dialog.peer_id or _peer(message, self._me())
            return DialogRef(id=dialog.id, type=DialogType.PRIVATE, peer_id=peer_id)
        room_id = dialog.id or ""
        return self._known_room(self._addresses.room(room_id)) or DialogRef.room(room_id)

    def _key(self, dialog: DialogRef, message: Message) -> Key | None:
        return key_in_history(dialog, message, self._addresses, self._me())

    def _conversation(self, dialog: DialogRef) -> str | None:
        return _conversation(dialog, self._addresses)

    def _release_up_to(self, key: Key | None) -> bool:
        """Release a held event and those before it; return False if none with this key is held."""
        held = self._held.take_up_to(key)
        self._release(held)
        return bool(held)

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.signal == SHOWN:
                self._emit(UncommittedDelivery(delivery))
                continue
            # It was acknowledged when it was held, so the server does not send it again: the queue must
            # take it.
            delivery.sequence = None
            delivery.takes_room = True
            self._emit(delivery)


def key_in_history(
    dialog: DialogRef, message: Message, addresses: Addresses, me: int
) -> Key | None:
    """Return the key of a message of history, which user ``me`` reads; None if it says too little."""
    conversation = _conversation(dialog, addresses)
    if conversation is None:
        peer = _peer(message, me)
        conversation = addresses.user(peer) if peer else None
    if conversation is None or message.sender_id is None or message.id is None:
        return None
    return conversation, message.sender_id, short_id(message.id)


def _conversation(dialog: DialogRef, addresses: Addresses) -> str | None:
    """Return the conversation of a dialog; None for a private one that does not name the other user."""
    if dialog.type is not DialogType.PRIVATE:
        return addresses.room(dialog.id or "")
    return None if dialog.peer_id is None else addresses.user(dialog.peer_id)


def _peer(message: Message, me: int) -> int | None:
    return message.recipient_id if message.sender_id == me else message.sender_id


@define
class _Held:
    """Live events that wait for a gap to be filled, in order of arrival, within bounds."""

    _limits: Limits
    _waiting: dict[Key | int, Delivery] = field(factory=AnyDict)
    """By key; events without one are numbered."""
    _bytes: int = 0
    _numbers: Iterator[int] = field(factory=itertools.count)

    def add(self, delivery: Delivery) -> bool:
        """Keep an event; False if there is no room."""
        # One event is always taken, however large: without room for it, it could never be delivered.
        if self._waiting and (
            len(self._waiting) >= self._limits.queued_events
            or self._bytes + delivery.size > self._limits.queued_bytes
        ):
            return False
        key = delivery.key
        entry = next(self._numbers) if key is None or key in self._waiting else key
        self._waiting[entry] = delivery
        self._bytes += delivery.size
        return True

    def take_up_to(self, key: Key | None) -> list[Delivery]:
        """Remove and return the event with this key, if it waits, behind the earlier events of its sender."""
        if key is None or key not in self._waiting:
            return []
        up_to_it: list[Key | int] = []
        for entry, delivery in self._waiting.items():
            if delivery.key is not None and delivery.key[:2] == key[:2]:
                up_to_it.append(entry)
            if entry == key:
                break
        return [self._remove(entry) for entry in up_to_it]

    def take_if(self, chosen: Callable[[Delivery], bool]) -> list[Delivery]:
        """Remove and return the events for which ``chosen(delivery)`` is true, in order."""
        entries = [entry for entry, delivery in self._waiting.items() if chosen(delivery)]
        return [self._remove(entry) for entry in entries]

    def forget_sequences(self) -> None:
        """Forget the numbers of these events' stanzas, which count in the session before."""
        for delivery in self._waiting.values():
            delivery.sequence = None

    def _remove(self, entry: Key | int) -> Delivery:
        delivery = self._waiting.pop(entry)
        self._bytes -= delivery.size
        return delivery
