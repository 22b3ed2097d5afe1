"""Presence of a user's resources, among themselves. (RFC 6121, section 4.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages, rooms
from . import namespaces as ns
from .element import Element
from .session import Session
from .stanza import Jid, user_of

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["become_unavailable", "handle"]


def handle(exchange: Exchange, session: Session, stanza: Element) -> None:
    """Handle a client's presence."""
    kind, to = stanza.get("type"), stanza.get("to")
    if kind in ("error", "probe"):
        return
    jid = Jid.parse(to) if to is not None else None
    if jid is not None and jid.domain == exchange.settings.muc_domain.lower():
        rooms.presence(exchange, session, stanza, jid)
    elif kind not in (None, "unavailable"):
        text = f"The emulator does not implement presence of type {kind}"
        exchange.refuse(session, stanza, "feature-not-implemented", text)
    elif to is not None and to != session.bare_jid:
        _direct(exchange, session, stanza, to)
    elif kind is None:
        _become_available(exchange, session, stanza)
    else:
        rooms.leave_all(exchange, session, stanza)
        if session.presence is not None:
            become_unavailable(exchange, session, stanza)


def _direct(exchange: Exchange, session: Session, stanza: Element, to: str) -> None:
    jid = Jid.parse(to)
    if jid is None:
        exchange.refuse(session, stanza, "jid-malformed", f"{to} is not a JID")
        return
    user_id = user_of(jid, exchange.settings)
    if user_id is not None:
        receivers = exchange.sessions(user_id)
        if jid.resource is not None:
            receivers = [other for other in receivers if other.resource == jid.resource]
        exchange.send_all([other for other in receivers if other.presence is not None], stanza)


def _become_available(exchange: Exchange, session: Session, stanza: Element) -> None:
    initial = session.presence is None
    session.presence = stanza.replace(to=session.bare_jid)
    session.priority = _priority(stanza)
    own = [other for other in exchange.sessions(session.user_id) if other.presence is not None]
    exchange.send_all(own, session.presence)
    if not initial:
        return
    for other in own:
        if other is not session and other.presence is not None:
            exchange.send(session, other.presence)
    if session.receives_messages:
        messages.deliver_offline(exchange, session)


def become_unavailable(exchange: Exchange, session: Session, stanza: Element | None = None) -> None:
    """Take a resource out of the available ones and tell the others of its user."""
    session.presence = None
    if stanza is None:
        stanza = Element("presence", ns.CLIENT, {"type": "unavailable", "from": session.jid})
    own = [other for other in exchange.sessions(session.user_id) if other.presence is not None]
    exchange.send_all(own, stanza.replace(to=session.bare_jid))


def _priority(stanza: Element) -> int:
    element = stanza.child("priority")
    try:
        return max(-128, min(127, int(element.text))) if element is not None else 0
    except ValueError:
        return 0
