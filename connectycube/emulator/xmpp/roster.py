"""Roster: the requests that read and change a user's contacts. (RFC 6121, section 2.)"""

from __future__ import annotations

from attrs import evolve

from . import namespaces as ns
from .element import Element
from .hub import Hub
from .requests import request
from .session import Session
from .stanza import Jid, StanzaError, user_of
from .subscriptions import contact_jid, end_all, item, push
from .visibility import changing

__all__: list[str] = []

_LONGEST_NAME = 1023


@request("get", "query", ns.ROSTER, feature=ns.ROSTER)
def _read(hub: Hub, session: Session, stanza: Element, query: Element) -> Element:
    session.wants_roster = True
    contacts = hub.rosters.listed(session.user_id)
    return Element("query", ns.ROSTER, None, *(item(contact) for contact in contacts))


@request("set", "query", ns.ROSTER, feature=ns.ROSTER)
def _change(hub: Hub, session: Session, stanza: Element, query: Element) -> None:
    elements = list(query.elements())
    if len(elements) != 1 or elements[0].name != "item":
        raise StanzaError("bad-request", "A change of the roster holds exactly one item")
    jid = Jid.parse(elements[0].get("jid") or "")
    if jid is None:
        raise StanzaError("bad-request", "An item of the roster needs a JID")
    if user_of(jid, hub.settings) == session.user_id:
        raise StanzaError("not-allowed", "Nobody is a contact of oneself")
    target = contact_jid(hub, jid)
    with changing(hub, session.user_id):  # privacy lists may name groups
        if elements[0].get("subscription") == "remove":
            _remove(hub, session.user_id, target)
        else:
            _set(hub, session.user_id, target, elements[0])


def _set(hub: Hub, user_id: int, target: str, wanted: Element) -> None:
    groups = [child.text for child in wanted.elements() if child.name == "group"]
    if len(set(groups)) < len(groups):
        raise StanzaError("bad-request", "A group is named twice")
    name = wanted.get("name")
    for text in (*groups, name or ""):
        if len(text.encode()) > _LONGEST_NAME:
            raise StanzaError("not-acceptable", f"A name is longer than {_LONGEST_NAME} bytes")
    if "" in groups:
        raise StanzaError("not-acceptable", "A group needs a name")
    contact = hub.rosters.contact(user_id, target)
    contact = evolve(contact, name=name or None, groups=tuple(groups), listed=True)
    hub.rosters.save(user_id, contact)
    push(hub, user_id, item(contact))


def _remove(hub: Hub, user_id: int, target: str) -> None:
    contact = hub.rosters.contact(user_id, target)
    if not contact.listed:
        raise StanzaError("item-not-found", f"{target} is not in the roster")
    end_all(hub, user_id, contact)
    hub.rosters.remove(user_id, target)
    removed = Element("item", ns.ROSTER, {"jid": target, "subscription": "remove"})
    push(hub, user_id, removed)
