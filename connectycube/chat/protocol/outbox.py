"""The stanzas that we send: each waits for the link, then for the server's acknowledgement. (XEP-0198.)"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from ...config import Limits
from ...models import DialogRef, Message
from .stream_management import MODULUS, WrongCountError, is_before

__all__ = ["Outbound", "Outbox", "Submission"]


@define(eq=False)
class Submission:
    """A message stanza whose outcome is reported to its sender."""

    id: str
    """The id of the stanza."""
    to: str
    """The bare JID of the user or room that gets it."""
    dialog: DialogRef
    message: Message | None = None
    """The chat message; None for an edit, a deletion or a system message."""
    failed: str = "message_failed"
    """The name of the signal that reports a failure."""
    waiter: Any = None
    """The sender's handle, which is passed back with the outcome."""
    durable: bool = False
    """Whether the durable store keeps it: at the end of the connection it is deferred, and has not failed."""

    @property
    def in_history(self) -> bool:
        """Whether history will hold the message once the server has it."""
        message = self.message
        return message is not None and message.save_to_history and message.destroy_after is None

    @property
    def in_room(self) -> bool:
        """Whether the message goes to a room."""
        return self.dialog.peer_id is None


@define(eq=False)
class Outbound:
    """One stanza: its bytes and, if its outcome is reported, the submission."""

    data: bytes
    submission: Submission | None = field(default=None)
    session_only: bool = field(default=False)
    """Whether the stanza has no meaning in a later session: a presence, an IQ or a chat state."""
    background: bool = field(default=False)
    """Whether no caller sends it, such as an answer to a request of the server: it has bounds of its own."""
    suspect: bool = field(default=False)
    """Whether the server may have ended a stream because of it: then it is sent alone."""
    attempted: bool = field(default=False)
    """Whether its bytes may have arrived. Then only the server can tell whether they have."""


class Outbox:
    """Two queues in wire order: ``waiting`` for the link, ``unacknowledged`` by the server.

    In ``unacknowledged`` the attempted stanzas come first: after a resumption the server's count settles
    which stanzas it lacks, and nothing new is written before these are replayed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.waiting: deque[Outbound] = deque()
        self.unacknowledged: deque[Outbound] = deque()
        self.messages_waiting: int = 0
        """The number of waiting stanzas whose outcome is reported."""
        # The unacknowledged stanzas whose outcome is reported: by the id of the message the first one, and
        # those behind it, as an application may give one id to messages for several users.
        self._by_id: dict[str, Outbound] = {}
        self._namesakes: dict[str, list[Outbound]] = {}
        self._acknowledged = 0  # the server's count of our stanzas in this session, modulo 2^32
        self._bytes = 0
        # The share of background stanzas in both queues. The bounds for callers do not count it.
        self._background = self._background_bytes = 0
        self.replays: bool = False
        """Whether the session was resumed and stanzas are still to be written again."""

    def __len__(self) -> int:
        return len(self.waiting) + len(self.unacknowledged)

    def __iter__(self) -> Iterator[Outbound]:
        yield from self.unacknowledged
        yield from self.waiting

    def has_room(self, size: int) -> bool:
        """Whether a stanza of ``size`` bytes fits; an empty outbox takes a stanza of any size."""
        count = len(self.waiting) + len(self.unacknowledged) - self._background
        return not count or (
            count < self._limits.outbound_stanzas
            and self._bytes - self._background_bytes + size <= self._limits.outbound_bytes
        )

    def has_background_room(self, size: int) -> bool:
        """Whether a background stanza of ``size`` bytes fits."""
        return (
            self._background < self._limits.background_stanzas
            and self._background_bytes + size <= self._limits.background_bytes
        )

    @property
    def is_crowded(self) -> bool:
        """Whether the unacknowledged stanzas are more than a tenth of its bounds."""
        limits = self._limits
        count, size = len(self.unacknowledged), self._bytes
        return count * 10 > limits.outbound_stanzas or size * 10 > limits.outbound_bytes

    def add(self, stanza: Outbound) -> None:
        """Queue a stanza behind all others."""
        self.waiting.append(stanza)
        self.messages_waiting += stanza.submission is not None
        self._bytes += len(stanza.data)
        if stanza.background:
            self._count_background(stanza, 1)

    @contextmanager
    def ahead(self) -> Generator[None]:
        """Put the stanzas that are queued inside the block ahead of those that wait already."""
        before = len(self.waiting)
        yield
        self.waiting.rotate(len(self.waiting) - before)

    def take_at_once(self, stanza: Outbound) -> bool:
        """Add a message that the caller writes at once; return False if it must wait behind others."""
        queue = self.unacknowledged
        if self.waiting or self.replays or (queue and queue[-1].suspect):
            return False
        stanza.attempted = True
        queue.append(stanza)
        self._bytes += len(stanza.data)
        submission = stanza.submission
        if submission is not None and self._by_id.setdefault(submission.id, stanza) is not stanza:
            self._note_id(stanza)
        return True

    def add_written(self, stanza: Outbound) -> None:
        """Add a stanza that the caller writes at once, ahead of the waiting stanzas."""
        stanza.attempted = True
        self.unacknowledged.append(stanza)
        self._bytes += len(stanza.data)
        if stanza.background:
            self._count_background(stanza, 1)

    def replay(self) -> Iterator[Outbound]:
        """Yield the stanzas that the server lacks, by its count at the resumption, to be written again.

        A suspect is yielded alone: the stanzas behind it follow when it has been acknowledged.
        """
        for position, stanza in enumerate(self.unacknowledged):
            if stanza.suspect and position:
                return
            if not stanza.attempted:
                stanza.attempted = True
                yield stanza
            if stanza.suspect:
                return
        self.replays = False

    def take(self) -> Iterator[Outbound]:
        """Move the waiting stanzas to the unacknowledged ones, and yield each to be written.

        A suspect goes when no other stanza is unacknowledged, and others go when it has been acknowledged.
        """
        while self.waiting:
            if self.is_held or (self.waiting[0].suspect and self.unacknowledged):
                return
            # Moved before it is written: a stanza that is written and unknown would shift the counts.
            stanza = self.waiting.popleft()
            self.messages_waiting -= stanza.submission is not None
            stanza.attempted = True
            self.unacknowledged.append(stanza)
            self._note_id(stanza)
            yield stanza

    @property
    def is_held(self) -> bool:
        """Whether new stanzas must wait, for a suspect's acknowledgement or for stanzas to be replayed."""
        return self.replays or bool(self.unacknowledged and self.unacknowledged[-1].suspect)

    @property
    def first_unacknowledged(self) -> Outbound | None:
        """The first stanza that was written without being acknowledged and outlives its session, or None."""
        written = (o for o in self.unacknowledged if o.attempted and not o.session_only)
        return next(written, None)

    def release(self, stanza: Outbound) -> Submission | None:
        """Let a stanza stay without a submission, whose outcome is known; return the submission."""
        submission = stanza.submission
        self._forget_id(stanza)
        stanza.submission = None
        return submission

    def refused(self, message_id: str) -> Submission | None:
        """Release the first unacknowledged message with an id, as the server refuses it; None without one."""
        stanza = self._by_id.get(message_id)
        return None if stanza is None else self.release(stanza)

    def _note_id(self, stanza: Outbound) -> None:
        if stanza.submission is not None:
            message_id = stanza.submission.id
            if self._by_id.setdefault(message_id, stanza) is not stanza:
                self._namesakes.setdefault(message_id, []).append(stanza)

    def _forget_id(self, stanza: Outbound) -> None:
        if stanza.submission is None:
            return
        message_id = stanza.submission.id
        # A thread that was interrupted in take_at_once() may have queued the stanza without noting its id.
        first, behind = self._by_id.get(message_id), self._namesakes.get(message_id, [])
        if first is stanza:
            del self._by_id[message_id]
            if behind:
                self._by_id[message_id] = behind.pop(0)
        elif stanza in behind:
            behind.remove(stanza)
        if not behind:
            self._namesakes.pop(message_id, None)

    def acknowledge(self, h: int) -> list[Outbound]:
        """Remove and return the stanzas that the server has handled, by its count ``h``.

        Raises WrongCountError if the count goes back, or beyond the stanzas that were written.
        """
        # A count starts again at 0. From 0xFFFFFFFE to h = 1 there are (1 - 0xFFFFFFFE) % 2^32 = 3 stanzas.
        # A count that goes back, from 5 to 4, would mean 2^32 - 1 stanzas.
        handled, queue = (h - self._acknowledged) % MODULUS, self.unacknowledged
        if h < self._acknowledged and is_before(h, self._acknowledged):
            raise WrongCountError(
                "the server's count of the stanzas that it has handled went back,"
                f" from {self._acknowledged} to {h}"
            )
        if handled > len(queue) or (handled and not queue[handled - 1].attempted):
            written = self._acknowledged + sum(stanza.attempted for stanza in queue)
            raise WrongCountError(
                f"the server acknowledged {h} stanzas, more than the {written % MODULUS} that were sent"
            )
        self._acknowledged = h
        return self._remove_oldest(handled)

    def handled(self, h: int) -> list[Outbound]:
        """Take the server's last count of a link that is gone, as :meth:`acknowledge` does.

        The remaining stanzas have certainly not arrived, because no byte of that link can arrive any more.
        """
        acknowledged = self.acknowledge(h)
        for stanza in self.unacknowledged:
            stanza.attempted = False
        self.replays = bool(self.unacknowledged)
        return acknowledged

    @property
    def sent(self) -> int:
        """The number of stanzas that were written in this session, or are to be replayed, modulo 2^32."""
        return (self._acknowledged + len(self.unacknowledged)) % MODULUS

    def begin_session(self) -> list[Outbound]:
        """Set the counts to 0; return the stanzas that the old session left unacknowledged, in order.

        Waiting stanzas of the old session only are dropped.
        """
        self._acknowledged = 0
        self.replays = False
        for stanza in [stanza for stanza in self.waiting if stanza.session_only]:
            self.waiting.remove(stanza)
            self._bytes -= len(stanza.data)
            if stanza.background:
                self._count_background(stanza, -1)
        return self._remove_oldest(len(self.unacknowledged))

    def put_back(self, stanzas: list[Outbound]) -> None:
        """Queue stanzas that have not arrived ahead of all waiting ones, in their order."""
        for stanza in stanzas:
            stanza.attempted = False
        self.waiting.extendleft(reversed(stanzas))
        for stanza in stanzas:
            self.messages_waiting += stanza.submission is not None
            self._bytes += len(stanza.data)
            if stanza.background:
                self._count_background(stanza, 1)

    def clear(self) -> list[Outbound]:
        """Remove and return all stanzas, in order."""
        everything = list(self)
        self.waiting.clear()
        self.unacknowledged.clear()
        self._by_id.clear()
        self._namesakes.clear()
        self.replays = False
        self.messages_waiting = self._bytes = self._background = self._background_bytes = 0
        return everything

    def _remove_oldest(self, count: int) -> list[Outbound]:
        """Remove and return so many of the unacknowledged stanzas."""
        queue, by_id = self.unacknowledged, self._by_id
        removed = [queue.popleft() for _ in range(count)]
        for stanza in removed:
            self._bytes -= len(stanza.data)
            if self._namesakes:
                self._forget_id(stanza)
            elif stanza.submission is not None:
                by_id.pop(stanza.submission.id, None)
            if stanza.background:
                self._count_background(stanza, -1)
        return removed

    def _count_background(self, stanza: Outbound, sign: int) -> None:
        self._background += sign
        self._background_bytes += sign * len(stanza.data)
