"""Rooms: who comes, is there and goes. One room for each group, public and broadcast dialog.

Rooms are made, and their members chosen, over REST alone. A nick is the user's id; all resources of a
user share it, and the others see one occupant. (XEP-0045; what the official SDKs send and need.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..conversations import BROADCAST, PRIVATE
from ..roles import Role
from ..store import Row
from . import namespaces as ns
from .element import Element, clean_text
from .occupancy import NOBODY, OUTCAST, Occupant, Standing
from .session import Session
from .stanza import Jid, Refused, dialog_of, error_reply

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["dialog_at", "expel", "leave_all", "presence", "refresh", "require_member", "standing"]

_STANDINGS = {
    Role.OWNER: Standing("owner", "moderator"),
    Role.ADMIN: Standing("admin", "moderator"),
    Role.REGULAR: Standing("member", "participant"),
    Role.NOBODY: NOBODY,
}
_READER = Standing("member", "visitor")

_USER_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)

# Status codes of a presence. (XEP-0045, 15.6.)
_SELF, _BANNED, _KICKED, _NO_LONGER_MEMBER = 110, 301, 307, 321


# --- what a room is, and who one is in it -----------------------------------------------------------


def dialog_at(exchange: Exchange, jid: Jid) -> Row:
    """Return the dialog whose room a JID names; refuse what has no room."""
    dialog_id = dialog_of(jid, exchange.settings)
    dialog = exchange.conversations.store.dialog(dialog_id) if dialog_id is not None else None
    if dialog is None or dialog["type"] == PRIVATE:
        raise Refused("item-not-found", f"There is no room {jid.bare}")
    return dialog


def standing(exchange: Exchange, dialog: Row, user_id: int) -> Standing:
    """Return what a user is in a dialog's room, by the role in the dialog."""
    if exchange.occupancy.is_banned(dialog["id"], user_id):
        return OUTCAST
    role = exchange.conversations.role(dialog, user_id)
    is_reader = dialog["type"] == BROADCAST and role is Role.REGULAR
    return _READER if is_reader else _STANDINGS[role]


def require_member(exchange: Exchange, dialog: Row, user_id: int) -> Standing:
    """Return what a user is in a room; refuse those who may not see it."""
    found = standing(exchange, dialog, user_id)
    if not found.is_member:
        raise Refused("forbidden", _stranger(dialog, user_id))
    return found


def _stranger(dialog: Row, user_id: int) -> str:
    return f"User {user_id} is not an occupant of dialog {dialog['id']}"


# --- presence of a client -----------------------------------------------------------------------------


def presence(exchange: Exchange, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a presence to the rooms' domain: join, change or leave."""
    try:
        _presence(exchange, session, stanza, jid)
    except Refused as refused:
        # The JavaScript SDK knows an error of a room by this element.
        error = error_reply(stanza, refused.condition, refused.text)
        marked = error.replace(Element("x", ns.MUC), *error.children)
        exchange.reply(session, marked)


def _presence(exchange: Exchange, session: Session, stanza: Element, jid: Jid) -> None:
    dialog = dialog_at(exchange, jid)
    kind = stanza.get("type")
    if kind not in (None, "unavailable"):
        raise Refused("bad-request", f"A presence of type {kind} is nothing for a room")
    joined = exchange.occupancy.has_joined(dialog["id"], session)
    if kind == "unavailable" and joined:
        _leave(exchange, session, dialog["id"], stanza)
    elif stanza.child("x", ns.MUC) is not None and kind is None:
        _join(exchange, session, stanza, dialog, jid.resource)
    elif joined:
        _check_nick(exchange, session, jid.resource)
        _change(exchange, session, stanza, dialog["id"])
    else:
        text = f"You are not in this room; who joins it sends <x xmlns='{ns.MUC}'/>"
        raise Refused("not-acceptable", text)


def _check_nick(exchange: Exchange, session: Session, nick: str | None) -> None:
    """Refuse another nick than one's own id; the id of somebody else is somebody else's nick."""
    own = str(session.user_id)
    if nick is None:
        raise Refused("jid-malformed", f"A nick is missing; yours is {own}")
    if nick == own:
        return
    if _USER_ID.fullmatch(nick) and exchange.store.user(int(nick)) is not None:
        raise Refused("conflict", f"The nick {nick} is that of another user; yours is {own}")
    raise Refused("not-acceptable", f"Nicks are user ids here; yours is {own}")


def _join(
    exchange: Exchange, session: Session, stanza: Element, dialog: Row, nick: str | None
) -> None:
    _check_nick(exchange, session, nick)
    found = standing(exchange, dialog, session.user_id)
    if found == OUTCAST:
        raise Refused("forbidden", f"User {session.user_id} is banned from this room")
    if not found.is_member:
        raise Refused("registration-required", _stranger(dialog, session.user_id))
    dialog_id, occupancy = dialog["id"], exchange.occupancy
    is_new = occupancy.occupant(dialog_id, session.user_id) is None
    occupant = occupancy.enter(dialog_id, session, found, _shown(stanza))
    if is_new:
        # first of all: should what follows be too much for the session, they learn of its end after this
        _tell_others(exchange, dialog_id, occupant)
    for other in occupancy.occupants(dialog_id):
        if other is not occupant:
            exchange.send(session, _of(exchange, dialog_id, other, session))
    to_self = _of(exchange, dialog_id, occupant, session, statuses=(_SELF,))
    exchange.send(session, to_self.replace(id=stanza.get("id")))
    if exchange.settings.room_subject:
        _send_subject(exchange, session, dialog_id)


def _send_subject(exchange: Exchange, session: Session, dialog_id: str) -> None:
    attributes = {
        "from": exchange.settings.room_jid(dialog_id),
        "to": session.jid,
        "type": "groupchat",
    }
    exchange.send(session, Element("message", ns.CLIENT, attributes, Element("subject", ns.CLIENT)))


def _change(exchange: Exchange, session: Session, stanza: Element, dialog_id: str) -> None:
    occupant = exchange.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    occupant = exchange.occupancy.enter(dialog_id, session, occupant.standing, _shown(stanza))
    _tell_others(exchange, dialog_id, occupant)
    to_self = _of(exchange, dialog_id, occupant, session, statuses=(_SELF,))
    exchange.send(session, to_self.replace(id=stanza.get("id")))


def _leave(exchange: Exchange, session: Session, dialog_id: str, stanza: Element | None) -> None:
    """Let a session leave; it is told when it asked, the others when it was its user's last."""
    occupant = exchange.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    exchange.occupancy.leave(dialog_id, session)
    gone = Occupant(occupant.user_id, Standing(occupant.standing.affiliation, "none"))
    children = _shown(stanza).children if stanza is not None else ()
    if stanza is not None:
        to_self = _gone(exchange, dialog_id, gone, session, (_SELF,), children=children)
        exchange.send(session, to_self.replace(id=stanza.get("id")))
    if not occupant.presences:
        for other in exchange.occupancy.sessions(dialog_id):
            exchange.send(other, _gone(exchange, dialog_id, gone, other, children=children))


def leave_all(exchange: Exchange, session: Session, stanza: Element | None = None) -> None:
    """Let a session leave every room; ``stanza`` is its unavailable presence if there is one."""
    for dialog_id in exchange.occupancy.rooms_of(session):
        if not exchange.occupancy.has_joined(dialog_id, session):
            continue  # the answer before this one was too much for the session
        _leave(exchange, session, dialog_id, stanza and stanza.replace(id=None))


def _shown(stanza: Element) -> Element:
    """Return what of a presence the others see."""
    shown = [child for child in stanza.elements() if child.namespace not in (ns.MUC, ns.MUC_USER)]
    return Element("presence", ns.CLIENT, None, *shown)


# --- what REST and the program do -----------------------------------------------------------------------


def refresh(exchange: Exchange, dialog_id: str, actor: int | None) -> None:
    """Show those in a room what was changed over REST, by ``actor``: roles, removals, its end."""
    dialog = exchange.conversations.store.dialog(dialog_id)
    for occupant in exchange.occupancy.occupants(dialog_id):
        if exchange.occupancy.occupant(dialog_id, occupant.user_id) is not occupant:
            continue  # what the others were sent was too much for this one's session
        if dialog is None:
            _destroy(exchange, dialog_id, occupant)
            continue
        now = standing(exchange, dialog, occupant.user_id)
        if not now.is_member:
            by_another = occupant.user_id != actor
            statuses = (_NO_LONGER_MEMBER,) if by_another else ()
            _remove(exchange, dialog_id, occupant, now, statuses, actor if by_another else None)
        elif now != occupant.standing:
            occupant.standing = now
            for session in exchange.occupancy.sessions(dialog_id):
                own = (_SELF,) if session.user_id == occupant.user_id else ()
                exchange.send(session, _of(exchange, dialog_id, occupant, session, statuses=own))


def expel(
    exchange: Exchange,
    dialog: Row,
    user_id: int,
    *,
    actor: int,
    reason: str | None,
    ban: bool,
) -> bool:
    """Put a user out of a room, for good if ``ban``; return whether the user was in it."""
    if ban:
        exchange.occupancy.ban(dialog["id"], user_id)
        exchange.conversations.store.update_dialog(
            dialog["id"], {"id": dialog["id"]}, remove=[user_id]
        )
    occupant = exchange.occupancy.occupant(dialog["id"], user_id)
    if occupant is None:
        return False
    affiliation = "outcast" if ban else occupant.standing.affiliation
    statuses = (_BANNED,) if ban else (_KICKED,)
    after = Standing(affiliation, "none")
    _remove(exchange, dialog["id"], occupant, after, statuses, actor, reason)
    return True


def _remove(
    exchange: Exchange,
    dialog_id: str,
    occupant: Occupant,
    after: Standing,
    statuses: Sequence[int],
    actor: int | None,
    reason: str | None = None,
) -> None:
    """Put a user out of a room; all who were in it are told, and by whom."""
    told = exchange.occupancy.sessions(dialog_id)
    exchange.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, after)
    about: list[Element] = []
    if actor is not None:
        attributes = {"jid": exchange.settings.user_jid(actor), "nick": str(actor)}
        about.append(Element("actor", ns.MUC_USER, attributes))
    if reason is not None:
        about.append(Element("reason", ns.MUC_USER, None, clean_text(reason)))
    for session in told:
        # The JavaScript SDK of 3.x reads the first status alone.
        own = (_SELF,) if session.user_id == occupant.user_id else ()
        found = _gone(exchange, dialog_id, gone, session, (*statuses, *own), about=about)
        exchange.send(session, found)


def _destroy(exchange: Exchange, dialog_id: str, occupant: Occupant) -> None:
    exchange.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, NOBODY)
    for session in occupant.presences:
        found = _gone(exchange, dialog_id, gone, session, (_SELF,), destroyed=True)
        exchange.send(session, found)


# --- the presences a room sends -------------------------------------------------------------------------


def _tell_others(exchange: Exchange, dialog_id: str, occupant: Occupant) -> None:
    for session in exchange.occupancy.sessions(dialog_id):
        if session.user_id != occupant.user_id:
            exchange.send(session, _of(exchange, dialog_id, occupant, session))


def _of(
    exchange: Exchange,
    dialog_id: str,
    occupant: Occupant,
    to: Session,
    *,
    statuses: Iterable[int] = (),
) -> Element:
    """Return the presence that shows an occupant to a session in the room."""
    return Element(
        "presence",
        ns.CLIENT,
        _addresses(exchange, dialog_id, occupant, to),
        *occupant.presence.children,
        _user(occupant, statuses),
    )


def _gone(
    exchange: Exchange,
    dialog_id: str,
    occupant: Occupant,
    to: Session,
    statuses: Iterable[int] = (),
    *,
    about: Iterable[Element] = (),
    children: Iterable[Element | str] = (),
    destroyed: bool = False,
) -> Element:
    """Return the presence that tells a session that an occupant is gone."""
    attributes = {**_addresses(exchange, dialog_id, occupant, to), "type": "unavailable"}
    user = _user(occupant, statuses, about=about, destroyed=destroyed)
    return Element("presence", ns.CLIENT, attributes, *children, user)


def _addresses(
    exchange: Exchange, dialog_id: str, occupant: Occupant, to: Session
) -> dict[str, str | None]:
    room = exchange.settings.room_jid(dialog_id)
    return {"from": f"{room}/{occupant.user_id}", "to": to.jid}


def _user(
    occupant: Occupant,
    statuses: Iterable[int],
    *,
    about: Iterable[Element] = (),
    destroyed: bool = False,
) -> Element:
    standing = occupant.standing
    attributes = {"affiliation": standing.affiliation, "role": standing.role}
    return Element(
        "x",
        ns.MUC_USER,
        None,
        Element("item", ns.MUC_USER, attributes, *about),
        *([Element("destroy", ns.MUC_USER)] if destroyed else []),
        *(Element("status", ns.MUC_USER, {"code": str(code)}) for code in statuses),
    )
