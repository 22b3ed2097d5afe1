"""The core's inputs and outputs, as data.

A stream takes credentials and, if there is one, a session to resume; it yields stream events. The core
returns outputs: events, outcomes, answers and questions, in the order in which they arose.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

from attrs import define, field, frozen

from ..._secrets import Secret
from ...errors import StreamProtocolError
from ...models import Message
from .addresses import Addresses
from .decoding import Delivery, Unreported
from .iq import Answer
from .outbox import Submission
from .parser import StanzaItem

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
    "StreamBroken",
    "StreamEvent",
    "UncommittedDelivery",
    "new_outcome",
]


# --- the input of a stream ---


@frozen
class Credentials:
    """The user id, password and resource of a login.

    ``by_token`` says that the password is the token of a REST session; a renewal replaces it.
    """

    user_id: int
    password: Secret = field(converter=Secret)
    resource: str
    by_token: bool = False

    def initial_response(self, addresses: Addresses) -> Secret:
        """Return what SASL PLAIN sends, in base64. (RFC 4616.)"""
        user = addresses.user(self.user_id).partition("@")[0]
        return Secret(b64encode(f"\0{user}\0{self.password.open()}".encode()).decode())

    def secrets(self, addresses: Addresses) -> tuple[Secret, ...]:
        """Return what no error may repeat of these credentials."""
        return (self.password, self.initial_response(addresses))


@frozen
class Resumable:
    """A stream-managed session that can be resumed: its id, and the number of stanzas that we handled."""

    id: str
    handled: int


# --- stream events ---


@frozen
class Authenticated:
    """The server accepted the credentials."""


@frozen
class NotResumed:
    """The server does not know the session any more; ``handled`` is its last count, or None."""

    handled: int | None


@frozen
class Resumed:
    """The session goes on; the server has handled ``handled`` of our stanzas."""

    handled: int


@frozen
class Bound:
    """A new session has begun under the full JID ``jid``.

    ``managed`` says whether stanzas are counted and acknowledged (XEP-0198). A later stream can resume the
    session by ``resume_id``.
    """

    jid: str
    managed: bool
    resume_id: str | None


@define
class Stanza:
    """A message, presence or IQ from the server."""

    item: StanzaItem


@frozen
class Nonza:
    """A stream management element: ``r``, or ``a`` with its ``h``."""

    name: str
    h: int | None


@frozen
class StreamBroken:
    """Bad XML has ended the reading of the stream, in the stanza whose :class:`Stanza` came right before."""

    error: StreamProtocolError


StreamEvent = (
    Authenticated | NotResumed | Resumed | Bound | Stanza | Delivery | Nonza | StreamBroken
)
"""A :class:`Delivery` is a plain message, which is decoded while it is read."""


# --- outputs ---


class OutcomeKnown(NamedTuple):
    """The outcome of a submission: acknowledged by the server, or ``error``."""

    submission: Submission
    error: Exception | None = None


# Each message has an outcome, and __new__ of a named tuple takes three times as long.
new_outcome: Callable[[tuple[Submission, Exception | None]], OutcomeKnown] = partial(
    tuple[Any, ...].__new__, OutcomeKnown
)
"""Make an outcome of its two values."""


@frozen
class CheckStored:
    """A question to history: which of these messages does it hold? Answer with ``stored_ids_received``."""

    submissions: tuple[Submission, ...]


@frozen(eq=False)
class FetchGap:
    """A question to history: which messages have arrived since ``since``, by our clock, less an overlap?

    The answer is a series of calls of ``session.recovery`` (dialogs, page, filled, failed), each followed by
    ``core.gap_answered``.
    """

    since: float


@frozen
class EchoReceived:
    """A room has reflected a message of ours: ``message`` is the server's copy."""

    submission: Submission
    message: Message


@frozen
class UncommittedDelivery:
    """A delivery for event streams alone.

    It is not committed, so the server sends it again, or it is a copy of one that receivers have.
    """

    delivery: Delivery


@frozen
class Dropped:
    """A stanza that made no event, and the counter that counts it; for the log."""

    reason: str
    stanza: StanzaItem | Delivery


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
    """The numbers of stanzas that made no event; for diagnosis."""

    calls: int = 0
    """Signals of audio and video calls, which this package does not handle."""
    forged: int = 0
    """Stanzas with a false sender."""
    own_echoes: int = 0
    """A room's echoes, presences, typing and markers of this user."""
    refused: int = 0
    """Requests of a new session (carbons, subscriptions, the inactive state), markers and typing that the
    server refused; no caller waits for their outcome."""
    repeated: int = 0
    """Messages that had been seen before and were not delivered again."""
    not_understood: int = 0
    """Stanzas that this package cannot decode."""
    outdated: int = 0
    """Typing that the server had stored, so that it is over by now."""
    unclaimed_answers: int = 0
    """IQ answers without a request, or from the wrong sender."""
    stanzas_refused: int = 0
    """Stanzas of the server that were too large, too deep or no XML; each makes ``stanza_refused``."""
    background_dropped: int = 0
    """Stanzas that no caller waits for and for which a bound had no room: 'delivered' markers and answers to
    requests of others while the server acknowledges nothing, and what is only known for a moment."""
    ephemeral_dropped: int = 0
    """Typing events that were not sent because the link was down."""

    def count(
        self,
        reason: Unreported | Literal["stanzas_refused", "unclaimed_answers"],
        stanza: StanzaItem | Delivery,
    ) -> Dropped:
        """Count a stanza that makes no event; return the output for the log."""
        setattr(self, reason, getattr(self, reason) + 1)
        return Dropped(reason, stanza)
