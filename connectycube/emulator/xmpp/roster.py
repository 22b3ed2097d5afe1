"""Roster: the requests that show and change a user's contacts. (RFC 6121, section 2.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from . import namespaces as ns
from .element import Element
from .requests import request
from .session import Session
from .stanza import Jid, Refused, user_of
from .subscriptions import contact_jid, end_all, item, push
from .visibility import changing

if TYPE_CHECKING:
    from .exchange import Exchange

__all__: list[str] = []

_LONGEST_NAME = 1023


@request("get", "query", ns.ROSTER, feature=ns.ROSTER)
def _read(exchange: Exchange, session: Session, stanza: Element, query: Element) -> Element:
    session.wants_roster = True
    contacts = exchange.rosters.listed(session.user_id)
    return Element("query", ns.ROSTER, None, *(item(contact) for contact in contacts))


@request("set", "query", ns.ROSTER, feature=ns.ROSTER)
def _change(exchange: Exchange, session: Session, stanza: Element, query: Element) -> None:
    elements = list(query.elements())
    if len(elements) != 1 or elements[0].name != "item":
        raise Refused("bad-request", "A change of the roster holds exactly one item")
    jid = Jid.parse(elements[0].get("jid") or "")
    if jid is None:
        raise Refused("bad-request", "An item of the roster needs a JID")
    if user_of(jid, exchange.settings) == session.user_id:
        raise Refused("not-allowed", "Nobody is a contact of oneself")
    target = contact_jid(exchange, jid)
    with changing(exchange, session.user_id):  # privacy lists may name groups
        if elements[0].get("subscription") == "remove":
            _remove(exchange, session.user_id, target)
        else:
            _set(exchange, session.user_id, target, elements[0])


def _set(exchange: Exchange, user_id: int, target: str, wanted: Element) -> None:
    groups = [child.text for child in wanted.elements() if child.name == "group"]
    if len(set(groups)) < len(groups):
        raise Refused("bad-request", "A group is named twice")
    name = wanted.get("name")
    for text in (*groups, name or ""):
        if len(text.encode()) > _LONGEST_NAME:
            raise Refused("not-acceptable", f"A name is longer than {_LONGEST_NAME} bytes")
    if "" in groups:
        raise Refused("not-acceptable", "A group needs a name")
    contact = exchange.rosters.contact(user_id, target)
    contact = evolve(contact, name=name or None, groups=tuple(groups), listed=True)
    exchange.rosters.save(user_id, contact)
    push(exchange, user_id, item(contact))


def _remove(exchange: Exchange, user_id: int, target: str) -> None:
    contact = exchange.rosters.contact(user_id, target)
    if not contact.listed:
        raise Refused("item-not-found", f"{target} is not in the roster")
    end_all(exchange, user_id, contact)
    exchange.rosters.remove(user_id, target)
    removed = Element("item", ns.ROSTER, {"jid": target, "subscription": "remove"})
    push(exchange, user_id, removed)
