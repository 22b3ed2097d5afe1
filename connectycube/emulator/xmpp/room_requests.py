"""Requests to rooms: service discovery (XEP-0030, XEP-0045) and the ping to oneself (XEP-0410)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..db.store import Row
from ..domain.conversations import BROADCAST, PRIVATE, PUBLIC
from . import namespaces as ns
from .discovery import Identity, information, items
from .element import Element, clean_text
from .hub import Hub
from .room_messages import reached
from .rooms import dialog_at, require_member
from .session import Session
from .stanza import Jid, StanzaError, not_implemented, result_reply

__all__ = ["ROOM_REQUESTS", "RoomRequest", "handle"]

Handler = Callable[["Hub", Session, Element, Jid], "Element | None"]


@frozen
class RoomRequest:
    """One row of the table; ``inferred`` names the part that the documentation leaves open."""

    handler: Handler
    inferred: str | None = None


def handle(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    """Answer an IQ to the rooms' domain."""
    if stanza.get("type") in ("result", "error"):
        return
    try:
        answer = _handler(stanza, jid)(hub, session, stanza, jid)
    except StanzaError as refused:
        hub.refuse(session, stanza, refused.condition, refused.text)
        return
    hub.reply(session, result_reply(stanza, *(() if answer is None else (answer,))))


def _handler(stanza: Element, jid: Jid) -> Handler:
    if jid.local is None:
        receiver = "domain"
    elif jid.resource is None:
        receiver = "room"
    else:
        receiver = "occupant"
    payload = next(stanza.elements())
    found = ROOM_REQUESTS.get((receiver, stanza.get("type") or "", payload.namespace))
    if found is not None:
        return found.handler
    if payload.namespace in (ns.MUC_ADMIN, ns.MUC_OWNER):
        raise StanzaError("not-allowed", "Rooms are made and managed over REST, as dialogs")
    raise StanzaError("feature-not-implemented", not_implemented(stanza, payload))


def _domain_ping(*_: object) -> None:
    return None


def _domain_information(hub: Hub, session: Session, stanza: Element, jid: Jid) -> Element:
    return information(Identity("conference", "text", "Rooms"), (ns.MUC, *_DISCOVERY))


def _domain_items(hub: Hub, session: Session, stanza: Element, jid: Jid) -> Element:
    dialogs = hub.conversations.store.dialogs_of(
        session.user_id, "d.type != ?", (PRIVATE,), order="d.created_at, d.id"
    )
    return items(
        (hub.settings.room_jid(dialog["id"]), clean_text(dialog["name"])) for dialog in dialogs
    )


def _room_ping(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    require_member(hub, dialog_at(hub, jid), session.user_id)


def _room_information(hub: Hub, session: Session, stanza: Element, jid: Jid) -> Element:
    dialog = dialog_at(hub, jid)
    if dialog["type"] != PUBLIC:
        require_member(hub, dialog, session.user_id)
    features = (ns.MUC, *_DISCOVERY, *_kind_features(dialog))
    return information(Identity("conference", "text", clean_text(dialog["name"])), features)


def _kind_features(dialog: Row) -> tuple[str, ...]:
    broadcast = dialog["type"] == BROADCAST
    return (
        "muc_persistent",
        "muc_semianonymous",
        "muc_unsecured",
        "muc_moderated" if broadcast else "muc_unmoderated",
        "muc_open" if broadcast else "muc_membersonly",
        "muc_public" if dialog["type"] in (BROADCAST, PUBLIC) else "muc_hidden",
    )


def _room_items(hub: Hub, session: Session, stanza: Element, jid: Jid) -> Element:
    # A user that a message in the room reaches is online there, also without a join. (Inferred.)
    dialog = dialog_at(hub, jid)
    require_member(hub, dialog, session.user_id)
    room = hub.settings.room_jid(dialog["id"])
    online = sorted({found.user_id for found in reached(hub, dialog)})
    return items((f"{room}/{user_id}", None) for user_id in online)


def _self_ping(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    dialog = dialog_at(hub, jid)
    if not hub.occupancy.has_joined(dialog["id"], session):
        raise StanzaError("not-acceptable", "You are not in this room")
    if jid.resource != str(session.user_id):
        raise StanzaError("service-unavailable", "Rooms forward no requests; you may ping yourself")


_DISCOVERY = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.PING)

ROOM_REQUESTS: dict[tuple[str, str, str], RoomRequest] = {
    ("domain", "get", ns.PING): RoomRequest(_domain_ping),
    ("domain", "get", ns.DISCO_INFO): RoomRequest(_domain_information),
    ("domain", "get", ns.DISCO_ITEMS): RoomRequest(
        _domain_items, "the rooms of the user's dialogs, and of all broadcasts"
    ),
    ("room", "get", ns.PING): RoomRequest(_room_ping, "answered to users that may enter"),
    ("room", "get", ns.DISCO_INFO): RoomRequest(_room_information, "the features"),
    ("room", "get", ns.DISCO_ITEMS): RoomRequest(
        _room_items, "the users whom a message reaches, joined or not"
    ),
    ("occupant", "get", ns.PING): RoomRequest(_self_ping, "XEP-0410, the user's own nick alone"),
}
"""Requests to the rooms' domain, a room, or an occupant, by receiver, type and namespace."""
