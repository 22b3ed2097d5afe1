"""Durable mode: which events are written to the durable store, and when.

An event that arrives is committed before it is queued, so before the server is told that it was handled.
Each receiver that has handled it is noted, and it is removed when all have. What a receiver gives up is kept
as a dead letter. A message that is sent is committed before the send returns; its outcome removes it. The
next login takes over the events and messages that a process leaves in the store.

While conversations wait for receivers that are to run again, only their first events are in memory: the
others stay in the inbox and are read back in order.

Without ``Config.durable`` there is no store, and the methods do nothing.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from ..._containers import AnyDict, AnyList
from ..._deadline import Deadline
from ...config import Config
from ...errors import ArgumentValueError, DurableStoreError, SendDeferredError
from ...models import Message, ReceiverGaveUp
from ..answers import Answers, InboxEntry, Running, new_entry
from ..beginning import Beginning, monotonic_of
from ..ids import new_id
from ..lease.hold import Hold
from ..protocol.decoding import MESSAGE_SIGNALS, Delivery
from ..protocol.events import OutcomeKnown, Output
from ..protocol.outbox import Submission
from ..protocol.seen_messages import Key
from ..protocol.session import DEFERRED
from ..send_handle import AnyHandle, SendHandle
from .records import (
    Arrived,
    Identity,
    Kept,
    Outcome,
    Outgoing,
    Waiting,
    is_new_key,
    new_key,
)

if TYPE_CHECKING:
    from .dead_letters import DeadLetters
    from .store import DurableStore

__all__ = [
    "DURABLE_SIGNALS",
    "MOST_BYTES_IN_MEMORY",
    "Durability",
    "NewHandle",
    "Saved",
    "SavedState",
]

logger: logging.Logger = logging.getLogger("connectycube.chat")

DURABLE_SIGNALS = frozenset(
    {*MESSAGE_SIGNALS, "system_message_received"}
    | {"message_edited", "message_deleted", "reaction_changed"}
)
"""The signals whose events are kept until their receivers have handled them."""
MOST_IN_MEMORY = 1_000
"""The number of events of a conversation that waits, beyond which they stay in the inbox."""
MOST_BYTES_IN_MEMORY = 8 * 1024 * 1024
"""The bytes of these events."""

ServiceTime = Callable[[], "float | None"]
NewHandle = Callable[[str, Message], SendHandle[Message]]

_CURSOR_EVERY = 30.0  # seconds without a commit, after which the cursor is committed alone
_NO_ENTRIES: Mapping[Delivery, InboxEntry] = {}
Saved = tuple[Delivery, InboxEntry]


@frozen
class SavedState:
    """The unfinished work of an earlier process, or of an earlier login of this one, for the core.

    ``cursor`` is the moment up to which everything had arrived, on the monotonic clock; ``service_cursor`` is
    the same moment by the service's clock. None means that it is not known, or that the core has it already.
    """

    seen: Sequence[Key] = ()
    cursor: float | None = None
    service_cursor: float | None = None
    beginning: float | None = None
    """The moment of the first login by the service's clock: recovery never reaches before it."""
    older: Sequence[Key] = ()
    """The messages of that second that history had before the login: recovery leaves them out."""
    outbox: Sequence[tuple[Submission, bytes]] = ()


@frozen
class _Pending:
    """A message that was sent and has no outcome.

    ``inbound`` is the number of the event whose receiver sent it, or None.
    """

    submission: Submission
    inbound: int | None


@define
class _CommitPlan:
    """The changes to the store of one read from the socket."""

    arrived: dict[Delivery, Arrived] = field(factory=AnyDict)
    outcomes: list[Outcome] = field(factory=AnyList)
    settled: list[str] = field(factory=AnyList)
    """The ids of all messages that have an outcome now, also of messages that are not in the store."""


class Durability:
    """The durable store of one connection, while it is logged in; every method may be called from any thread.

    ``service_time()`` returns unix seconds by the service's clock, or None. ``new_handle(id, message)`` makes
    the handle of a message of an earlier process. ``failed(error)`` is called, without a lock, on a worker
    that could not note that an event was handled. ``warn(error)`` is called, perhaps with a lock, for an
    event that cannot be written or read, and if the store fails while it is closed. ``has_history`` says
    whether history can be read: without history it is not known which messages to send again, so there is no
    outbox.
    """

    def __init__(
        self,
        config: Config,
        service_time: ServiceTime,
        new_handle: NewHandle,
        failed: Callable[[DurableStoreError], None],
        warn: Callable[[DurableStoreError], None],
        *,
        has_history: bool,
    ) -> None:
        self._config = config
        self._service_time = service_time
        self._new_handle = new_handle
        self._failed = failed
        self._warn = warn
        self._has_history = has_history
        self._lock = threading.Lock()
        self._store: DurableStore | None = None
        self._user_id = 0
        self._is_broken = False  # the store has failed since it was opened
        self._is_released = False  # the connection is closed
        self._saved: list[Saved] = []
        self._unread: dict[str, int] = {}  # as _parked, until the saved events are queued
        self._first_new = 0  # the number of the first event that arrives after the login
        self._letters: dict[
            int, int
        ] = {}  # the ids of dead letters, by the numbers of their events
        self._in_hand: set[InboxEntry] = set()  # events that are queued, or whose receivers run
        # Conversations of which later events are in the inbox alone, and the number of the first such event.
        self._parked: dict[str, int] = {}
        self._most_waiting = max(1, config.limits.queued_events // 2)  # of all conversations
        self._most_in_memory = min(MOST_IN_MEMORY, self._most_waiting)
        self._pending: dict[str, _Pending] = {}
        self._left = (0, 0)  # the entries in inbox and outbox of the store that was closed last
        self._letter_count = 0  # of all dead letters in their file
        self.running: Running = Running()
        self._memory_id = secrets.token_hex(16)  # in place of a store's id
        self._has_begun = False
        self.hold: Hold | None = None  # of the lease of the login; the lock of the file is enough
        # The cursor with which this process began, by the monotonic and the service's clock.
        self._begun: tuple[float, float] | None = None
        self._cursor: float | None = None  # the core's newest cursor
        self._noted = 0.0  # when the cursor was last committed

    # --- login and end ---

    def prepare(self, user_id: int, deadline: Deadline) -> None:
        """Do nothing: the file is opened with the login."""

    @property
    def is_new(self) -> bool:
        """Whether the next login is the first one of the file."""
        return self._config.durable is not None and not (
            os.path.exists(self.path) and os.path.getsize(self.path)
        )

    def forget_last_login(self) -> None:
        """Let the next login begin where the file says: another process may have used it since."""
        self._has_begun = False

    def open(self, user_id: int, beginning: Beginning | None = None) -> SavedState:
        """Open the store for a login of that user, unless it is open; return the unfinished work in it.

        ``beginning`` is that of a first login. Raises DurableStoreError.
        """
        if self._config.durable is None:
            return _first_state(beginning, self._service_time())
        with self._lock:
            store = self._store = self._usable_store(user_id)
            self._is_released = False
            self._find_saved(store)
            if beginning is not None and store.beginning is None and store.cursor is None:
                store.begin(beginning.at, beginning.older)
            else:
                beginning = None
            return self._saved_state(store, beginning)

    def _usable_store(self, user_id: int) -> DurableStore:
        """Return the open store, or open it; DurableStoreError if another user's receivers still need it."""
        config = self._config
        if self._store is not None and user_id != self._user_id:
            raise DurableStoreError(
                f"the durable store {self.path} is in use: receivers of user {self._user_id}"
                " are still running",
                path=self.path,
            )
        # After a failure the connection may be in any state; SQLite recovers a file only when it is
        # opened.
        if self._store is not None and self._is_broken:
            self._close()
        if self._store is not None:
            return self._store  # receivers of the previous login are still running
        # Imported here, so that applications without durable mode do not load SQLite.
        from .store import DurableStore

        store = DurableStore(self.path, Identity(config.app_id, user_id, config.chat_host))
        self._user_id = user_id
        self._is_broken = False
        # A cursor of another user's file would skip a part of this one's history.
        self._cursor = None
        with suppress(DurableStoreError):  # take_marked() meets the same error, which is logged
            self._letter_count = len(self.dead_letters)
        return store

    def _find_saved(self, store: DurableStore) -> None:
        """Find the events that are not queued: the first ones of each conversation, and where more begin."""
        self._saved, self._unread, counts = [], {}, Counter[str]()
        self._letters = store.letters()
        # One more than fits: it tells that there are more, without reading them all.
        for row in store.inbox(self._most_in_memory + 1):
            conversation = row.key[0]
            counts[conversation] += 1
            # Once one event is left in the file, all later ones of its conversation stay there too, in
            # order.
            if conversation in self._parked or conversation in self._unread:
                continue
            is_full = len(self._saved) >= self._most_waiting
            if is_full or counts[conversation] > self._most_in_memory:
                self._unread[conversation] = row.n
                continue
            saved = _saved(store, row)
            # At a second login of this process the receivers of the first one may still run for this
            # event.
            if saved[1] not in self._in_hand and self._is_readable(row):
                self._saved.append(saved)
        # Event streams have had no event below this number: those of earlier processes are not theirs.
        self._first_new = store.next_number

    def _is_readable(self, row: Waiting) -> bool:
        """Whether a row of the inbox can be read; it costs itself alone, and stays in the file."""
        if row.damage is None:
            return True
        text = f"event {row.n} in {self.path} cannot be read, and stays there: {row.damage}"
        self._warn(DurableStoreError(text, path=self.path))
        return False

    def _saved_state(self, store: DurableStore, beginning: Beginning | None) -> SavedState:
        self._pending.clear()
        outbox: list[tuple[Submission, bytes]] = []
        for entry in store.outbox():
            dialog = entry.message.dialog
            assert dialog is not None  # else the store had not read it
            submission = Submission(entry.id, entry.recipient, dialog, entry.message)
            # Without history nobody can know whether an earlier process has sent the message.
            submission.durable = self._has_history
            submission.waiter = self._new_handle(entry.id, entry.message)
            self._pending[entry.id] = _Pending(submission, entry.inbound)
            outbox.append((submission, entry.stanza))
        # A group's room sends us our own messages back; they are as little news as those that arrived.
        ours = [(recipient, self._user_id, own) for own, recipient, _ in store.sent()]
        theirs = [key for key, _ in store.seen()]
        cursor, service_cursor = self._begin_from(store, beginning)
        seen, older = [*ours, *theirs], store.older()
        return SavedState(seen, cursor, service_cursor, store.beginning, older, outbox)

    def _begin_from(
        self, store: DurableStore, beginning: Beginning | None
    ) -> tuple[float | None, float | None]:
        """Return the cursor of an earlier process by both clocks, at the first login of this process.

        At a later login the core has its own cursor, or was told to forget it.
        """
        at = store.cursor
        if beginning is not None and beginning.begins_gap:
            at = beginning.at
        is_first, self._has_begun = not self._has_begun, True
        if not is_first or at is None:
            return None, None
        self._begun = (monotonic_of(at, self._service_time()), at)
        return self._begun

    @contextmanager
    def _using(self) -> Generator[DurableStore]:
        with self._lock:
            assert self._store is not None
            try:
                yield self._store
            except DurableStoreError:
                self._is_broken = True
                raise

    @property
    def resource(self) -> str | None:
        """The resource of the login, with which a process replaces the session of a dead one; or None."""
        return f"python-{self._store.store_id}" if self._store is not None else None

    @property
    def path(self) -> str:
        """The path of the file."""
        return self._config.durable or ""

    @property
    def kept(self) -> Kept:
        """The numbers of what is in the file, or was when it was closed, and of the dead letters."""
        store, (inbox, outbox) = self._store, self._left
        if store is not None:
            inbox, outbox = store.inbox_count, store.outbox_count
        return Kept(inbox, outbox, self._letter_count)

    def release(self) -> None:
        """Close the store, now or when the receivers of its messages have returned."""
        if self._store is None or self._is_released:
            return
        try:
            with self._using() as store:
                # Under the lock, so that a receiver that returns now finds either the open file or the
                # released one.
                self._is_released = True
                store.set_cursor(self._service_cursor())
        except DurableStoreError as error:
            self._warn(error)
        with self._lock:
            self._close_if_unused()

    def finish(self, deadline: Deadline) -> bool:
        """Return True: nothing has to be saved, and the last receiver that returns closes the file."""
        return True

    def _close_if_unused(self) -> None:
        # A receiver that still runs will note that it has handled its event; only then may the file be
        # closed.
        if self._is_released and not self._in_hand and self._store is not None:
            self._close()

    def _close(self) -> None:
        store = self._store
        assert store is not None
        # Once the file is closed, statistics show these counts.
        self._left = (store.inbox_count, store.outbox_count)
        self._store = None
        self._saved = []
        self._parked.clear()
        try:
            store.close()
        except DurableStoreError as error:
            self._warn(error)

    def abandon(self) -> None:
        """Leave the store to the parent, in a forked child; a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        if self._store is not None:
            self._store.abandon()
            self._store = None

    # --- events that arrive ---

    def commit(
        self, outputs: Sequence[Output], cursor: float | None
    ) -> Mapping[Delivery, InboxEntry]:
        """Commit events and outcomes before they are routed; return the inbox entries of the events.

        ``cursor`` is the core's, on the monotonic clock. Raises DurableStoreError: then none of the events
        may count as committed.
        """
        if self._store is None:
            return _NO_ENTRIES
        self._note(cursor)
        plan = self._plan(outputs)
        if not plan.arrived and not plan.outcomes:
            return _NO_ENTRIES
        with self._using() as store:
            # In one transaction: after a crash the store has either everything of a read, or nothing.
            numbers = store.commit(
                list(plan.arrived.values()),
                plan.outcomes,
                self._service_cursor(),
                self._service_time(),
            )
            entries = [
                new_entry(store.store_id, n, arrived.key)
                for n, arrived in zip(numbers, plan.arrived.values(), strict=True)
            ]
            self._noted = time.monotonic()
            # Before the lock is released: a release of the connection must not close the file under them.
            self._in_hand.update(entries)
        # After the commit: if that fails, the file does not know the outcomes, and the messages stay
        # pending.
        for message_id in plan.settled:
            self._pending.pop(message_id, None)
        return dict(zip(plan.arrived, entries, strict=True))

    def _plan(self, outputs: Sequence[Output]) -> _CommitPlan:
        plan = _CommitPlan()
        for output in outputs:
            if isinstance(output, OutcomeKnown):
                plan.settled.append(output.submission.id)
                outcome = self._outcome(output)
                if outcome is not None:
                    plan.outcomes.append(outcome)
            elif isinstance(output, Delivery) and output.signal in DURABLE_SIGNALS:
                arrived = self._arrived(output)
                if arrived is not None:
                    plan.arrived[output] = arrived
        return plan

    def _arrived(self, output: Delivery) -> Arrived | None:
        """Return the row of an event, or None for one that the file cannot hold.

        Its receivers run as without a file: neither the connection nor other events may suffer by it.
        """
        try:
            key = output.key or new_key(output.conversation or "")
            return Arrived(key, output.event, output.signal)
        except Exception as error:  # noqa: BLE001  # other users make the events
            text = (
                f"an event for {output.signal} cannot be written to {self.path}: {error};"
                " it is given to receivers, and lost if the process ends before they have handled it"
            )
            self._warn(DurableStoreError(text, path=self.path))
            return None

    def _outcome(self, settled: OutcomeKnown) -> Outcome | None:
        submission = settled.submission
        # Markers are not in the outbox, and a deferred message stays there for the next login.
        if submission.message is None or isinstance(settled.error, SendDeferredError):
            return None
        pending = self._pending.get(submission.id)
        inbound = pending.inbound if pending is not None else None
        return Outcome(submission.id, submission.to, settled.error is None, inbound)

    def withdraw(self, entries: Sequence[InboxEntry]) -> None:
        """Forget events that the queue has rejected. Raises DurableStoreError."""
        if self._store is not None and entries:
            with self._using() as store:
                # The server sends them again: as rows of the file they would be given to receivers twice.
                self._in_hand.difference_update(entries)
                store.withdraw([entry.n for entry in entries])

    @property
    def has_saved(self) -> bool:
        """Whether an earlier process left events that are not queued yet."""
        return bool(self._saved or self._unread)

    def load_saved(self) -> tuple[list[Saved], list[str]]:
        """Return, once, the events that an earlier process committed and did not handle.

        Of each conversation only the first ones are returned. The second list has the conversations with
        more: :meth:`read_back` returns them.
        """
        with self._lock:
            # Once: a login that is repeated while they wait in the queue must not queue them again.
            saved, self._saved = self._saved, []
            unread, self._unread = self._unread, {}
            self._parked.update(unread)
            self._in_hand.update(entry for _, entry in saved)
        return saved, list(unread)

    def handled(self, entry: InboxEntry, *, keep: bool) -> None:
        """Note that all receivers have handled an event; ``keep``: run the others at the next login."""
        # The letter goes first. A crash between the two runs its receiver again, and loses nothing.
        keep = keep or (entry.receiver is not None and not self._remove_letter(entry))
        # As _noting(), but without a context manager: each message comes here.
        try:
            with self._lock:
                self._in_hand.discard(entry)
                store = self._store  # a later login may have opened another one
                try:
                    if store is not None and store.store_id == entry.store_id and not keep:
                        store.handled(entry.n)
                finally:
                    if self._is_released:
                        # Also after an error, so that the file of a closed connection is never left open.
                        self._close_if_unused()
        except DurableStoreError as error:
            self._is_broken = True
            self._failed(error)

    def _remove_letter(self, entry: InboxEntry) -> bool:
        """Remove the dead letter whose event was handled, if it was one; return whether it is gone."""
        letter = self._letters.get(entry.n)
        if letter is None:
            return True
        try:
            self._letter_count = self.dead_letters.remove([letter])
        except DurableStoreError as error:
            logger.error("%s; the event is left to the next login", error)
            return False
        return True

    def put_back(self, entry: InboxEntry) -> None:
        """Leave a dead letter in its file: its receiver is not connected. It is taken again once it is."""
        letter = self._letters.get(entry.n)
        try:
            is_there = letter is not None and self.dead_letters.has(letter)
        except DurableStoreError:
            is_there = False
        with self._noting(entry) as store:
            self._in_hand.discard(entry)
            try:
                if store is not None and is_there:
                    store.handled(entry.n)
            finally:
                self._close_if_unused()

    def note_done(self, entry: InboxEntry, receivers: set[str]) -> None:
        """Note the names of all receivers that have handled an event, as others have not."""
        with self._noting(entry) as store:
            if store is not None:
                store.note_done(entry.n, receivers)

    @contextmanager
    def _noting(self, entry: InboxEntry) -> Generator[DurableStore | None]:
        """Use the store of an event, on a worker; its failure ends the connection."""
        try:
            with self._lock:
                store = self._store  # a later login may have opened another one
                yield store if store is not None and store.store_id == entry.store_id else None
        except DurableStoreError as error:
            self._is_broken = True
            self._failed(error)

    # --- conversations that wait ---

    @property
    def most_in_memory(self) -> int:
        """The number of events of a conversation that waits, beyond which they stay in the inbox."""
        return self._most_in_memory

    def joins_parked(self, entry: InboxEntry) -> bool:
        """Leave an event in the inbox if earlier ones of its conversation are there alone; return whether.

        The driver's mutex is held, under which alone a conversation goes to the inbox.
        """
        if not self._parked:
            return False  # as nearly always, without the lock
        with self._lock:
            if entry.key[0] not in self._parked:
                return False
            self._in_hand.discard(entry)
            return True

    def park(self, entries: Sequence[InboxEntry]) -> bool:
        """Leave events of one conversation, and all later ones, in the inbox until :meth:`read_back`.

        Returns whether no later ones are there alone already.
        """
        conversation = entries[0].key[0]
        with self._lock:
            is_first = conversation not in self._parked
            # Never higher than the number before: events in memory are older than those in the file
            # alone.
            self._parked[conversation] = entries[0].n
            self._in_hand.difference_update(entries)
            return is_first

    def read_back(self, conversation: str, room: int) -> tuple[list[Saved], bool]:
        """Return the next events of a conversation that are in the inbox alone, and whether there are more.

        At least one is returned, else no more than there is ``room`` for. No event of the conversation may be
        committed before they are queued. Raises DurableStoreError.
        """
        with self._lock:
            first, store = self._parked.pop(conversation, None), self._store
            if first is None or store is None:
                return [], False
            # At least one, even if the queue has no room: else the conversation would never go on.
            most = max(1, min(room, self._most_in_memory))
            rows = store.inbox_of(conversation, first, most + 1)
            found: list[Saved] = []
            size = 0
            for place, row in enumerate(rows):
                size += row.size
                if place and (place == most or size > MOST_BYTES_IN_MEMORY):
                    self._parked[conversation] = row.n
                    break
                if self._is_readable(row):
                    found.append(_saved(store, row, redelivered=row.n < self._first_new))
            # An event that is queued, or handled right now, is in the file as well; it must not be queued
            # twice.
            saved = [each for each in found if each[1] not in self._in_hand]
            self._in_hand.update(entry for _, entry in saved)
            return saved, conversation in self._parked

    def was_shown(self, entry: InboxEntry) -> bool:
        """Whether event streams have had an event: it arrived in this login, or was a dead letter."""
        return entry.n >= self._first_new or entry.receiver is not None

    def leave(self, entry: InboxEntry) -> None:
        """Leave an event, whose receivers were to run again, to the next login."""
        with self._lock:
            self._in_hand.discard(entry)
            self._close_if_unused()

    def leave_parked(self, conversation: str) -> None:
        """Leave the events of a conversation, which were to be read back, to the next login."""
        with self._lock:
            self._parked.pop(conversation, None)

    # --- dead letters ---

    @property
    def dead_letters(self) -> DeadLetters:
        """The file beside the store with what receivers have given up."""
        from .dead_letters import DeadLetters

        return DeadLetters(f"{self.path}.dead")

    def bury(self, entry: InboxEntry, failure: ReceiverGaveUp) -> None:
        """Keep an event that a receiver has given up as a dead letter. Raises DurableStoreError."""
        # The letter is kept before the event is removed, so a crash may repeat this. Then the same source
        # replaces the letter.
        source = json.dumps([entry.store_id, *entry.key, failure.signal, failure.receiver])
        self._letter_count = self.dead_letters.add(source, failure, json.dumps(entry.key))

    def take_marked(self, is_connected: Callable[[str, str], bool]) -> list[Saved]:
        """Put the events of dead letters that are marked to be retried into the inbox, and return them.

        A letter stays in its file until its receiver is done with it. It waits there unless
        ``is_connected(signal, receiver)``, by their names. Raises DurableStoreError.
        """
        store = self._store
        if store is None:
            return []
        self._letter_count = len(self.dead_letters)  # another process may have dropped some
        letters = [
            letter
            for letter in (self.dead_letters.marked() if self._letter_count else ())
            if is_connected(letter.failure.signal, letter.failure.receiver)
        ]
        with self._lock:
            store = self._store  # the connection may be closed by now
            if not letters or store is None or self._is_released:
                return []
            # A letter that is marked twice, or whose receiver runs already, is in the inbox already.
            taken = set(store.letters().values())
            arrived: list[Arrived] = []
            for letter in letters:
                if letter.id not in taken:
                    failure = letter.failure
                    arrived.append(
                        Arrived(
                            letter.key, failure.event, failure.signal, failure.receiver, letter.id
                        )
                    )
            if not arrived:
                return []
            first = store.next_number
            store.commit(arrived, (), None, None)
            self._letters = store.letters()
            saved = [_saved(store, row) for row in store.inbox_from(first)]
            self._in_hand.update(entry for _, entry in saved)
        return saved

    def note_cursor(self, cursor: float | None, now: float) -> None:
        """Commit the cursor if no commit was made for some time. Raises DurableStoreError."""
        if self._store is None:
            return
        self._note(cursor)
        if self._cursor is None or now - self._noted < _CURSOR_EVERY:
            return
        with self._using() as store:
            self._noted = now
            store.set_cursor(self._service_cursor())

    def _note(self, cursor: float | None) -> None:
        # After a logout the core has no cursor; the next process needs the last one.
        if cursor is not None:
            self._cursor = cursor

    def _service_cursor(self) -> float | None:
        """Return the cursor by the service's clock, None if that is not known."""
        # Nothing arrived since: the value of the file again, as a way over both clocks would shift it
        # each time.
        if self._begun is not None and self._cursor == self._begun[0]:
            return self._begun[1]
        now = self._service_time()
        if self._cursor is None or now is None:
            return None
        return now - (time.monotonic() - self._cursor)

    # --- messages that are sent ---

    @property
    def has_file(self) -> bool:
        """Whether there is a file, which knows what was sent before."""
        return self._store is not None

    def message_id(self, recipient: str) -> str:
        """Return the id of a new message: in a receiver the same id each time the receiver runs."""
        if self.running.delivery is None:
            return new_id()
        answers = self._answers
        assert answers is not None
        return answers.next_id(recipient)

    def find_stored(self, submission: Submission) -> AnyHandle | None:
        """Return None: the file knows what an earlier process has sent, and ``submit`` asks it."""
        return None

    @property
    def _answers(self) -> Answers | None:
        return self.running.answers_of(self._memory_id)

    def known(self, submission: Submission) -> AnyHandle | None:
        """Return the handle of an earlier message with this id, which must not be sent twice; else None.

        Raises ArgumentValueError if the earlier message had another recipient; DurableStoreError.
        """
        if submission.message is None:
            return None
        answers = self.running.answers
        handle = self._known(submission) if self._store is not None else None
        if answers is None:
            return handle
        if handle is None:
            return answers.repeated(submission)
        answers.note_sent(submission, handle)
        return handle

    def _known(self, submission: Submission) -> AnyHandle | None:
        pending = self._pending.get(submission.id)
        # First in memory: the handle of a message on its way is that of the first call, with its outcome
        # to come.
        if pending is not None:
            _check_recipient(submission, pending.submission.to)
            handle: AnyHandle = pending.submission.waiter
            return handle
        with self._using() as store:
            outgoing = store.recipient_of_outgoing(submission.id)
            recipient = outgoing or store.recipient_of_sent(submission.id)
        if recipient is None:
            return None
        _check_recipient(submission, recipient)
        handle = submission.waiter
        handle.settle(SendDeferredError(DEFERRED) if outgoing else None)
        return handle

    def accept(self, submission: Submission, data: bytes) -> None:
        """Commit a message that is about to be sent. After a DurableStoreError it must not be sent."""
        if submission.message is None:
            return
        answers = self.running.answers
        if self._store is not None:
            entry = answers.entry if answers is not None else None
            inbound = entry.n if entry is not None else None
            # Only a message that history shows can be looked up after a crash; another one would be sent
            # twice.
            if self._has_history and submission.in_history:
                with self._using() as store:
                    store.add(
                        Outgoing(submission.id, submission.to, data, submission.message, inbound)
                    )
                submission.durable = True
            self._pending[submission.id] = _Pending(submission, inbound)
        if answers is not None:
            answers.note_sent(submission, submission.waiter)


def _first_state(beginning: Beginning | None, service_now: float | None) -> SavedState:
    """Return the state of a connection that nobody had before."""
    if beginning is None:
        return SavedState()
    cursor = monotonic_of(beginning.at, service_now) if beginning.begins_gap else None
    return SavedState((), cursor, beginning.at, beginning.at, beginning.older)


def _saved(store: DurableStore, row: Waiting, *, redelivered: bool = True) -> Saved:
    """Return the delivery and the entry of an event in the inbox."""
    event = row.event
    delivery = Delivery(
        signal=row.signal,
        event=evolve(event, redelivered=redelivered) if isinstance(event, Message) else event,
        conversation=row.key[0] or None,
        size=row.size,
        key=None if is_new_key(row.key) else row.key,
    )
    return delivery, InboxEntry(store.store_id, row.n, row.key, row.done, row.receiver)


def _check_recipient(submission: Submission, recipient: str) -> None:
    if submission.to != recipient:
        raise ArgumentValueError(
            f"message has an id, {submission.id}, that was used for a message to {recipient}"
        )
