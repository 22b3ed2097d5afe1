"""What we send: stanzas that wait for the link, and stanzas that wait for the server. (XEP-0198.)"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from ...config import Limits
from ...errors import StreamProtocolError
from ...models import DialogRef, Message

__all__ = ["Outbound", "Outbox", "Submission"]

_MODULUS = 2**32  # XEP-0198: h wraps


@define(eq=False)
class Submission:
    """A message stanza whose sender waits for its outcome.

    ``id`` is the stanza's, ``to`` the bare JID of a user or room, ``message`` what it says if it is a chat
    message of its own and no edit, deletion or system message. ``failed`` is the signal that tells
    of a failure; ``waiter`` is the sender's own object (its handle), passed back with the outcome.
    A ``durable`` one outlives the connection: without an outcome it is deferred, not failed or unknown.
    """

    id: str
    to: str
    dialog: DialogRef
    message: Message | None = None
    failed: str = "message_failed"
    waiter: Any = None
    durable: bool = False

    @property
    def in_history(self) -> bool:
        """Whether history will hold the message once the server has it."""
        message = self.message
        return message is not None and message.save_to_history and message.destroy_after is None

    @property
    def in_room(self) -> bool:
        """Whether it goes to a room."""
        return self.dialog.peer_id is None


@define(eq=False)
class Outbound:
    """One stanza: its bytes and, for a chat message, who waits for it."""

    data: bytes
    submission: Submission | None = field(default=None)
    session_only: bool = field(default=False)
    """Whether it means nothing to a later session: presence, IQs, chat states."""
    attempted: bool = field(default=False)
    """Whether its bytes may have arrived: then only the server can say whether they did."""


class Outbox:
    """Two queues in wire order: ``waiting`` for the link, ``unacknowledged`` by the server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.waiting: deque[Outbound] = deque()
        self.unacknowledged: deque[Outbound] = deque()
        self._acknowledged = 0  # the server's count of our stanzas in this session, modulo 2^32
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.unacknowledged)

    def __iter__(self) -> Iterator[Outbound]:
        yield from self.unacknowledged
        yield from self.waiting

    def has_room(self, size: int) -> bool:
        """Whether a stanza of ``size`` bytes fits; an empty outbox takes one of any size."""
        return not len(self) or (
            len(self) < self._limits.outbound_stanzas
            and self._bytes + size <= self._limits.outbound_bytes
        )

    def add(self, stanza: Outbound) -> None:
        """Queue a stanza behind all others."""
        self.waiting.append(stanza)
        self._bytes += len(stanza.data)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """What is queued meanwhile goes ahead of what waits already."""
        behind, self.waiting = self.waiting, deque()
        yield
        self.waiting.extend(behind)

    def add_written(self, stanza: Outbound) -> None:
        """Count a stanza that is written at once, ahead of the waiting ones."""
        stanza.attempted = True
        self.unacknowledged.append(stanza)
        self._bytes += len(stanza.data)

    def replay(self) -> Iterator[Outbound]:
        """Yield what the server had not handled when it told its count, to be written again."""
        for stanza in self.unacknowledged:
            if not stanza.attempted:
                stanza.attempted = True
                yield stanza

    def take(self) -> Iterator[Outbound]:
        """Move every waiting stanza to the unacknowledged ones, yielding each to be written."""
        while self.waiting:
            stanza = self.waiting.popleft()
            stanza.attempted = True
            self.unacknowledged.append(stanza)
            yield stanza

    def acknowledge(self, h: int) -> list[Outbound]:
        """Remove and return what the server has handled when its count is ``h``.

        Raises StreamProtocolError if it claims more than was written.
        """
        handled, queue = (h - self._acknowledged) % _MODULUS, self.unacknowledged
        if handled > len(queue) or (handled and not queue[handled - 1].attempted):
            written = self._acknowledged + sum(stanza.attempted for stanza in queue)
            raise StreamProtocolError(
                f"the server acknowledged {h} stanzas, more than the {written % _MODULUS} that were sent"
            )
        self._acknowledged = h
        return [self._forget(self.unacknowledged) for _ in range(handled)]

    def handled(self, h: int) -> list[Outbound]:
        """Do as :meth:`acknowledge`; what is left has not arrived, and nothing of it is on its way."""
        acknowledged = self.acknowledge(h)
        for stanza in self.unacknowledged:
            stanza.attempted = False
        return acknowledged

    @property
    def sent(self) -> int:
        """How many stanzas were written in this session, or are to be replayed, modulo 2^32."""
        return (self._acknowledged + len(self.unacknowledged)) % _MODULUS

    def begin_session(self) -> list[Outbound]:
        """Start the counts anew and return what the old session left unacknowledged, in order.

        What waits and means nothing to another session is forgotten.
        """
        self._acknowledged = 0
        for stanza in [stanza for stanza in self.waiting if stanza.session_only]:
            self.waiting.remove(stanza)
            self._bytes -= len(stanza.data)
        return [self._forget(self.unacknowledged) for _ in range(len(self.unacknowledged))]

    def put_back(self, stanzas: list[Outbound]) -> None:
        """Queue stanzas that did not arrive before all waiting ones, in their order."""
        for stanza in stanzas:
            stanza.attempted = False
        self.waiting.extendleft(reversed(stanzas))
        self._bytes += sum(len(stanza.data) for stanza in stanzas)

    def clear(self) -> list[Outbound]:
        """Remove and return everything, in order."""
        everything = list(self)
        self.waiting.clear()
        self.unacknowledged.clear()
        self._bytes = 0
        return everything

    def _forget(self, queue: deque[Outbound]) -> Outbound:
        stanza = queue.popleft()
        self._bytes -= len(stanza.data)
        return stanza
