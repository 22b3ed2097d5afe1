"""Messages between two users: their delivery, and the messages that no client receives.

The private dialog is created with its first message. (RFC 6121, 8.5; Server documentation: Real-time API.)
"""

from __future__ import annotations

from ..db.store import Row
from ..domain.api_error import ApiError
from . import namespaces as ns
from . import offline, room_messages
from .content import process
from .element import Element
from .hub import Hub
from .session import Session
from .stanza import Jid, StanzaError, user_of

__all__ = ["handle", "relay"]


def handle(hub: Hub, session: Session, stanza: Element) -> None:
    """Handle a message of a client."""
    try:
        _handle(hub, session, stanza)
    except StanzaError as refused:
        hub.refuse(session, stanza, refused.condition, refused.text)


def _handle(hub: Hub, session: Session, stanza: Element) -> None:
    jid = Jid.parse(stanza.get("to") or session.bare_jid)
    if jid is None:
        raise StanzaError("jid-malformed", f"{stanza.get('to')} is not a JID")
    settings = hub.settings
    kind = stanza.get("type") or "normal"
    if jid.domain == settings.muc_domain.lower():
        room_messages.handle(hub, session, stanza, jid)
        return
    if jid.domain != settings.domain.lower():
        raise StanzaError("remote-server-not-found", f"{jid.domain} is not here")
    recipient = user_of(jid, settings)
    if recipient is None or hub.store.user(recipient) is None:
        raise StanzaError("service-unavailable", f"There is no user {jid.bare}")
    _check_privacy(hub, session, jid, recipient)  # before a blocked message is stored or pushed
    if kind == "groupchat":
        raise StanzaError("service-unavailable", "Group chat goes to a room, this is a user")
    if kind == "chat":
        processed = process(
            hub,
            session,
            stanza,
            lambda create: _private_dialog(hub, session.user_id, recipient, create),
        )
        if processed is None:
            return
        stanza = processed
    relay(hub, stanza, recipient, jid.resource)
    if kind == "chat" and recipient != session.user_id:
        _copy_to_own(hub, session, stanza)


def _private_dialog(hub: Hub, sender: int, recipient: int, create: bool) -> Row | None:
    if sender == recipient:
        return None
    if not create:
        return hub.conversations.store.private_dialog(sender, recipient)
    try:
        return hub.conversations.private_dialog(sender, recipient)
    except ApiError as refusal:
        raise StanzaError("service-unavailable", refusal.sentence) from None


def _check_privacy(hub: Hub, session: Session, jid: Jid, recipient: int) -> None:
    """Refuse a message that a privacy list of either user blocks. (XEP-0016, 2.14.)"""
    privacy = hub.privacy
    if not privacy.allows(session.user_id, jid.bare, "other", session):
        raise StanzaError("not-acceptable", f"You have blocked {jid.bare}")
    only = hub.session(recipient, jid.resource) if jid.resource is not None else None
    receivers = hub.receivers(recipient) if only is None else [only]
    if not privacy.admits(recipient, session.jid, "message", receivers):
        raise StanzaError("service-unavailable", "Nobody receives messages there")


def relay(hub: Hub, stanza: Element, recipient: int, resource: str | None = None) -> None:
    """Send a message to a user's resource, or to all resources that receive messages and do not block it."""
    kind, sender = stanza.get("type") or "normal", stanza.get("from") or ""
    privacy = hub.privacy
    if resource is not None:
        only = hub.session(recipient, resource)
        if only is not None:
            if privacy.allows(recipient, sender, "message", only):
                hub.deliveries.begin(stanza, offline.arrival(hub, stanza), [only])
                hub.send(only, stanza)
            return
        if kind not in ("chat", "normal"):  # RFC 6121, 8.5.3.2.1: no other resource gets these
            return
    if kind == "error":
        return
    receivers = hub.receivers(recipient)
    willing = [other for other in receivers if privacy.allows(recipient, sender, "message", other)]
    if willing:
        hub.deliveries.begin(stanza, offline.arrival(hub, stanza), willing)
        hub.send_all(willing, stanza)
    elif privacy.admits(recipient, sender, "message", receivers):
        offline.keep(hub, recipient, offline.arrival(hub, stanza))


def _copy_to_own(hub: Hub, session: Session, stanza: Element) -> None:
    # XEP-0280. There are no "received" copies, as a message to a bare JID reaches every resource.
    if stanza.child("private", ns.CARBONS) is not None:
        return
    if stanza.child("no-copy", ns.HINTS) is not None:
        return
    copy = Element("forwarded", ns.FORWARD, None, stanza)
    attributes = {"from": session.bare_jid, "type": stanza.get("type"), "id": stanza.get("id")}
    for other in hub.sessions(session.user_id):
        if other is not session and other.carbons:
            outer = Element(
                "message", ns.CLIENT, attributes, Element("sent", ns.CARBONS, None, copy)
            )
            hub.send(other, outer.replace(to=other.jid))
