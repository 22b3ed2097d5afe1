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
from .occupancy import NOBODY, OUTCAST, Occupant, Privileges
from .session import Session
from .stanza import Jid, StanzaError, dialog_of, error_reply

if TYPE_CHECKING:
    from .server import ChatServer

__all__ = ["dialog_at", "expel", "leave_all", "presence", "privileges", "refresh", "require_member"]

_STANDINGS = {
    Role.OWNER: Privileges("owner", "moderator"),
    Role.ADMIN: Privileges("admin", "moderator"),
    Role.REGULAR: Privileges("member", "participant"),
    Role.NOBODY: NOBODY,
}
_READER = Privileges("member", "visitor")

_USER_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)

# Status codes of a presence. (XEP-0045, 15.6.)
_SELF, _BANNED, _KICKED, _NO_LONGER_MEMBER = 110, 301, 307, 321


# --- what a room is, and who one is in it -----------------------------------------------------------


def dialog_at(server: ChatServer, jid: Jid) -> Row:
    """Return the dialog whose room a JID names; refuse what has no room."""
    dialog_id = dialog_of(jid, server.settings)
    dialog = server.conversations.store.dialog(dialog_id) if dialog_id is not None else None
    if dialog is None or dialog["type"] == PRIVATE:
        raise StanzaError("item-not-found", f"There is no room {jid.bare}")
    return dialog


def privileges(server: ChatServer, dialog: Row, user_id: int) -> Privileges:
    """Return what a user is in a dialog's room, by the role in the dialog."""
    if server.occupancy.is_banned(dialog["id"], user_id):
        return OUTCAST
    role = server.conversations.role(dialog, user_id)
    is_reader = dialog["type"] == BROADCAST and role is Role.REGULAR
    return _READER if is_reader else _STANDINGS[role]


def require_member(server: ChatServer, dialog: Row, user_id: int) -> Privileges:
    """Return what a user is in a room; refuse those who may not see it."""
    found = privileges(server, dialog, user_id)
    if not found.is_member:
        raise StanzaError("forbidden", _stranger(dialog, user_id))
    return found


def _stranger(dialog: Row, user_id: int) -> str:
    return f"User {user_id} is not an occupant of dialog {dialog['id']}"


# --- presence of a client -----------------------------------------------------------------------------


def presence(server: ChatServer, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a presence to the rooms' domain: join, change or leave."""
    try:
        _presence(server, session, stanza, jid)
    except StanzaError as refused:
        # The JavaScript SDK knows an error of a room by this element.
        error = error_reply(stanza, refused.condition, refused.text)
        marked = error.replace(Element("x", ns.MUC), *error.children)
        server.reply(session, marked)


def _presence(server: ChatServer, session: Session, stanza: Element, jid: Jid) -> None:
    dialog = dialog_at(server, jid)
    kind = stanza.get("type")
    if kind not in (None, "unavailable"):
        raise StanzaError("bad-request", f"A presence of type {kind} is nothing for a room")
    joined = server.occupancy.has_joined(dialog["id"], session)
    if kind == "unavailable" and joined:
        _leave(server, session, dialog["id"], stanza)
    elif stanza.child("x", ns.MUC) is not None and kind is None:
        _join(server, session, stanza, dialog, jid.resource)
    elif joined:
        _check_nick(server, session, jid.resource)
        _change(server, session, stanza, dialog["id"])
    else:
        text = f"You are not in this room; who joins it sends <x xmlns='{ns.MUC}'/>"
        raise StanzaError("not-acceptable", text)


def _check_nick(server: ChatServer, session: Session, nick: str | None) -> None:
    """Refuse another nick than one's own id; the id of somebody else is somebody else's nick."""
    own = str(session.user_id)
    if nick is None:
        raise StanzaError("jid-malformed", f"A nick is missing; yours is {own}")
    if nick == own:
        return
    if _USER_ID.fullmatch(nick) and server.store.user(int(nick)) is not None:
        raise StanzaError("conflict", f"The nick {nick} is that of another user; yours is {own}")
    raise StanzaError("not-acceptable", f"Nicks are user ids here; yours is {own}")


def _join(
    server: ChatServer, session: Session, stanza: Element, dialog: Row, nick: str | None
) -> None:
    _check_nick(server, session, nick)
    found = privileges(server, dialog, session.user_id)
    if found == OUTCAST:
        raise StanzaError("forbidden", f"User {session.user_id} is banned from this room")
    if not found.is_member:
        raise StanzaError("registration-required", _stranger(dialog, session.user_id))
    dialog_id, occupancy = dialog["id"], server.occupancy
    is_new = occupancy.occupant(dialog_id, session.user_id) is None
    occupant = occupancy.enter(dialog_id, session, found, _shown(stanza))
    if is_new:
        # first of all: should what follows be too much for the session, they learn of its end after this
        _tell_others(server, dialog_id, occupant)
    for other in occupancy.occupants(dialog_id):
        if other is not occupant:
            server.send(session, _of(server, dialog_id, other, session))
    to_self = _of(server, dialog_id, occupant, session, statuses=(_SELF,))
    server.send(session, to_self.replace(id=stanza.get("id")))
    if server.settings.room_subject:
        _send_subject(server, session, dialog_id)


def _send_subject(server: ChatServer, session: Session, dialog_id: str) -> None:
    attributes = {
        "from": server.settings.room_jid(dialog_id),
        "to": session.jid,
        "type": "groupchat",
    }
    server.send(session, Element("message", ns.CLIENT, attributes, Element("subject", ns.CLIENT)))


def _change(server: ChatServer, session: Session, stanza: Element, dialog_id: str) -> None:
    occupant = server.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    occupant = server.occupancy.enter(dialog_id, session, occupant.privileges, _shown(stanza))
    _tell_others(server, dialog_id, occupant)
    to_self = _of(server, dialog_id, occupant, session, statuses=(_SELF,))
    server.send(session, to_self.replace(id=stanza.get("id")))


def _leave(server: ChatServer, session: Session, dialog_id: str, stanza: Element | None) -> None:
    """Let a session leave; it is told when it asked, the others when it was its user's last."""
    occupant = server.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    server.occupancy.leave(dialog_id, session)
    gone = Occupant(occupant.user_id, Privileges(occupant.privileges.affiliation, "none"))
    children = _shown(stanza).children if stanza is not None else ()
    if stanza is not None:
        to_self = _gone(server, dialog_id, gone, session, (_SELF,), children=children)
        server.send(session, to_self.replace(id=stanza.get("id")))
    if not occupant.presences:
        for other in server.occupancy.sessions(dialog_id):
            server.send(other, _gone(server, dialog_id, gone, other, children=children))


def leave_all(server: ChatServer, session: Session, stanza: Element | None = None) -> None:
    """Let a session leave every room; ``stanza`` is its unavailable presence if there is one."""
    for dialog_id in server.occupancy.rooms_of(session):
        if not server.occupancy.has_joined(dialog_id, session):
            continue  # the answer before this one was too much for the session
        _leave(server, session, dialog_id, stanza and stanza.replace(id=None))


def _shown(stanza: Element) -> Element:
    """Return what of a presence the others see."""
    shown = [child for child in stanza.elements() if child.namespace not in (ns.MUC, ns.MUC_USER)]
    return Element("presence", ns.CLIENT, None, *shown)


# --- what REST and the program do -----------------------------------------------------------------------


def refresh(server: ChatServer, dialog_id: str, actor: int | None) -> None:
    """Show those in a room what was changed over REST, by ``actor``: roles, removals, its end."""
    dialog = server.conversations.store.dialog(dialog_id)
    for occupant in server.occupancy.occupants(dialog_id):
        if server.occupancy.occupant(dialog_id, occupant.user_id) is not occupant:
            continue  # what the others were sent was too much for this one's session
        if dialog is None:
            _destroy(server, dialog_id, occupant)
            continue
        now = privileges(server, dialog, occupant.user_id)
        if not now.is_member:
            by_another = occupant.user_id != actor
            statuses = (_NO_LONGER_MEMBER,) if by_another else ()
            _remove(server, dialog_id, occupant, now, statuses, actor if by_another else None)
        elif now != occupant.privileges:
            occupant.privileges = now
            for session in server.occupancy.sessions(dialog_id):
                own = (_SELF,) if session.user_id == occupant.user_id else ()
                server.send(session, _of(server, dialog_id, occupant, session, statuses=own))


def expel(
    server: ChatServer,
    dialog: Row,
    user_id: int,
    *,
    actor: int,
    reason: str | None,
    ban: bool,
) -> bool:
    """Put a user out of a room, for good if ``ban``; return whether the user was in it."""
    if ban:
        server.occupancy.ban(dialog["id"], user_id)
        server.conversations.store.update_dialog(
            dialog["id"], {"id": dialog["id"]}, remove=[user_id]
        )
    occupant = server.occupancy.occupant(dialog["id"], user_id)
    if occupant is None:
        return False
    affiliation = "outcast" if ban else occupant.privileges.affiliation
    statuses = (_BANNED,) if ban else (_KICKED,)
    after = Privileges(affiliation, "none")
    _remove(server, dialog["id"], occupant, after, statuses, actor, reason)
    return True


def _remove(
    server: ChatServer,
    dialog_id: str,
    occupant: Occupant,
    after: Privileges,
    statuses: Sequence[int],
    actor: int | None,
    reason: str | None = None,
) -> None:
    """Put a user out of a room; all who were in it are told, and by whom."""
    told = server.occupancy.sessions(dialog_id)
    server.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, after)
    about: list[Element] = []
    if actor is not None:
        attributes = {"jid": server.settings.user_jid(actor), "nick": str(actor)}
        about.append(Element("actor", ns.MUC_USER, attributes))
    if reason is not None:
        about.append(Element("reason", ns.MUC_USER, None, clean_text(reason)))
    for session in told:
        # The JavaScript SDK of 3.x reads the first status alone.
        own = (_SELF,) if session.user_id == occupant.user_id else ()
        found = _gone(server, dialog_id, gone, session, (*statuses, *own), about=about)
        server.send(session, found)


def _destroy(server: ChatServer, dialog_id: str, occupant: Occupant) -> None:
    server.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, NOBODY)
    for session in occupant.presences:
        found = _gone(server, dialog_id, gone, session, (_SELF,), destroyed=True)
        server.send(session, found)


# --- the presences a room sends -------------------------------------------------------------------------


def _tell_others(server: ChatServer, dialog_id: str, occupant: Occupant) -> None:
    for session in server.occupancy.sessions(dialog_id):
        if session.user_id != occupant.user_id:
            server.send(session, _of(server, dialog_id, occupant, session))


def _of(
    server: ChatServer,
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
        _addresses(server, dialog_id, occupant, to),
        *occupant.presence.children,
        _user(occupant, statuses),
    )


def _gone(
    server: ChatServer,
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
    attributes = {**_addresses(server, dialog_id, occupant, to), "type": "unavailable"}
    user = _user(occupant, statuses, about=about, destroyed=destroyed)
    return Element("presence", ns.CLIENT, attributes, *children, user)


def _addresses(
    server: ChatServer, dialog_id: str, occupant: Occupant, to: Session
) -> dict[str, str | None]:
    room = server.settings.room_jid(dialog_id)
    return {"from": f"{room}/{occupant.user_id}", "to": to.jid}


def _user(
    occupant: Occupant,
    statuses: Iterable[int],
    *,
    about: Iterable[Element] = (),
    destroyed: bool = False,
) -> Element:
    privileges = occupant.privileges
    attributes = {"affiliation": privileges.affiliation, "role": privileges.role}
    return Element(
        "x",
        ns.MUC_USER,
        None,
        Element("item", ns.MUC_USER, attributes, *about),
        *([Element("destroy", ns.MUC_USER)] if destroyed else []),
        *(Element("status", ns.MUC_USER, {"code": str(code)}) for code in statuses),
    )
