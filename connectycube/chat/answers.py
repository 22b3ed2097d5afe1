"""The ids of answers: what a receiver sends gets the same ids in each of its attempts for one event."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from .._containers import AnyDict
from ..models import Message
from ..models._json import maker_of
from .ids import derived_id
from .protocol.outbox import Submission
from .protocol.seen_messages import Key

if TYPE_CHECKING:
    from .lease.hold import Hold
    from .protocol.decoding import Delivery
    from .send_handle import AnyHandle

__all__ = ["Answers", "InboxEntry", "Running", "new_entry"]


logger: logging.Logger = logging.getLogger("connectycube.chat")

_ADVICE = (
    " in an earlier attempt. The n-th message of a receiver to a recipient has the same id in each attempt:"
    " give a message that belongs to one attempt alone an id of its own,"
    " Message(id=secrets.token_hex(12), body=…)"
)


@frozen
class InboxEntry:
    """The place of an event in a durable store: the store, and the event's number in the inbox."""

    store_id: str
    n: int
    key: Key = field(eq=False)
    """The conversation, the sender and an id that no other event has."""
    done: frozenset[str] = field(default=frozenset(), eq=False)
    """The names of the receivers that had handled the event when it was read from the store."""
    receiver: str | None = field(default=None, eq=False)
    """The one receiver that runs for the event; None: all of them."""


new_entry: Callable[..., InboxEntry] = maker_of(InboxEntry, "store_id", "n", "key")
"""Make an entry from the values of these fields, by position: one is made for each event that arrives."""


@define
class Answers:
    """The messages that one receiver has sent for one event, in this attempt and in earlier ones."""

    store_id: str
    inbound: Key
    receiver: str
    entry: InboxEntry | None
    _handles: dict[tuple[str, str], AnyHandle] = field(factory=AnyDict)
    """The handles of what was sent in all attempts, by recipient and id."""
    _counts: dict[str, int] = field(factory=AnyDict)
    _next: dict[str, str] = field(factory=AnyDict)

    def begin(self) -> None:
        """Begin another attempt: the first message to a recipient has the first id again."""
        self._counts.clear()
        self._next.clear()

    def next_id(self, recipient: str) -> str:
        """Return the id of the next message to that recipient."""
        known = self._next.get(recipient)
        if known is None:
            count = self._counts.get(recipient, 0)
            known = derived_id(self.store_id, self.inbound, self.receiver, recipient, count)
            self._next[recipient] = known
        return known

    def sent(self, submission: Submission) -> AnyHandle | None:
        """Return the handle of a message that this or an earlier attempt sent, unless it has failed."""
        handle = self._handles.get((submission.to, submission.id))
        if handle is None or (handle.done() and handle.exception() is not None):
            return None
        return handle

    def repeated(self, submission: Submission) -> AnyHandle | None:
        """Return the handle as :meth:`sent` does, and go on to the next id."""
        handle = self.sent(submission)
        if handle is not None:
            self.note_sent(submission, handle)
        return handle

    def note_sent(self, submission: Submission, handle: AnyHandle) -> None:
        """Go on to the next id, as a message has this handle.

        Not before the send is accepted, because a refused one may be attempted again.
        """
        if submission.id == self._next.get(submission.to):
            self._counts[submission.to] = self._counts.get(submission.to, 0) + 1
            del self._next[submission.to]
        self._handles[submission.to, submission.id] = handle


class Running(threading.local):
    """The receiver that the calling thread runs, and the event; without a delivery it runs none."""

    delivery: Delivery | None = None
    entry: InboxEntry | None = None
    receiver: str = ""
    answers: Answers | None = None
    """None before the first message of the first attempt."""
    hold: Hold | None = None
    """The hold of the lease under which the event arrived."""
    user_id: int | None = None
    """The user whose receiver it is; None outside of receivers."""

    def call_inside(
        self, outside: Callable[[Callable[[], object]], None], call: Callable[[], object]
    ) -> None:
        """Call ``outside(call)``; only what ``call`` itself sends counts among the receiver's answers."""
        delivery, kept = self.delivery, [self.answers]

        def inside() -> None:
            self.delivery, self.answers = delivery, kept[0]
            try:
                call()
            finally:
                kept[0] = self.answers
                self.delivery = self.answers = None

        self.delivery = self.answers = None
        try:
            outside(inside)
        finally:
            self.delivery, self.answers = delivery, kept[0]

    def call_outside(self, call: Callable[[], object]) -> None:
        """Call ``call()``; what it sends does not count among the receiver's answers."""
        delivery, answers = self.delivery, self.answers
        self.delivery = self.answers = None
        try:
            call()
        finally:
            self.delivery, self.answers = delivery, answers

    def warn_if_other(self, submission: Submission, handle: AnyHandle) -> None:
        """Warn if a message was not sent, as an earlier one has its id, and the two have other contents."""
        if _content(submission.message) == _content(handle.message):
            return
        sender = f"receiver {self.receiver} has" if self.delivery is not None else "there was"
        logger.warning(
            "message %s to %s was not sent: %s sent another message under this id%s",
            *(submission.id, submission.to, sender, _ADVICE if self.delivery is not None else ""),
        )

    def answers_of(self, store_id: str) -> Answers | None:
        """Return the answers of the running receiver; None outside of receivers.

        ``store_id`` is the id that the connection uses for events that are in no durable store.
        """
        delivery = self.delivery
        if delivery is None:
            return None
        if self.answers is None:
            entry = self.entry
            if entry is not None:
                self.answers = Answers(entry.store_id, entry.key, self.receiver, entry)
            else:
                key = delivery.key or (delivery.conversation or "", 0, secrets.token_hex(12))
                self.answers = Answers(store_id, key, self.receiver, None)
        return self.answers


def _content(message: object) -> tuple[object, ...]:
    if not isinstance(message, Message):
        return ()
    # Each attempt has a trace of its own (W3C Trace Context), which is no other content.
    custom = {name: value for name, value in message.custom.items() if name != "traceparent"}
    return message.body, tuple(message.attachments), custom
