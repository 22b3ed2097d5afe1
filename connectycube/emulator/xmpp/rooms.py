"""Rooms: joining, leaving, roles and removals. Each group, public and broadcast dialog has one room.

Rooms are created over REST, and their members are chosen there. A nick is the id of a user. All resources
of the user share it, and the other users see one occupant. (XEP-0045, as the official SDKs use it.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..db.store import Row
from ..domain.conversations import BROADCAST, PRIVATE
from ..domain.roles import Role
from . import namespaces as ns
from .element import Element, clean_text
from .hub import Hub
from .occupancy import NOBODY, OUTCAST, Occupant, Privileges
from .session import Session
from .stanza import Jid, StanzaError, dialog_of, error_reply

__all__ = ["dialog_at", "expel", "leave_all", "presence", "privileges", "refresh", "require_member"]

_PRIVILEGES = {
    Role.OWNER: Privileges("owner", "moderator"),
    Role.ADMIN: Privileges("admin", "moderator"),
    Role.REGULAR: Privileges("member", "participant"),
    Role.NOBODY: NOBODY,
}
_READER = Privileges("member", "visitor")

_USER_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)

# Status codes of a presence. (XEP-0045, 15.6.)
_SELF, _BANNED, _KICKED, _NO_LONGER_MEMBER = 110, 301, 307, 321
# The official SDKs read the first status of a presence alone. They take 301 for a removal, and no other code.
_REMOVED = (_BANNED, _NO_LONGER_MEMBER)


# --- the room and its members -----------------------------------------------------------------------


def dialog_at(hub: Hub, jid: Jid) -> Row:
    """Return the dialog whose room has this JID; refuse the JID of no room."""
    dialog_id = dialog_of(jid, hub.settings)
    dialog = hub.conversations.store.dialog(dialog_id) if dialog_id is not None else None
    if dialog is None or dialog["type"] == PRIVATE:
        raise StanzaError("item-not-found", f"There is no room {jid.bare}")
    return dialog


def privileges(hub: Hub, dialog: Row, user_id: int) -> Privileges:
    """Return the privileges of a user in a dialog's room, by the role in the dialog."""
    if hub.occupancy.is_banned(dialog["id"], user_id):
        return OUTCAST
    role = hub.conversations.role(dialog, user_id)
    is_reader = dialog["type"] == BROADCAST and role is Role.REGULAR
    return _READER if is_reader else _PRIVILEGES[role]


def require_member(hub: Hub, dialog: Row, user_id: int) -> Privileges:
    """Return the privileges of a user in a room; refuse a user that is not a member."""
    found = privileges(hub, dialog, user_id)
    if not found.is_member:
        raise StanzaError("forbidden", _not_an_occupant(dialog, user_id))
    return found


def _not_an_occupant(dialog: Row, user_id: int) -> str:
    return f"User {user_id} is not an occupant of dialog {dialog['id']}"


# --- presence of a client -----------------------------------------------------------------------------


def presence(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a presence to the rooms' domain: join a room, change the presence in it, or leave it."""
    try:
        _presence(hub, session, stanza, jid)
    except StanzaError as refused:
        # The JavaScript SDK identifies an error of a room by this element.
        error = error_reply(stanza, refused.condition, refused.text)
        marked = error.replace(Element("x", ns.MUC), *error.children)
        hub.reply(session, marked)


def _presence(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    dialog = dialog_at(hub, jid)
    kind = stanza.get("type")
    if kind not in (None, "unavailable"):
        raise StanzaError("bad-request", f"A presence of type {kind} is nothing for a room")
    joined = hub.occupancy.has_joined(dialog["id"], session)
    if kind == "unavailable" and joined:
        _leave(hub, session, dialog["id"], stanza)
    elif stanza.child("x", ns.MUC) is not None and kind is None:
        _join(hub, session, stanza, dialog, jid.resource)
    elif joined:
        _check_nick(hub, session, jid.resource)
        _change(hub, session, stanza, dialog["id"])
    else:
        text = f"You are not in this room; a join has <x xmlns='{ns.MUC}'/>"
        raise StanzaError("not-acceptable", text)


def _check_nick(hub: Hub, session: Session, nick: str | None) -> None:
    """Refuse every nick but the user's own id."""
    own = str(session.user_id)
    if nick is None:
        raise StanzaError("jid-malformed", f"A nick is missing; yours is {own}")
    if nick == own:
        return
    if _USER_ID.fullmatch(nick) and hub.store.user(int(nick)) is not None:
        raise StanzaError("conflict", f"The nick {nick} is that of another user; yours is {own}")
    raise StanzaError("not-acceptable", f"Nicks are user ids here; yours is {own}")


def _join(hub: Hub, session: Session, stanza: Element, dialog: Row, nick: str | None) -> None:
    _check_nick(hub, session, nick)
    found = privileges(hub, dialog, session.user_id)
    if found == OUTCAST:
        raise StanzaError("forbidden", f"User {session.user_id} is banned from this room")
    if not found.is_member:
        raise StanzaError("registration-required", _not_an_occupant(dialog, session.user_id))
    dialog_id, occupancy = dialog["id"], hub.occupancy
    is_new = occupancy.occupant(dialog_id, session.user_id) is None
    occupant = occupancy.enter(dialog_id, session, found, _shown(stanza))
    if is_new:
        # The others learn of the join first. The presences below may overflow the session, and they learn
        # of its end after that.
        _tell_others(hub, dialog_id, occupant)
    for other in occupancy.occupants(dialog_id):
        if other is not occupant:
            hub.send(session, _presence_of(hub, dialog_id, other, session))
    to_self = _presence_of(hub, dialog_id, occupant, session, statuses=(_SELF,))
    hub.send(session, to_self.replace(id=stanza.get("id")))
    if hub.settings.room_subject:
        _send_subject(hub, session, dialog_id)


def _send_subject(hub: Hub, session: Session, dialog_id: str) -> None:
    attributes = {
        "from": hub.settings.room_jid(dialog_id),
        "to": session.jid,
        "type": "groupchat",
    }
    hub.send(session, Element("message", ns.CLIENT, attributes, Element("subject", ns.CLIENT)))


def _change(hub: Hub, session: Session, stanza: Element, dialog_id: str) -> None:
    occupant = hub.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    occupant = hub.occupancy.enter(dialog_id, session, occupant.privileges, _shown(stanza))
    _tell_others(hub, dialog_id, occupant)
    to_self = _presence_of(hub, dialog_id, occupant, session, statuses=(_SELF,))
    hub.send(session, to_self.replace(id=stanza.get("id")))


def _leave(hub: Hub, session: Session, dialog_id: str, stanza: Element | None) -> None:
    """Remove a session; answer its request, and tell the others when it was the user's last session."""
    occupant = hub.occupancy.occupant(dialog_id, session.user_id)
    assert occupant is not None
    # Before anything is sent: a stanza may overflow this session, whose end must not leave the room again.
    hub.occupancy.leave(dialog_id, session)
    gone = Occupant(occupant.user_id, Privileges(occupant.privileges.affiliation, "none"))
    children = _shown(stanza).children if stanza is not None else ()
    if stanza is not None:
        to_self = _departure(hub, dialog_id, gone, session, (_SELF,), children=children)
        hub.send(session, to_self.replace(id=stanza.get("id")))
    if not occupant.presences:
        for other in hub.occupancy.sessions(dialog_id):
            hub.send(other, _departure(hub, dialog_id, gone, other, children=children))


def leave_all(hub: Hub, session: Session, stanza: Element | None = None) -> None:
    """Remove a session from every room; ``stanza`` is its unavailable presence, if it has sent one."""
    # The rooms' answers have no id, because the presence was not sent to any of them.
    request = None if stanza is None else stanza.replace(id=None)
    for dialog_id in hub.occupancy.rooms_of(session):
        if not hub.occupancy.has_joined(dialog_id, session):
            continue  # the answer of another room has overflowed the session
        _leave(hub, session, dialog_id, request)


def _shown(stanza: Element) -> Element:
    """Return a presence as the others see it, without elements of XEP-0045."""
    shown = [child for child in stanza.elements() if child.namespace not in (ns.MUC, ns.MUC_USER)]
    return Element("presence", ns.CLIENT, None, *shown)


# --- changes by REST and by program -----------------------------------------------------------------------


def refresh(hub: Hub, dialog_id: str, actor: int | None) -> None:
    """Tell the occupants of a room what ``actor`` changed over REST: roles, removals, or the room's end."""
    dialog = hub.conversations.store.dialog(dialog_id)
    for occupant in hub.occupancy.occupants(dialog_id):
        # A presence sent to an occupant may overflow the session, which ends and leaves the room.
        if hub.occupancy.occupant(dialog_id, occupant.user_id) is not occupant:
            continue
        if dialog is None:
            _destroy(hub, dialog_id, occupant)
        else:
            _refresh_occupant(hub, dialog, occupant, actor)


def _refresh_occupant(hub: Hub, dialog: Row, occupant: Occupant, actor: int | None) -> None:
    now = privileges(hub, dialog, occupant.user_id)
    if now == occupant.privileges:
        return
    if now.is_member:
        occupant.privileges = now
        _tell_all(hub, dialog["id"], occupant)
    elif occupant.user_id == actor:  # the user left the dialog: no status code, no actor
        _remove(hub, dialog["id"], occupant, now, (), None)
    else:
        _remove(
            hub, dialog["id"], occupant, now, (_NO_LONGER_MEMBER,), actor, own_statuses=_REMOVED
        )


def expel(
    hub: Hub,
    dialog: Row,
    user_id: int,
    *,
    actor: int,
    reason: str | None,
    ban: bool,
) -> bool:
    """Kick or ban a user; return whether the user was in the room."""
    if ban:
        hub.occupancy.ban(dialog["id"], user_id)
        hub.conversations.store.update_dialog(dialog["id"], remove=[user_id])
    occupant = hub.occupancy.occupant(dialog["id"], user_id)
    if occupant is None:
        return False
    affiliation = "outcast" if ban else occupant.privileges.affiliation
    statuses = (_BANNED,) if ban else (_KICKED,)
    after = Privileges(affiliation, "none")
    _remove(hub, dialog["id"], occupant, after, statuses, actor, reason)
    return True


def _remove(
    hub: Hub,
    dialog_id: str,
    occupant: Occupant,
    after: Privileges,
    statuses: Sequence[int],
    actor: int | None,
    reason: str | None = None,
    own_statuses: Sequence[int] = (),
) -> None:
    """Remove a user from a room, and tell all sessions that were in it, with the actor and the reason."""
    # Taken before the removal: the removed user is told, too.
    told = hub.occupancy.sessions(dialog_id)
    hub.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, after)
    about: list[Element] = []
    if actor is not None:
        attributes = {"jid": hub.settings.user_jid(actor), "nick": str(actor)}
        about.append(Element("actor", ns.MUC_USER, attributes))
    if reason is not None:
        about.append(Element("reason", ns.MUC_USER, None, clean_text(reason)))
    for session in told:
        is_own = session.user_id == occupant.user_id
        shown = (*(own_statuses or statuses), _SELF) if is_own else statuses
        hub.send(session, _departure(hub, dialog_id, gone, session, shown, about=about))


def _destroy(hub: Hub, dialog_id: str, occupant: Occupant) -> None:
    # Removed first: a presence may overflow its session, whose end must not change the room again.
    hub.occupancy.remove(dialog_id, occupant.user_id)
    gone = Occupant(occupant.user_id, NOBODY)
    for session in occupant.presences:
        found = _departure(hub, dialog_id, gone, session, (_SELF,), destroyed=True)
        hub.send(session, found)


# --- the presences of a room ----------------------------------------------------------------------------


def _tell_others(hub: Hub, dialog_id: str, occupant: Occupant) -> None:
    for session in hub.occupancy.sessions(dialog_id):
        if session.user_id != occupant.user_id:
            hub.send(session, _presence_of(hub, dialog_id, occupant, session))


def _tell_all(hub: Hub, dialog_id: str, occupant: Occupant) -> None:
    for session in hub.occupancy.sessions(dialog_id):
        own = (_SELF,) if session.user_id == occupant.user_id else ()
        hub.send(session, _presence_of(hub, dialog_id, occupant, session, statuses=own))


def _presence_of(
    hub: Hub,
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
        _addresses(hub, dialog_id, occupant, to),
        *occupant.presence.children,
        _muc_user(occupant, statuses),
    )


def _departure(
    hub: Hub,
    dialog_id: str,
    occupant: Occupant,
    to: Session,
    statuses: Iterable[int] = (),
    *,
    about: Iterable[Element] = (),
    children: Iterable[Element | str] = (),
    destroyed: bool = False,
) -> Element:
    """Return the unavailable presence that tells a session that an occupant has left."""
    attributes = {**_addresses(hub, dialog_id, occupant, to), "type": "unavailable"}
    user = _muc_user(occupant, statuses, about=about, destroyed=destroyed)
    return Element("presence", ns.CLIENT, attributes, *children, user)


def _addresses(hub: Hub, dialog_id: str, occupant: Occupant, to: Session) -> dict[str, str | None]:
    room = hub.settings.room_jid(dialog_id)
    return {"from": f"{room}/{occupant.user_id}", "to": to.jid}


def _muc_user(
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
