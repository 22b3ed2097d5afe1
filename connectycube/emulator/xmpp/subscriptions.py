"""Subscriptions: requests for the presence of users, and the answers to them. (RFC 6121, section 3.)"""

from __future__ import annotations

from attrs import evolve, frozen

from ..domain.rosters import Contact
from . import namespaces as ns
from .element import Element
from .hub import Hub
from .parser import parse
from .session import Session
from .stanza import Jid, StanzaError, user_of
from .visibility import available, changing

__all__ = ["KINDS", "contact_jid", "deliver_requests", "end_all", "handle", "item", "push", "send"]

KINDS = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


def handle(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a client's presence of one of these kinds."""
    target, settings = jid.bare, hub.settings
    if jid.domain != settings.domain.lower():
        raise StanzaError("remote-server-not-found", f"{jid.domain} is not here")
    if not hub.privacy.allows(session.user_id, target, "other", session):
        raise StanzaError("not-acceptable", f"You have blocked {target}")
    if user_of(jid, settings) != session.user_id:
        send(hub, session.user_id, contact_jid(hub, jid), stanza)


def contact_jid(hub: Hub, jid: Jid) -> str:
    """Return the bare JID of a contact, as rosters have it."""
    user_id = user_of(jid, hub.settings)
    return jid.bare if user_id is None else hub.settings.user_jid(user_id)


@frozen
class _Change:
    """The change of one user's roster, and the stanza that is delivered to that user, if any."""

    user_id: int
    before: Contact
    after: Contact
    delivered: Element | None = None


def send(hub: Hub, user_id: int, target: str, stanza: Element) -> None:
    """Handle a stanza of these kinds: change both rosters, deliver it, and push the changed items."""
    stanza = stanza.replace(**{"from": hub.settings.user_jid(user_id), "to": target})
    with changing(hub, user_id):
        with hub.store.database.transaction():  # both rosters change, or none
            changes = _sent(hub, user_id, target, stanza)
        # Only after the commit: a client must not get a change that is not in the database.
        for change in changes:
            if change.delivered is not None:
                _deliver(hub, change.user_id, change.before.jid, change.delivered)
            _push_change(hub, change)


def _sent(hub: Hub, user_id: int, target: str, stanza: Element) -> list[_Change]:
    kind = stanza.get("type") or ""
    before = hub.rosters.contact(user_id, target)
    state, routed = before.state.after_sending(kind)
    listed = before.listed or kind == "subscribe" or state.from_
    after = evolve(before, state=state, listed=listed)
    hub.rosters.save(user_id, after)
    return [_Change(user_id, before, after), *(_received(hub, stanza) if routed else ())]


def _received(hub: Hub, stanza: Element) -> list[_Change]:
    kind, sender, target = (stanza.get(name) or "" for name in ("type", "from", "to"))
    jid = Jid.parse(target)
    user_id = None if jid is None else user_of(jid, hub.settings)
    if user_id is None or hub.store.user(user_id) is None:
        return []  # RFC 6121, 8.5.1: silently ignored
    if not hub.privacy.admits(user_id, sender, "other", hub.sessions(user_id)):
        return []
    before = hub.rosters.contact(user_id, sender)
    state, delivered = before.state.after_receiving(kind)
    request = stanza.to_xml() if delivered and kind == "subscribe" else before.request
    after = evolve(before, state=state, request=request)
    hub.rosters.save(user_id, after)
    change = _Change(user_id, before, after, stanza if delivered else None)
    if kind == "subscribe" and state.from_:  # RFC 6121, 3.1.3: the user has approved already
        attributes = {"type": "subscribed", "from": target, "to": sender}
        return [change, *_received(hub, Element("presence", ns.CLIENT, attributes))]
    return [change]


def _deliver(hub: Hub, user_id: int, sender: str, stanza: Element) -> None:
    sessions = (
        available(hub, user_id) if stanza.get("type") == "subscribe" else _interested(hub, user_id)
    )
    allows = hub.privacy.allows
    hub.send_all(
        [session for session in sessions if allows(user_id, sender, "other", session)], stanza
    )


def deliver_requests(hub: Hub, session: Session) -> None:
    """Deliver the requests that are not answered yet to a resource that became available."""
    for contact in hub.rosters.requests(session.user_id):
        if contact.request is not None:
            hub.send(session, parse(contact.request))


def end_all(hub: Hub, user_id: int, contact: Contact) -> None:
    """End the subscriptions between a user and a contact, in both directions. (RFC 6121, 2.5.2.)"""
    state = contact.state
    kinds: list[str] = []
    if state.to or state.asks:
        kinds.append("unsubscribe")
    if state.from_ or state.asked:
        kinds.append("unsubscribed")
    for kind in kinds:
        send(hub, user_id, contact.jid, Element("presence", ns.CLIENT, {"type": kind}))


# --- roster pushes -----------------------------------------------------------------------------------


def _push_change(hub: Hub, change: _Change) -> None:
    before = item(change.before).to_xml() if change.before.listed else None
    if change.after.listed and item(change.after).to_xml() != before:
        push(hub, change.user_id, item(change.after))


def item(contact: Contact) -> Element:
    """Write a contact as an item of the roster."""
    attributes = {
        "jid": contact.jid,
        "name": contact.name,
        "subscription": contact.state.subscription,
        "ask": "subscribe" if contact.state.asks else None,
    }
    groups = [Element("group", ns.ROSTER, None, group) for group in contact.groups]
    return Element("item", ns.ROSTER, attributes, *groups)


def push(hub: Hub, user_id: int, changed: Element) -> None:
    """Push a changed item to the resources that have asked for the roster. (RFC 6121, 2.1.6.)"""
    query = Element("query", ns.ROSTER, None, changed)
    for session in _interested(hub, user_id):
        hub.push(session, query)


def _interested(hub: Hub, user_id: int) -> list[Session]:
    return [session for session in hub.sessions(user_id) if session.wants_roster]
