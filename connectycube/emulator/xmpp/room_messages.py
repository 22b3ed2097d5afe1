"""Messages in rooms: who may send them, what becomes of them, and whom they reach.

A message goes to every available resource of everybody in the dialog, joined or not, as on the hosted
service; with ``join_required`` only those who have joined send and receive. (XEP-0045, 7.4; Server
documentation: Real-time API.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..conversations import BROADCAST
from ..roles import Action, may
from ..store import Row
from .content import treat
from .element import Element
from .rooms import dialog_at, require_member
from .session import Session
from .stanza import Jid, Refused

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["handle", "reached", "send"]


def handle(exchange: Exchange, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a client's message to the rooms' domain; raise Refused if it must not be sent."""
    if stanza.get("type") == "error":
        return
    dialog = dialog_at(exchange, jid)
    _check_form(stanza, jid)
    _check_sender(exchange, session, dialog)
    treated = treat(exchange, session, stanza, lambda: dialog)
    if treated is not None:
        send(exchange, dialog, session.user_id, treated, source=session)


def _check_form(stanza: Element, jid: Jid) -> None:
    kind = stanza.get("type") or "normal"
    if jid.resource is not None and kind == "groupchat":
        raise Refused("bad-request", f"Group chat goes to the room, {jid.bare}, not to an occupant")
    if jid.resource is not None:
        text = "Messages to an occupant are not implemented: write to the user's own JID"
        raise Refused("feature-not-implemented", text)
    if kind != "groupchat":
        raise Refused("bad-request", f"A message to a room is of type groupchat, not {kind}")
    if stanza.child("subject") is not None and stanza.child("body") is None:
        raise Refused("forbidden", "A room's subject cannot be changed; dialogs have a description")


def _check_sender(exchange: Exchange, session: Session, dialog: Row) -> None:
    require_member(exchange, dialog, session.user_id)
    role = exchange.conversations.role(dialog, session.user_id)
    if not may(role, Action.WRITE, dialog["type"]):
        raise Refused("forbidden", "Only its owner and admins write in a broadcast dialog")
    if not exchange.settings.join_required:
        return
    if not exchange.occupancy.has_joined(dialog["id"], session):
        raise Refused("not-acceptable", "Join the room before you write in it")


def send(
    exchange: Exchange,
    dialog: Row,
    sender: int,
    stanza: Element,
    *,
    source: Session | None = None,
) -> None:
    """Send a message to everybody in a room, from its sender's nick; ``source`` is where it came from."""
    nick = f"{exchange.settings.room_jid(dialog['id'])}/{sender}"
    for session in reached(exchange, dialog):
        if session is source and not exchange.settings.room_echo:
            continue
        user_id = session.user_id
        if user_id == sender or exchange.privacy.allows(user_id, nick, "message", session):
            exchange.send(session, stanza.replace(**{"from": nick, "to": session.jid}))


def reached(exchange: Exchange, dialog: Row) -> list[Session]:
    """Return the sessions that a message in a dialog's room reaches."""
    joined = exchange.occupancy.sessions(dialog["id"])
    if exchange.settings.join_required:
        return joined
    if dialog["type"] == BROADCAST:
        available = [session for session in exchange.sessions() if session.receives_messages]
    else:
        members = exchange.conversations.members(dialog)
        available = [session for member in members for session in exchange.receivers(member)]
    is_banned = exchange.occupancy.is_banned
    return [
        session
        for session in dict.fromkeys([*joined, *available])
        if not is_banned(dialog["id"], session.user_id)
    ]
