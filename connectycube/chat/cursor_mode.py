"""The cursor of ``Config.cursor_store``: a small value, by which the next process knows where to go on.

It replaces the file of durable mode where there is no disk. Messages are in no store: what was not handled
when a process ended is read from history by the next one. So the cursor says since when history must be read,
and which messages since then were handled.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait

from attrs import define, evolve

from .._checks import repr_of
from .._deadline import Deadline
from .._threads import start_thread
from ..config import Config
from ..errors import ArgumentValueError, DurableStoreError, LoginTimeoutError
from ..models import ReceiverGaveUp
from .answers import Answers, InboxEntry, Running
from .beginning import Beginning, monotonic_of
from .cursor_value import CursorValue, value_of
from .durable.mode import Durability, NewHandle, Saved, SavedState
from .durable.records import Kept
from .history_reader import History
from .ids import new_id
from .lease.hold import Hold
from .protocol.decoding import MESSAGE_SIGNALS, Delivery
from .protocol.events import Output
from .protocol.outbox import Submission
from .protocol.seen_messages import Key
from .send_handle import AnyHandle

__all__ = ["CursorMode", "durability_of"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_MOST_HANDLED = 1_000
"""The number of keys of handled messages that the value holds at most."""
_SAVED_EVERY = 1.0  # seconds between two saves


@define
class _InHand:
    """A message that is queued, or whose receivers run."""

    delivery: Delivery
    since: float | None
    """From when on history must be read to find it, by the service's clock; None: from the low-water mark."""
    may_have_run: bool
    """Whether receivers of an earlier process, or login, may have been called for it."""
    done: frozenset[str] = frozenset()
    """The names of the receivers that have handled it, once others have not."""


class CursorMode:
    """The cursor of one connection; it has the methods of ``Durability``, from any thread.

    A thread of its own saves the value, at most once a second: a store may be slow, and no receiver waits for
    it. ``service_time()`` returns unix seconds by the service's clock, or None.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        history: History | None,
        service_time: Callable[[], float | None],
    ) -> None:
        self._config = config
        self._name = f"{name}-cursor"
        self._history = history
        self._service_time = service_time
        self._changed = threading.Condition()
        self._loaded: CursorValue | None = None  # the value that the store has, or will have
        self._is_first = False  # nothing was saved before this process
        self._has_begun = False
        self._handled: deque[tuple[Key, float]] = deque(maxlen=_MOST_HANDLED)
        self._older: dict[Key, None] = {}  # what history had before the first login, in its order
        self._in_hand: dict[int, _InHand] = {}
        self._kept: dict[int, _InHand] = {}  # for the receivers of the next login
        self._saved: list[Saved] = []
        self._next = 1
        self._cursor: float | None = None  # the core's newest cursor
        self._begun: tuple[float, float] | None = None  # the cursor at the start, by both clocks
        self.running: Running = Running()
        # The id of the store for events that are no messages.
        self._memory_id = secrets.token_hex(16)
        self._thread: threading.Thread | None = None
        self._is_dirty = False
        self._is_urgent = False  # the next save does not wait for its second
        self._is_released = False
        self._loading: Future[object] | None = (
            None  # the call of the store's load that has not returned
        )
        self._is_saving = False
        self._is_unsaved = False  # the last call of the store's save has failed
        self.hold: Hold | None = None
        """The hold of the login's lease: when it is over, the value belongs to the next holder."""

    # --- login and end ---

    def prepare(self, user_id: int, deadline: Deadline) -> None:
        """Load the value, once; the mutex of the driver is not held, as the store may be slow.

        Raises DurableStoreError, LoginTimeoutError, and ArgumentValueError if there is no history to read.
        """
        if self._history is None or not self._config.fill_gaps:
            raise ArgumentValueError(
                "cursor_store needs history: a client with a REST session, and Config.fill_gaps"
            )
        owner = (self._config.app_id, user_id, self._config.chat_host)
        if self._loaded is None:
            found = self._load(deadline)
            with self._changed:
                if self._loaded is None:  # another thread may have been as far
                    self._take_loaded(found, owner)
        assert self._loaded is not None
        if self._loaded.owner != owner:
            raise self._error(
                f"belongs to user {self._loaded.user_id} of application {self._loaded.app_id} at"
                f" {self._loaded.chat_host}, and this is user {user_id}"
            )

    def _load(self, deadline: Deadline) -> object:
        """Return the value in the store; a login during the load waits for the same call."""
        with self._changed:
            loading = self._loading
            if loading is None:
                loading = self._loading = Future()
                thread = threading.Thread(
                    target=self._run_load, args=(loading,), name=f"{self._name}-load", daemon=True
                )
                start_thread(thread)
        wait([loading], deadline.remaining())
        if not loading.done():
            raise LoginTimeoutError("the cursor store did not load its value in time")
        try:
            return loading.result()
        except BaseException as error:  # also SystemExit, which ends no thread of ours
            raise self._error(f"cannot be loaded: {repr_of(error)}") from error

    def _run_load(self, loading: Future[object]) -> None:
        assert self._config.cursor_store is not None
        found, failure = None, None
        try:
            found = self._config.cursor_store.load()
        except BaseException as error:  # noqa: BLE001 - it is the application's code
            failure = error
        with self._changed:
            if self._loading is loading:
                self._loading = None
        if failure is None:
            loading.set_result(found)
        else:
            loading.set_exception(failure)

    def _take_loaded(self, found: object, owner: tuple[int, int, str]) -> None:
        if found is None:
            self._is_first = True
            self._loaded = CursorValue(*owner, identity=secrets.token_hex(16))
            return
        try:
            loaded = value_of(found)
        except ValueError as error:
            raise self._error(f"holds a value that is damaged: {error}") from None
        self._handled.extend(loaded.handled)
        self._older = dict.fromkeys(loaded.older)
        self._loaded = loaded

    def forget_last_login(self) -> None:
        """Forget the value and all messages: another process may have gone on with them, and saved."""
        with self._changed:
            self._loaded = self._cursor = self._begun = None
            self._loading = None  # it may return what the store had before
            self._is_first = self._has_begun = self._is_dirty = self._is_unsaved = False
            self._saved = []
            for known in (self._handled, self._older, self._in_hand, self._kept):
                known.clear()

    def _error(self, what: str) -> DurableStoreError:
        return DurableStoreError(f"the cursor store {what}", path="")

    @property
    def kept(self) -> Kept:
        """An empty Kept: there is no file."""
        return Kept()

    @property
    def is_new(self) -> bool:
        """Whether the next login is the first one with this store."""
        return self._is_first and not self._has_begun

    def open(self, user_id: int, beginning: Beginning | None = None) -> SavedState:
        """Begin a login; return what an earlier process, or login, has left. ``prepare`` came before."""
        with self._changed:
            assert self._loaded is not None
            self._is_released = False
            self._is_dirty = (
                True  # so that the identity is saved before the first answer is repeated
            )
            if self._loaded.first is None and beginning is not None:
                self._loaded = evolve(self._loaded, first=beginning.at, low=beginning.at)
                self._older = dict.fromkeys(beginning.older[-_MOST_HANDLED:])
            self._saved = [
                (_again(hand.delivery), self._entry(n, hand)) for n, hand in self._kept.items()
            ]
            self._in_hand |= self._kept
            self._kept = {}
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._save, name=self._name, daemon=True)
                start_thread(self._thread)
            cursor, service_cursor = self._begin_from(beginning)
            keys = [key for key, _ in self._handled]
            return SavedState(keys, cursor, service_cursor, self._bound(), tuple(self._older))

    def _bound(self) -> float | None:
        """Return the moment before which nothing is read from history.

        It is the moment of the first login, or of an older offline copy that was not handled.
        """
        assert self._loaded is not None
        first, low = self._loaded.first, self._loaded.low
        return first if first is None or low is None else min(first, low)

    def _begin_from(self, beginning: Beginning | None) -> tuple[float | None, float | None]:
        assert self._loaded is not None
        starts, self._has_begun = not self._has_begun, True
        begins_gap = not self._is_first or (beginning is not None and beginning.begins_gap)
        at = self._loaded.low
        if not starts or not begins_gap or at is None:
            return None, None
        self._begun = (monotonic_of(at, self._service_time()), at)
        return self._begun

    @property
    def resource(self) -> str | None:
        """The resource of the login, with which a process replaces the session of a dead one; or None."""
        return None if self._loaded is None else f"python-{self._loaded.identity}"

    def release(self) -> None:
        """Save the value once more, now and when receivers that still run have returned."""
        with self._changed:
            self._is_released = True
            self._is_dirty = self._is_urgent = self._thread is not None
            self._changed.notify_all()

    def finish(self, deadline: Deadline) -> bool:
        """Wait until the value is saved, not beyond the deadline; return whether it is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._thread is None or not (self._is_dirty or self._is_saving),
                deadline.remaining(),
            )
            return not (self._is_dirty or self._is_saving or self._is_unsaved)

    def abandon(self) -> None:
        """Leave the store to the parent, in a forked child, which begins with an object of its own."""

    # --- messages that arrive ---

    def commit(
        self, outputs: Sequence[Output], cursor: float | None
    ) -> Mapping[Delivery, InboxEntry]:
        """Note the messages that are about to be queued; return their entries."""
        entries: dict[Delivery, InboxEntry] = {}
        with self._changed:
            self._note(cursor)
            if self._loaded is None:
                return entries
            for output in outputs:
                if (
                    isinstance(output, Delivery)
                    and output.signal in MESSAGE_SIGNALS
                    and output.key is not None
                ):
                    entries[output] = self._take(output)
        return entries

    def _take(self, delivery: Delivery) -> InboxEntry:
        message = delivery.event
        may_have_run = not self._is_first and (message.recovered or message.delayed)
        if may_have_run:
            delivery.event = evolve(message, redelivered=True)
        n = self._next
        assert delivery.key is not None
        self._older.pop(
            delivery.key, None
        )  # history must give it to the next process, unless handled
        hand = self._in_hand[n] = _InHand(delivery, self._since(delivery), may_have_run)
        self._next += 1
        return self._entry(n, hand)

    def _since(self, delivery: Delivery) -> float | None:
        """Return from when on the next process must read history to find a message."""
        assert self._loaded is not None
        since, low, stored_at = self._service_cursor(), self._loaded.low, delivery.stored_at
        dialog = delivery.event.dialog
        if stored_at is None or low is None or dialog is None or dialog.peer_id is None:
            return since
        # An offline copy: the server forgets it, so the next process must soon know how far back to read.
        stored = math.floor(stored_at.timestamp()) - 1
        if stored < low:
            self._is_dirty = self._is_urgent = True
            self._changed.notify_all()
        return min(low if since is None else since, stored)

    def _entry(self, n: int, hand: _InHand) -> InboxEntry:
        assert self._loaded is not None
        assert hand.delivery.key is not None
        return InboxEntry(self._loaded.identity, n, hand.delivery.key, hand.done)

    def withdraw(self, entries: Sequence[InboxEntry]) -> None:
        """Forget messages that the queue has rejected."""
        with self._changed:
            for entry in entries:
                self._in_hand.pop(entry.n, None)

    @property
    def has_saved(self) -> bool:
        """Whether an earlier login left messages that are not queued yet."""
        return bool(self._saved)

    def load_saved(self) -> tuple[list[Saved], list[str]]:
        """Return, once, the messages whose receivers failed as an earlier login ended.

        The second list, of conversations with more of them, is empty.
        """
        with self._changed:
            saved, self._saved = self._saved, []
        return saved, []

    def was_shown(self, entry: InboxEntry) -> bool:
        """Whether event streams have had a saved message: those of this login have not."""
        return False

    def note_done(self, entry: InboxEntry, receivers: set[str]) -> None:
        """Note the names of all receivers that have handled a message, as others have not."""
        with self._changed:
            hand = self._in_hand.get(entry.n)
            if hand is not None:
                hand.done = frozenset(receivers)

    def leave(self, entry: InboxEntry) -> None:
        """Leave a message, whose receivers were to run again, to the next login."""
        self.handled(entry, keep=True)

    def bury(self, entry: InboxEntry, failure: ReceiverGaveUp) -> None:
        """Do nothing: dead letters need a file. The application keeps what ``receiver_gave_up`` tells."""

    def put_back(self, entry: InboxEntry) -> None:
        """Do nothing: without dead letters no event is for one receiver alone."""

    def handled(self, entry: InboxEntry, *, keep: bool) -> None:
        """Note that all receivers have handled a message; ``keep``: run the others at the next login."""
        with self._changed:
            hand = self._in_hand.pop(entry.n, None)
            if hand is None:
                return
            if keep:
                hand.may_have_run = True
                self._kept[entry.n] = hand
            elif hand.delivery.key is not None and self._loaded is not None:
                now = self._service_time() or self._loaded.low or 0.0
                self._handled.append((hand.delivery.key, now))
            self._is_dirty = True
            self._changed.notify_all()

    def note_cursor(self, cursor: float | None, now: float) -> None:
        """Note the core's cursor, which moves while nothing arrives."""
        with self._changed:
            self._note(cursor)

    def _note(self, cursor: float | None) -> None:
        # After a logout the core has no cursor; the next process needs the last one.
        if cursor is None or cursor == self._cursor:
            return
        self._cursor = cursor
        if self._loaded is not None:
            self._is_dirty = True
            self._changed.notify_all()

    def _service_cursor(self) -> float | None:
        """Return the cursor by the service's clock, None if that is not known."""
        if self._begun is not None and self._cursor == self._begun[0]:
            return self._begun[1]
        now = self._service_time()
        if self._cursor is None or now is None:
            return None
        return now - (time.monotonic() - self._cursor)

    # --- messages that are sent ---

    has_file = False
    """Nothing is known of messages that were sent before, but by receivers."""

    def message_id(self, recipient: str) -> str:
        """Return the id of a new message: in a receiver the same id each time the receiver runs."""
        if self.running.delivery is None:
            return new_id()
        answers = self._answers
        assert answers is not None
        return answers.next_id(recipient)

    @property
    def _answers(self) -> Answers | None:
        return self.running.answers_of(self._memory_id)

    def find_stored(self, submission: Submission) -> AnyHandle | None:
        """Return the settled handle of a message that a receiver of an earlier process has sent, or None.

        History is asked, so the mutex of the driver is not held. Raises ApiError.
        """
        answers = self._answers
        if answers is None or answers.entry is None or answers.sent(submission) is not None:
            return None
        hand = self._in_hand.get(answers.entry.n)
        if hand is None or not hand.may_have_run:
            return None
        if submission.message is None or not submission.in_history:
            return None
        assert self._history is not None
        if submission.id not in self._history.stored_ids(submission.dialog, [submission.id]):
            return None
        handle: AnyHandle = submission.waiter
        handle.settle(None)
        answers.note_sent(submission, handle)
        return handle

    def known(self, submission: Submission) -> AnyHandle | None:
        """Return the handle of a message that an earlier attempt of the receiver sent; else None."""
        answers = self.running.answers
        if submission.message is None or answers is None:
            return None
        return answers.repeated(submission)

    def accept(self, submission: Submission, data: bytes) -> None:
        """Note a message that is about to be sent."""
        answers = self.running.answers
        if submission.message is not None and answers is not None:
            answers.note_sent(submission, submission.waiter)

    # --- saving, on a thread of its own ---

    def _save(self) -> None:
        """Save the value when it has changed, at most once a second, until the connection is closed."""
        assert self._config.cursor_store is not None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_dirty or self._is_over)
                if not self._is_dirty or (self.hold is not None and not self.hold.is_valid()):
                    self._thread = None
                    self._changed.notify_all()
                    return
                self._is_dirty = self._is_urgent = False
                self._is_saving = True
                value = self._value().to_json()
            failed = False
            try:
                self._config.cursor_store.save(value)
            except BaseException as error:  # noqa: BLE001 - it is the application's code; also SystemExit
                failed = True
                logger.warning("%s: the cursor could not be saved: %s", self._name, repr_of(error))
            with self._changed:
                self._is_saving, self._is_unsaved = False, failed
                self._changed.notify_all()
                if failed and self._is_over:
                    self._thread = None
                    return
                self._is_dirty |= failed and self._loaded is not None
                self._changed.wait_for(lambda: self._is_urgent or self._is_over, _SAVED_EVERY)

    @property
    def _is_over(self) -> bool:
        return self._is_released and not self._in_hand

    def _value(self) -> CursorValue:
        """Return the value as it is to be saved now."""
        assert self._loaded is not None
        low = self._loaded.low
        unhandled = [*self._in_hand.values(), *self._kept.values()]
        reached = [hand.since for hand in unhandled] or [self._service_cursor()]
        if all(at is not None for at in reached):
            lowest = min(at for at in reached if at is not None)
            # An offline copy may be older than the first login; else the moment never goes back.
            low = lowest if low is None or unhandled else max(low, lowest)
        now = self._service_time()
        if low is not None:
            low = low if now is None else min(low, now)  # another clock may have said it
            # History returns no message that is older, so these keys need not be known.
            while self._handled and self._handled[0][1] < low - 2 * self._config.gap_overlap:
                self._handled.popleft()
        # As long as offline copies may come, the next process leaves none of them out.
        handled, older = tuple(self._handled), () if self._cursor is None else tuple(self._older)
        self._loaded = evolve(self._loaded, low=low, handled=handled, older=older)
        return self._loaded


def durability_of(
    config: Config,
    name: str,
    history: History | None,
    service_time: Callable[[], float | None],
    new_handle: NewHandle,
    failed: Callable[[DurableStoreError], None],
    warn: Callable[[DurableStoreError], None],
) -> Durability | CursorMode:
    """Return what keeps the unfinished work of a connection: a cursor store, a file, or nothing."""
    if config.cursor_store is not None:
        return CursorMode(config, name, history, service_time)
    has_history = history is not None
    return Durability(config, service_time, new_handle, failed, warn, has_history=has_history)


def _again(delivery: Delivery) -> Delivery:
    return Delivery(
        signal=delivery.signal,
        event=evolve(delivery.event, redelivered=True),
        conversation=delivery.conversation,
        key=delivery.key,
    )
