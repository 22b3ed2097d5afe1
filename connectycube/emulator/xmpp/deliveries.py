"""Deliveries: the sessions to which each message was sent, until one of them acknowledges it.

A message goes to every resource of a user. It is delivered when one of them has acknowledged it, and it is
undelivered when the last of them has ended without an acknowledgement.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from connectycube._containers import AnySet

from .element import Element
from .session import Session

__all__ = ["Deliveries", "Delivery"]


@define(eq=False)
class Delivery:
    """A message as it arrived, the time of its arrival in unix seconds, and the sessions that have it.

    ``history_id`` is the id under which history has this message, or the message that it edits. It is None if
    history had no such message when this one arrived.
    """

    message: Element
    arrived_at: float
    history_id: str | None
    holders: set[Session] = field(factory=AnySet)


class Deliveries:
    """The deliveries in progress; for one event loop."""

    def __init__(self) -> None:
        # By identity: one object is in the queues of all sessions. The tuple keeps it alive, and so its id.
        self._pending: dict[int, tuple[Element, Delivery]] = {}

    def begin(self, sent: Element, delivery: Delivery, sessions: Iterable[Session]) -> None:
        """Note the sessions that get a message, before it is sent to them.

        A session without stream management never acknowledges, so a message to it counts as delivered.
        """
        delivery.holders = set(sessions)
        if all(session.management is not None for session in delivery.holders):
            self._pending[id(sent)] = (sent, delivery)

    def acknowledged(self, sent: Element) -> None:
        """Note that a client has received a message."""
        self._pending.pop(id(sent), None)

    def given_up(self, session: Session, sent: Element) -> Delivery | None:
        """Note that a session ended without an acknowledgement; return the delivery if it has failed now."""
        _, delivery = self._pending.get(id(sent), (None, None))
        if delivery is None:
            return None
        delivery.holders.discard(session)
        if delivery.holders:
            return None
        del self._pending[id(sent)]
        return delivery
