"""Privacy: the requests that read and change a user's privacy lists. (XEP-0016.)"""

from __future__ import annotations

import re

from . import namespaces as ns
from .element import Element
from .hub import Hub
from .privacy_lists import CHILDREN, PrivacyItem
from .requests import request
from .session import Session
from .stanza import Jid, StanzaError
from .visibility import changing

__all__: list[str] = []

_ORDER = re.compile(r"\d{1,10}", re.ASCII)
_SUBSCRIPTIONS = ("both", "to", "from", "none")


@request("get", "query", ns.PRIVACY, feature=ns.PRIVACY)
def _read(hub: Hub, session: Session, stanza: Element, query: Element) -> Element:
    wanted = list(query.elements())
    if not wanted:
        return _names(hub, session)
    if len(wanted) > 1 or wanted[0].name != "list":
        raise StanzaError("bad-request", "Ask for the names of all lists, or for one list")
    name = _name(wanted[0])
    items = _existing(hub, session, name)
    found = Element("list", ns.PRIVACY, {"name": name}, *(_item_element(item) for item in items))
    return Element("query", ns.PRIVACY, None, found)


def _names(hub: Hub, session: Session) -> Element:
    privacy, user_id = hub.privacy, session.user_id
    used = (("active", session.active_list), ("default", privacy.default(user_id)))
    return Element(
        "query",
        ns.PRIVACY,
        None,
        *(Element(kind, ns.PRIVACY, {"name": name}) for kind, name in used if name is not None),
        *(Element("list", ns.PRIVACY, {"name": name}) for name in privacy.names(user_id)),
    )


@request("set", "query", ns.PRIVACY, feature=ns.PRIVACY)
def _change(hub: Hub, session: Session, stanza: Element, query: Element) -> None:
    changes = list(query.elements())
    change = _CHANGES.get(changes[0].name) if len(changes) == 1 else None
    if change is None:
        raise StanzaError("bad-request", "Change exactly one of <active/>, <default/> and <list/>")
    with changing(hub, session.user_id):
        change(hub, session, changes[0])


def _set_active(hub: Hub, session: Session, active: Element) -> None:
    name = active.get("name")
    if name is not None:
        _existing(hub, session, name)
    session.active_list = name


def _set_default(hub: Hub, session: Session, default: Element) -> None:
    name = default.get("name")
    if name is not None:
        _existing(hub, session, name)
    current = hub.privacy.default(session.user_id)
    if name == current:
        return
    others = _others(hub, session)
    if current is not None and any(other.active_list is None for other in others):
        raise StanzaError("conflict", f"Another connected resource uses the default list {current}")
    hub.privacy.set_default(session.user_id, name)


def _set_list(hub: Hub, session: Session, edited: Element) -> None:
    name = _name(edited)
    items = [_item(hub, session, element) for element in edited.elements()]
    if not items:
        _remove(hub, session, name)
    elif len({item.order for item in items}) < len(items):
        raise StanzaError("bad-request", "Two items of a list must not have the same order")
    else:
        hub.privacy.save(session.user_id, name, items)
    _push(hub, session.user_id, name)


def _remove(hub: Hub, session: Session, name: str) -> None:
    _existing(hub, session, name)
    default = hub.privacy.default(session.user_id)
    if any((other.active_list or default) == name for other in _others(hub, session)):
        raise StanzaError("conflict", f"Another connected resource uses the list {name}")
    hub.privacy.remove(session.user_id, name)
    for own in hub.sessions(session.user_id):
        if own.active_list == name:
            own.active_list = None


_CHANGES = {"active": _set_active, "default": _set_default, "list": _set_list}


def _others(hub: Hub, session: Session) -> list[Session]:
    sessions = hub.sessions(session.user_id)
    return [other for other in sessions if other is not session and other.link is not None]


def _push(hub: Hub, user_id: int, name: str) -> None:
    query = Element("query", ns.PRIVACY, None, Element("list", ns.PRIVACY, {"name": name}))
    for session in hub.sessions(user_id):
        hub.push(session, query)


def _existing(hub: Hub, session: Session, name: str) -> tuple[PrivacyItem, ...]:
    items = hub.privacy.items(session.user_id, name)
    if items is None:
        raise StanzaError("item-not-found", f"There is no privacy list {name}")
    return items


def _name(element: Element) -> str:
    name = element.get("name")
    if not name:
        raise StanzaError("bad-request", "A privacy list needs a name")
    return name


# --- items ------------------------------------------------------------------------------------------


def _item(hub: Hub, session: Session, element: Element) -> PrivacyItem:
    order, action, kind = (element.get(name) for name in ("order", "action", "type"))
    only = tuple(child.name for child in element.elements())
    if element.name != "item" or not set(only) <= set(CHILDREN):
        raise StanzaError(
            "bad-request", f"An item can hold {', '.join(CHILDREN)}, a list only items"
        )
    if order is None or not _ORDER.fullmatch(order) or int(order) >= 2**32:
        raise StanzaError(
            "bad-request", "The order of an item must be a number from 0 to 4294967295"
        )
    if action not in ("allow", "deny"):
        raise StanzaError("bad-request", "The action of an item must be allow or deny")
    value = None
    if kind is not None:
        value = _value(hub, session, kind, element.get("value") or "")
    return PrivacyItem(order=int(order), action=action, type=kind, value=value, only=only)


def _value(hub: Hub, session: Session, kind: str, value: str) -> str:
    if kind == "jid":
        if Jid.parse(value) is None:
            raise StanzaError("bad-request", f"{value!r} is not a JID")
    elif kind == "subscription":
        if value not in _SUBSCRIPTIONS:
            raise StanzaError(
                "bad-request", f"A subscription is one of {', '.join(_SUBSCRIPTIONS)}"
            )
    elif kind == "group":
        contacts = hub.rosters.listed(session.user_id)
        if not any(value in contact.groups for contact in contacts):
            raise StanzaError("item-not-found", f"No contact is in the group {value!r}")
    else:
        raise StanzaError("bad-request", "The type of an item must be jid, group or subscription")
    return value


def _item_element(item: PrivacyItem) -> Element:
    attributes = {
        "type": item.type,
        "value": item.value,
        "action": item.action,
        "order": str(item.order),
    }
    children = (Element(name, ns.PRIVACY) for name in item.only)
    return Element("item", ns.PRIVACY, attributes, *children)
