"""Durable mode: which events are written to the durable store, and when.

A message that arrives is committed before it is queued, so before the server is told that it was
handled; it is removed when its receivers have returned. A message that is sent is committed before the send
returns; its outcome removes it. The next login takes over the messages that a process leaves in the store.

Without ``Config.durable`` there is no store, and the methods do nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from ..._deadline import Deadline
from ...config import Config
from ...errors import ArgumentValueError, DurableStoreError, SendDeferredError
from ...models import DialogRef, Message
from ..beginning import Beginning, monotonic_of
from ..ids import derived_id, new_id
from ..protocol.decoding import MESSAGE_SIGNALS, Delivery
from ..protocol.events import OutcomeKnown, Output
from ..protocol.outbox import Submission
from ..protocol.seen_messages import Key
from ..protocol.session import DEFERRED
from ..send_handle import SendHandle
from .records import Arrived, Identity, Outcome, Outgoing

if TYPE_CHECKING:
    from .store import DurableStore

__all__ = ["Context", "Durability", "InboxEntry", "SavedState"]

ServiceTime = Callable[[], "float | None"]
NewHandle = Callable[[str, Message], SendHandle[Message]]

_CURSOR_EVERY = 30.0  # seconds without a commit, after which the cursor is committed alone
_NO_ENTRIES: Mapping[Key, InboxEntry] = {}


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
    outbox: Sequence[tuple[Submission, bytes]] = ()


@frozen
class InboxEntry:
    """The place of a message: the store, and the number of the message in its inbox."""

    store_id: str
    n: int


@define
class Context:
    """The message of the inbox whose receivers a worker runs."""

    entry: InboxEntry
    key: Key
    counts: dict[str, int] = field(factory=dict)
    """The number of messages that the receivers have sent, by recipient."""

    def next_id(self, recipient: str) -> str:
        """Return the id of the next message to that recipient."""
        count = self.counts.get(recipient, 0)
        return derived_id(self.entry.store_id, self.key, recipient, count)

    def note_sent(self, submission: Submission) -> None:
        """Go on to the next id; not before the send is accepted, as a refused one may be attempted again."""
        if submission.id == self.next_id(submission.to):
            self.counts[submission.to] = self.counts.get(submission.to, 0) + 1


@frozen
class _Pending:
    """A message that was sent and has no outcome.

    ``inbound`` is the number of the message whose receiver sent it, or None.
    """

    submission: Submission
    inbound: int | None


@define
class _CommitPlan:
    """The changes to the store of one read from the socket."""

    arrived: list[Arrived] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)
    settled: list[str] = field(factory=list)
    """The ids of all messages that have an outcome now, also of messages that are not in the store."""


class Durability:
    """The durable store of one connection, while it is logged in; every method may be called from any thread.

    ``service_time()`` returns unix seconds by the service's clock, or None. ``new_handle(id, message)`` makes
    the handle of a message of an earlier process. ``failed(error)`` is called, without a lock, on a worker
    that could not note that a message was handled. ``warn(error)`` is called, perhaps with a lock, if the
    store fails while it is closed. ``has_history`` says whether history can be read: without history it is
    not known which messages to send again, so there is no outbox.
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
        self._saved: list[tuple[Delivery, InboxEntry]] = []
        self._in_hand: set[InboxEntry] = set()  # messages that are queued, or whose receivers run
        self._pending: dict[str, _Pending] = {}
        self._local = threading.local()
        self._has_begun = False
        # The cursor with which this process began, by the monotonic and the service's clock.
        self._begun: tuple[float, float] | None = None
        self._cursor: float | None = None  # the core's newest cursor
        self._noted = 0.0  # when the cursor was last committed

    # --- login and end ---

    def prepare(self, user_id: int) -> None:
        """Do nothing: the file is opened with the login."""

    @property
    def is_new(self) -> bool:
        """Whether the next login is the first one of the file."""
        return self._config.durable is not None and not (
            os.path.exists(self.path) and os.path.getsize(self.path)
        )

    def open(self, user_id: int, beginning: Beginning | None = None) -> SavedState:
        """Open the store for a login of that user, unless it is open; return the unfinished work in it.

        ``beginning`` is that of a first login. Raises DurableStoreError.
        """
        if self._config.durable is None:
            return _first_state(beginning, self._service_time())
        with self._lock:
            store = self._store = self._usable_store(user_id)
            self._is_released = False
            waiting = [(InboxEntry(store.store_id, row.n), row) for row in store.inbox()]
            self._saved = [
                (_redelivery(row.key, row.message), entry)
                for entry, row in waiting
                if entry not in self._in_hand
            ]
            if beginning is not None and store.beginning is None and store.cursor is None:
                store.begin(beginning.at, beginning.seen)
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
        if self._store is not None and self._is_broken:
            self._close()
        if self._store is not None:
            return self._store  # receivers of the previous login are still running
        # Imported here, so that applications without durable mode do not load SQLite.
        from .store import DurableStore

        store = DurableStore(self.path, Identity(config.app_id, user_id, config.chat_host))
        self._user_id = user_id
        self._is_broken = False
        self._cursor = None
        return store

    def _saved_state(self, store: DurableStore, beginning: Beginning | None) -> SavedState:
        self._pending.clear()
        outbox = []
        for entry in store.outbox():
            dialog = entry.message.dialog or DialogRef()
            submission = Submission(entry.id, entry.recipient, dialog, entry.message)
            submission.durable = self._has_history
            submission.waiter = self._new_handle(entry.id, entry.message)
            self._pending[entry.id] = _Pending(submission, entry.inbound)
            outbox.append((submission, entry.stanza))
        ours = [(recipient, self._user_id, own) for own, recipient, _ in store.sent()]
        theirs = [key for key, _ in store.seen()]
        cursor, service_cursor = self._begin_from(store, beginning)
        return SavedState([*ours, *theirs], cursor, service_cursor, store.beginning, outbox)

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
    def _using(self) -> Iterator[DurableStore]:
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

    def release(self) -> None:
        """Close the store, now or when the receivers of its messages have returned."""
        if self._store is None or self._is_released:
            return
        try:
            with self._using() as store:
                self._is_released = True
                store.set_cursor(self._service_cursor())
        except DurableStoreError as error:
            self._warn(error)
        with self._lock:
            self._close_if_unused()

    def finish(self, deadline: Deadline) -> None:
        """Do nothing: the last receiver that returns closes the file."""

    def _close_if_unused(self) -> None:
        if self._is_released and not self._in_hand and self._store is not None:
            self._close()

    def _close(self) -> None:
        store, self._store = self._store, None
        self._saved = []
        assert store is not None
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

    # --- messages that arrive ---

    def commit(self, outputs: Sequence[Output], cursor: float | None) -> Mapping[Key, InboxEntry]:
        """Commit messages and outcomes before they are routed; return the inbox entries of the messages.

        ``cursor`` is the core's, on the monotonic clock. Raises DurableStoreError: then none of the messages
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
                plan.arrived, plan.outcomes, self._service_cursor(), self._service_time()
            )
            entries = [InboxEntry(store.store_id, n) for n in numbers]
            self._noted = time.monotonic()
            self._in_hand.update(entries)
        for message_id in plan.settled:
            self._pending.pop(message_id, None)
        return {message.key: entry for message, entry in zip(plan.arrived, entries, strict=True)}

    def _plan(self, outputs: Sequence[Output]) -> _CommitPlan:
        plan = _CommitPlan()
        for output in outputs:
            if isinstance(output, OutcomeKnown):
                plan.settled.append(output.submission.id)
                outcome = self._outcome(output)
                if outcome is not None:
                    plan.outcomes.append(outcome)
            elif (
                isinstance(output, Delivery)
                and output.signal in MESSAGE_SIGNALS
                and output.key is not None
            ):
                plan.arrived.append(Arrived(output.key, output.event))
        return plan

    def _outcome(self, settled: OutcomeKnown) -> Outcome | None:
        submission = settled.submission
        if submission.message is None or isinstance(settled.error, SendDeferredError):
            return None
        pending = self._pending.get(submission.id)
        inbound = pending.inbound if pending is not None else None
        return Outcome(submission.id, submission.to, settled.error is None, inbound)

    def withdraw(self, entries: Sequence[InboxEntry]) -> None:
        """Forget messages that the queue has rejected. Raises DurableStoreError."""
        if self._store is not None and entries:
            with self._using() as store:
                self._in_hand.difference_update(entries)
                store.withdraw([entry.n for entry in entries])

    @property
    def has_saved(self) -> bool:
        """Whether an earlier process left messages that are not queued yet."""
        return bool(self._saved)

    def load_saved(self) -> list[tuple[Delivery, InboxEntry]]:
        """Return, once, the messages that an earlier process committed and did not handle."""
        with self._lock:
            saved, self._saved = self._saved, []
            self._in_hand.update(entry for _, entry in saved)
        return saved

    @contextmanager
    def handling(self, entry: InboxEntry, key: Key) -> Iterator[None]:
        """Derive, inside the block, the ids of sent messages from the message whose receivers run in it."""
        self._local.context = Context(entry, key)
        try:
            yield
        finally:
            self._local.context = None

    def handled(self, entry: InboxEntry, *, keep: bool) -> None:
        """Note that all receivers of a message have returned; ``keep``: run them again at the next login."""
        try:
            with self._lock:
                self._in_hand.discard(entry)
                store = self._store  # a later login may have opened another one
                try:
                    if store is not None and store.store_id == entry.store_id and not keep:
                        store.handled(entry.n)
                finally:
                    self._close_if_unused()
        except DurableStoreError as error:
            self._is_broken = True
            self._failed(error)

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
        if self._begun is not None and self._cursor == self._begun[0]:
            return self._begun[1]
        now = self._service_time()
        if self._cursor is None or now is None:
            return None
        return now - (time.monotonic() - self._cursor)

    # --- messages that are sent ---

    def message_id(self, recipient: str) -> str:
        """Return the id of a new message: in a receiver the same id each time the receiver runs."""
        context = self._context
        return new_id() if context is None else context.next_id(recipient)

    @property
    def _context(self) -> Context | None:
        context: Context | None = getattr(self._local, "context", None)
        return context

    def known(self, submission: Submission) -> SendHandle[Any] | None:
        """Return the handle of an earlier message with this id, which must not be sent twice; else None.

        Raises ArgumentValueError if the earlier message had another recipient; DurableStoreError.
        """
        if self._store is None or submission.message is None:
            return None
        handle = self._known(submission)
        if handle is not None and self._context is not None:
            self._context.note_sent(submission)
        return handle

    def _known(self, submission: Submission) -> SendHandle[Any] | None:
        pending = self._pending.get(submission.id)
        if pending is not None:
            _check_recipient(submission, pending.submission.to)
            handle: SendHandle[Any] = pending.submission.waiter
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
        if self._store is None or submission.message is None:
            return
        context = self._context
        inbound = context.entry.n if context is not None else None
        if self._has_history and submission.in_history:
            with self._using() as store:
                store.add(Outgoing(submission.id, submission.to, data, submission.message, inbound))
            submission.durable = True
        self._pending[submission.id] = _Pending(submission, inbound)
        if context is not None:
            context.note_sent(submission)


def _first_state(beginning: Beginning | None, service_now: float | None) -> SavedState:
    """Return the state of a connection that nobody had before."""
    if beginning is None:
        return SavedState()
    cursor = monotonic_of(beginning.at, service_now) if beginning.begins_gap else None
    return SavedState(beginning.seen, cursor, beginning.at, beginning.at)


def _redelivery(key: Key, message: Message) -> Delivery:
    return Delivery(
        signal=MESSAGE_SIGNALS[message.own],
        event=evolve(message, redelivered=True),
        conversation=key[0],
        key=key,
    )


def _check_recipient(submission: Submission, recipient: str) -> None:
    if submission.to != recipient:
        raise ArgumentValueError(
            f"message has an id, {submission.id}, that was used for a message to {recipient}"
        )
