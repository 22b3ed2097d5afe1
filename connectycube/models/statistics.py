"""Statistics: the state of a chat connection, and its counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from ._dicts import Serializable
from .events import ChatState

__all__ = ["FleetStatistics", "RunningReceiver", "Statistics"]


@frozen(kw_only=True, slots=True, repr=False)
class RunningReceiver(Serializable):
    """A receiver, or a done-callback of a message, that has not returned yet.

    Example:
        >>> for running in chat.statistics().running_receivers:
        ...     print(running.name, "has run for", running.seconds, "s")
    """

    name: str
    """The name of the receiver."""
    signal: str
    """The name of the signal; "add_done_callback" for a done-callback."""
    seconds: float
    """The seconds since it began."""


@frozen(kw_only=True, slots=True, repr=False)
class Statistics(Serializable):
    """The state of a chat connection and its counts, as ``chat.statistics()`` returns them.

    Counts begin at 0 with the ``Chat``, and in a forked child; they go on over reconnections and logins.
    Messages that are sent include edits, deletions and system messages.

    Example:
        >>> numbers = chat.statistics()
        >>> numbers.state.name, numbers.queued_events, numbers.failed
        ('READY', 0, 0)
    """

    state: ChatState
    """The state of the connection."""
    since: datetime
    """When the connection entered this state, in UTC by the clock of this machine."""
    connected_for: float
    """The seconds for which messages have flowed without a break; 0 while they do not."""

    queued_events: int
    """The events that wait in the queue for receivers, or for the repetition of a receiver."""
    queued_bytes: int
    """The bytes of their stanzas."""
    oldest_queued_seconds: float
    """The seconds since the oldest of them was queued; 0 if there is none."""
    running_receivers: tuple[RunningReceiver, ...]
    """The receivers that run now."""
    outbound_waiting: int
    """The messages that wait for the link."""
    outbound_unacknowledged: int
    """The messages that were written, and that neither the server nor history has confirmed yet."""

    received: int
    """The messages of others and of other devices of this user, each once as it is queued for receivers."""
    sent: int
    """The messages that the server has acknowledged, or that history holds."""
    failed: int
    """The messages that were refused, or have certainly not reached the server."""
    unknown: int
    """The messages whose outcome is unknown: they may have arrived."""
    recovered: int
    """Of ``received``: the messages that were read from history."""
    redelivered: int
    """The messages that receivers may have had before: of an earlier process or login, and dead letters."""
    given_up: int
    """The events for which a receiver was given up, counted for each receiver (``receiver_gave_up``)."""

    reconnects: int
    """How often the connection was ready again, by itself or by ``relogin()``, without a ``login()``."""
    resumed: int
    """Of ``reconnects``: how often the session went on, so that no history was read."""
    last_reason: Exception | None
    """The error that last ended the link, an attempt to connect, or the connection; None if none did yet."""

    durable_inbox: int
    """The events in the file of durable mode; 0 without one, and before the login that opens it."""
    durable_outbox: int
    """The messages in the file of durable mode that have no outcome yet."""
    dead_letters: int
    """The events that were given up, beside the file of durable mode.

    A change by another process is noticed within seconds, while the connection is logged in.
    """

    merged: int
    """The typing, presence and activity events that were merged or dropped because the queue was full."""
    calls: int
    """The signals of audio and video calls, which this package does not handle."""
    forged: int
    """The stanzas with a false sender."""
    own_echoes: int
    """A room's echoes, presences, typing and markers of this user."""
    refused: int
    """The requests of a new session, markers and typing that the server refused, with no caller to tell."""
    repeated: int
    """The messages that had been seen before, and were not delivered again."""
    not_understood: int
    """The stanzas that this package cannot decode."""
    outdated: int
    """The typing events that the server had stored, and that were over when they arrived."""
    unclaimed_answers: int
    """The IQ answers without a request, or from a wrong sender."""
    stanzas_refused: int
    """The stanzas that were too large, too deep or no XML; each makes ``stanza_refused``."""
    background_dropped: int
    """The automatic 'delivered' markers, answers and typing for which ``Limits`` had no room."""
    ephemeral_dropped: int
    """The typing events that were not sent, because the link was down."""


@frozen(kw_only=True, slots=True, repr=False)
class FleetStatistics:
    """The members of a fleet and their counts, as ``fleet.statistics()`` returns them.

    Example:
        >>> with Fleet(cube) as fleet:
        ...     print(fleet.statistics().ready)
        0
    """

    members: Mapping[int, Statistics]
    """The statistics of each member that has been logged in over REST, by the user's id."""
    waiting: int
    """The members whose login is still to come: the first one, or after a failure."""
    failed: int
    """The members that are not logged in, and that no further attempt is made for."""

    @property
    def ready(self) -> int:
        """The members whose messages flow."""
        ready = (ChatState.READY, ChatState.RESUMED)
        return sum(one.state in ready for one in self.members.values())

    @property
    def sums(self) -> Mapping[str, int]:
        """The sum of each count over all members, by its name in Statistics."""
        counts = [name for name, kind in Statistics.__annotations__.items() if kind == "int"]
        return {name: sum(getattr(one, name) for one in self.members.values()) for name in counts}

    @property
    def oldest_queued_seconds(self) -> float:
        """The seconds since the oldest event of all queues was queued; 0 if there is none."""
        return max((one.oldest_queued_seconds for one in self.members.values()), default=0.0)

    def __repr__(self) -> str:
        return (
            f"<FleetStatistics: {self.ready} ready, {self.waiting} waiting, {self.failed} failed>"
        )
