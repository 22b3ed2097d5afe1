"""Offline: messages that no client of a user has received, and their later delivery. (XEP-0160, XEP-0203.)

Each message is delivered once, in the order of arrival, with a delay stamp of its time of arrival. A message
that history does not show to the user any more is not delivered.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.times import iso_milliseconds
from . import namespaces as ns
from .deliveries import Delivery
from .element import Element
from .hub import Hub
from .parser import parse
from .session import Session
from .stanza import message_id_of

__all__ = ["arrival", "deliver_kept", "keep", "session_ended"]


def arrival(hub: Hub, message: Element) -> Delivery:
    """Return the delivery of a message that arrives now, after history has stored or changed it."""
    history_id = _history_id(message) if _is_kept(message) else None
    if history_id is not None and hub.conversations.store.message(history_id) is None:
        history_id = None
    return Delivery(message, hub.clock.time(), history_id)


def _history_id(message: Element) -> str | None:
    """Return the id of a message in history, or of the message that it edits."""
    edited = message.child("replace", ns.CORRECTION)
    return message_id_of(message) if edited is None else edited.get("id")


def keep(hub: Hub, user_id: int, delivery: Delivery) -> None:
    """Keep a message for a user who is offline, if the settings say so."""
    if hub.settings.offline_messages and _is_kept(delivery.message):
        stanza = delivery.message.to_xml()
        hub.store.add_offline(user_id, stanza, delivery.arrived_at, delivery.history_id)


def _is_kept(stanza: Element) -> bool:
    # XEP-0160, 3: typing notifications, markers and the like are of no use later.
    if stanza.name != "message" or stanza.get("type") not in ("chat", "normal", None):
        return False
    return stanza.child("body") is not None


def deliver_kept(hub: Hub, session: Session) -> None:
    """Deliver the messages that were kept for a user, to the first resource that receives messages."""
    for row in hub.store.take_offline(session.user_id):
        kept = Delivery(parse(row["stanza"]), row["received_at"], row["history_id"])
        _redeliver(hub, session.user_id, kept)


def session_ended(hub: Hub, session: Session) -> None:
    """Deliver again the messages that only this session could still acknowledge. (XEP-0198, 4.)"""
    if session.management is None:
        return
    for stanza in session.management.unacknowledged:
        failed = hub.deliveries.given_up(session, stanza)
        if failed is not None:
            _redeliver(hub, session.user_id, failed)


def _redeliver(hub: Hub, user_id: int, delivery: Delivery) -> None:
    """Send a message with a delay stamp, or keep it for a user who is offline."""
    if not hub.settings.offline_messages or not _is_kept(delivery.message):
        return
    if _is_deleted(hub, user_id, delivery):
        return
    # Looked up for each message: the message before may have overflowed a session, which has ended then.
    receivers = _willing(hub, user_id, delivery.message)
    if not receivers:
        keep(hub, user_id, delivery)
        return
    sent = _delayed(hub, delivery)
    hub.deliveries.begin(sent, delivery, receivers)
    hub.send_all(receivers, sent)


def _is_deleted(hub: Hub, user_id: int, delivery: Delivery) -> bool:
    """Whether history had a message, and does not show it to the user any more."""
    if delivery.history_id is None:
        return False
    store = hub.conversations.store
    return store.message(delivery.history_id) is None or store.is_removed(
        delivery.history_id, user_id
    )


def _willing(hub: Hub, user_id: int, message: Element) -> Sequence[Session]:
    sender = message.get("from") or ""
    return [
        session
        for session in hub.receivers(user_id)
        if hub.privacy.allows(user_id, sender, "message", session)
    ]


def _delayed(hub: Hub, delivery: Delivery) -> Element:
    stamp = iso_milliseconds(delivery.arrived_at)
    delay = Element("delay", ns.DELAY, {"from": hub.settings.domain, "stamp": stamp})
    return delivery.message.replace(*delivery.message.children, delay)
