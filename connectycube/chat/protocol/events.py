"""Commands, outputs and stream events of the core, as data.

A stream event is what one stream tells its session. An output is what the core says: events, outcomes,
answers and questions, in the order they came about.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import define, field, frozen

from ...models import Message
from .decoding import Delivery, Unreported
from .iq import Answer
from .outbox import Submission

__all__ = [
    "Authenticated",
    "Bound",
    "CheckStored",
    "Counters",
    "Credentials",
    "Dropped",
    "EchoReceived",
    "FetchGap",
    "Nonza",
    "NotResumed",
    "OutcomeKnown",
    "Output",
    "Resumable",
    "Resumed",
    "Stanza",
    "StreamEvent",
    "UncommittedDelivery",
]


# --- what a stream tells ---


@frozen
class Credentials:
    """Who logs in, with which password, as which resource.

    ``by_token`` says that the password is the token of a session, which another one may follow.
    """

    user_id: int
    password: str = field(repr=False)
    resource: str
    by_token: bool = False


@frozen
class Resumable:
    """What it takes to resume a stream-managed session: its id, and how many stanzas were handled."""

    id: str
    handled: int


@frozen
class Authenticated:
    """The server accepted the credentials."""


@frozen
class NotResumed:
    """The server does not know the session any more; ``handled`` is its count, if it still knows."""

    handled: int | None


@frozen
class Resumed:
    """The session goes on; the server has handled ``handled`` of our stanzas."""

    handled: int


@frozen
class Bound:
    """A new session has begun under the full JID ``jid``.

    ``managed`` says whether stanzas are counted and acknowledged (XEP-0198), ``resume_id`` is what a
    later stream can resume it by.
    """

    jid: str
    managed: bool
    resume_id: str | None


@frozen
class Stanza:
    """A message, presence or IQ from the server."""

    item: Any


@frozen
class Nonza:
    """A stream management element: ``r`` or ``a`` (then with its ``h``)."""

    name: str
    h: int | None


StreamEvent = Authenticated | NotResumed | Resumed | Bound | Stanza | Nonza


# --- what the core says ---


@frozen
class OutcomeKnown:
    """The outcome of a submission: acknowledged by the server, or ``error``."""

    submission: Submission
    error: Exception | None = None


@frozen
class CheckStored:
    """A question to history: which of these messages does it hold? Answer with ``stored_ids_received``."""

    submissions: tuple[Submission, ...]


@frozen(eq=False)
class FetchGap:
    """A question to history: what has come since ``since``, by our clock, less an overlap?

    Answered with what ``recovery`` offers, then ``gap_answered``.
    """

    since: float


@frozen
class EchoReceived:
    """A room has reflected a message of ours: ``message`` is the server's copy."""

    submission: Submission
    message: Message


@frozen
class UncommittedDelivery:
    """A delivery that comes again on the next link; for those who cannot wait for that."""

    delivery: Delivery


@frozen
class Dropped:
    """A stanza that made no event, and the counter that counts it; for the log."""

    reason: str
    stanza: Any


Output = (
    Delivery
    | OutcomeKnown
    | EchoReceived
    | UncommittedDelivery
    | Dropped
    | Answer
    | CheckStored
    | FetchGap
)


@define
class Counters:
    """What happened without an event of its own; for diagnosis."""

    calls: int = 0
    """Signals of audio and video calls, which are none of this package's business."""
    forged: int = 0
    """Stanzas that claimed to come from where they did not."""
    own_echoes: int = 0
    """What came back of our own doing: a room's echo, presences, typing and markers of this user."""
    refused: int = 0
    """Requests of a new session (carbons, subscriptions, the inactive state), markers and typing that were
    refused: nobody waits for their outcome."""
    repeated: int = 0
    """Messages that had been seen before and were not delivered again."""
    not_understood: int = 0
    """Stanzas that mean nothing to this package."""
    unclaimed_answers: int = 0
    """IQ answers that nobody waited for, or from the wrong sender."""
    ephemeral_dropped: int = 0
    """Typing events that were not sent because the link was down."""

    def count(self, what: Unreported | Literal["unclaimed_answers"], stanza: Any) -> Dropped:
        """Count a stanza that makes no event, and say so."""
        setattr(self, what, getattr(self, what) + 1)
        return Dropped(what, stanza)
