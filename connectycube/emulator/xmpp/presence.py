"""Presence: broadcast, probes and directed presence of users. (RFC 6121, section 4.)"""

from __future__ import annotations

from . import offline, rooms, subscriptions
from .activity import send_activity
from .element import Element
from .hub import Hub
from .session import Session
from .stanza import Jid, StanzaError, user_of
from .visibility import available, may_see, seen_by, unavailable, watchers

__all__ = ["PRESENCES", "become_unavailable", "handle"]


def handle(hub: Hub, session: Session, stanza: Element) -> None:
    """Handle a client's presence."""
    kind, to = stanza.get("type"), stanza.get("to")
    if kind == "error":
        return
    jid = Jid.parse(to) if to is not None else None
    try:
        if jid is not None and jid.domain == hub.settings.muc_domain.lower():
            if kind != "probe":
                rooms.presence(hub, session, stanza, jid)
        elif to is not None and to != session.bare_jid:
            if jid is None:
                raise StanzaError("jid-malformed", f"{to} is not a JID")
            _to_user(hub, session, stanza, jid)
        elif kind is None:
            _become_available(hub, session, stanza)
        elif kind == "unavailable":
            rooms.leave_all(hub, session, stanza)
            if session.presence is not None:
                become_unavailable(hub, session, stanza)
        elif kind not in PRESENCES:
            raise StanzaError("bad-request", f"There is no presence of type {kind}")
    except StanzaError as refused:
        hub.refuse(session, stanza, refused.condition, refused.text)


PRESENCES: dict[str | None, str | None] = {
    None: None,
    "unavailable": None,
    "probe": "answered to subscribers alone",
    **dict.fromkeys(subscriptions.KINDS, "as RFC 6121 has it; the documentation is silent"),
}
"""The types of presence (None: available), and the part of each that the documentation leaves open."""


def _to_user(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    kind = stanza.get("type")
    if kind in subscriptions.KINDS:
        subscriptions.handle(hub, session, stanza, jid)
    elif kind == "probe":
        _probe(hub, session, jid)
    elif kind in (None, "unavailable"):
        _direct(hub, session, stanza, jid)
    else:
        raise StanzaError("bad-request", f"There is no presence of type {kind}")


def _direct(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    """Send directed presence. (RFC 6121, 4.6.)"""
    target = stanza.get("to") or ""
    if not hub.privacy.allows(session.user_id, target, "presence-out", session):
        raise StanzaError("not-acceptable", f"You have blocked {target}")
    reached = _send_directed(hub, session, stanza, jid)
    if stanza.get("type") is not None:
        session.directed.discard(target)
    elif reached:
        session.directed.add(target)


def _send_directed(hub: Hub, session: Session, stanza: Element, jid: Jid) -> int:
    user_id = user_of(jid, hub.settings)
    if user_id is None:
        return 0
    receivers = [
        other
        for other in available(hub, user_id)
        if jid.resource in (None, other.resource) and may_see(hub, session, other)
    ]
    return hub.send_all(receivers, stanza)


def _probe(hub: Hub, session: Session, jid: Jid) -> None:
    """Answer a probe with the presence that the session may see. (RFC 6121, 4.3.)"""
    user_id = user_of(jid, hub.settings)
    for other in seen_by(hub, session):
        if other.user_id == user_id and other.presence is not None:
            hub.send(session, other.presence.replace(to=session.bare_jid))


def _become_available(hub: Hub, session: Session, stanza: Element) -> None:
    own = available(hub, session.user_id)  # before this session is one of them
    initial, received = not session.is_available, session.receives_messages
    session.presence = stanza.replace(to=session.bare_jid)
    session.priority = _priority(stanza)
    _broadcast(hub, session, session.presence)
    if initial:
        _bring_up_to_date(hub, session, own)
    # Also if the resource was available before, with a negative priority. (XEP-0160, 2.)
    if session.receives_messages and not received:
        offline.deliver_kept(hub, session)
    # These presences and messages may have overflowed the session. Then it has ended, without a presence.
    if initial and not own and session.is_available:
        send_activity(hub, session.user_id, 0)


def _bring_up_to_date(hub: Hub, session: Session, own: list[Session]) -> None:
    """Send the presence of others, and their requests for presence. (RFC 6121, 4.2.)"""
    for other in (*own, *seen_by(hub, session)):
        if other.presence is not None:
            hub.send(session, other.presence.replace(to=session.bare_jid))
    subscriptions.deliver_requests(hub, session)


def become_unavailable(hub: Hub, session: Session, stanza: Element | None = None) -> None:
    """Make a resource unavailable, and tell every user that saw its presence."""
    # First, so that the session does not get its own presence, and does not count as available below.
    session.presence = None
    if stanza is None:
        stanza = unavailable(session)
    _broadcast(hub, session, stanza)
    # RFC 6121, 4.5.2: the receivers of directed presence are told as well, unless the broadcast reached them.
    reached = {other.user_id for other in watchers(hub, session)}
    directed, session.directed = session.directed, set()
    for target in sorted(directed):
        jid = Jid.parse(target)
        if jid is not None and user_of(jid, hub.settings) not in reached:
            _send_directed(hub, session, stanza.replace(to=target), jid)
    if not available(hub, session.user_id):
        hub.activity.ended(session.user_id)
        seconds = hub.activity.seconds_since(session.user_id)
        send_activity(hub, session.user_id, seconds or 0)


def _broadcast(hub: Hub, session: Session, stanza: Element) -> None:
    hub.send_all(available(hub, session.user_id), stanza.replace(to=session.bare_jid))
    for other in watchers(hub, session):
        hub.send(other, stanza.replace(to=other.bare_jid))


def _priority(stanza: Element) -> int:
    element = stanza.child("priority")
    try:
        return max(-128, min(127, int(element.text))) if element is not None else 0
    except ValueError:
        return 0
