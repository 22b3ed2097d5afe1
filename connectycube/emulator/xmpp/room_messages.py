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
from .content import process
from .element import Element
from .rooms import dialog_at, require_member
from .session import Session
from .stanza import Jid, StanzaError

if TYPE_CHECKING:
    from .server import ChatServer

__all__ = ["handle", "reached", "send"]


def handle(server: ChatServer, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a client's message to the rooms' domain; raise StanzaError if it must not be sent."""
    if stanza.get("type") == "error":
        return
    dialog = dialog_at(server, jid)
    _check_form(stanza, jid)
    _check_sender(server, session, dialog)
    processed = process(server, session, stanza, lambda: dialog)
    if processed is not None:
        send(server, dialog, session.user_id, processed, source=session)


def _check_form(stanza: Element, jid: Jid) -> None:
    kind = stanza.get("type") or "normal"
    if jid.resource is not None and kind == "groupchat":
        raise StanzaError(
            "bad-request", f"Group chat goes to the room, {jid.bare}, not to an occupant"
        )
    if jid.resource is not None:
        text = "Messages to an occupant are not implemented: write to the user's own JID"
        raise StanzaError("feature-not-implemented", text)
    if kind != "groupchat":
        raise StanzaError("bad-request", f"A message to a room is of type groupchat, not {kind}")
    if stanza.child("subject") is not None and stanza.child("body") is None:
        raise StanzaError(
            "forbidden", "A room's subject cannot be changed; dialogs have a description"
        )


def _check_sender(server: ChatServer, session: Session, dialog: Row) -> None:
    require_member(server, dialog, session.user_id)
    role = server.conversations.role(dialog, session.user_id)
    if not may(role, Action.WRITE, dialog["type"]):
        raise StanzaError("forbidden", "Only its owner and admins write in a broadcast dialog")
    if not server.settings.join_required:
        return
    if not server.occupancy.has_joined(dialog["id"], session):
        raise StanzaError("not-acceptable", "Join the room before you write in it")


def send(
    server: ChatServer,
    dialog: Row,
    sender: int,
    stanza: Element,
    *,
    source: Session | None = None,
) -> None:
    """Send a message to everybody in a room, from its sender's nick; ``source`` is where it came from."""
    nick = f"{server.settings.room_jid(dialog['id'])}/{sender}"
    for session in reached(server, dialog):
        if session is source and not server.settings.room_echo:
            continue
        user_id = session.user_id
        if user_id == sender or server.privacy.allows(user_id, nick, "message", session):
            server.send(session, stanza.replace(**{"from": nick, "to": session.jid}))


def reached(server: ChatServer, dialog: Row) -> list[Session]:
    """Return the sessions that a message in a dialog's room reaches."""
    joined = server.occupancy.sessions(dialog["id"])
    if server.settings.join_required:
        return joined
    if dialog["type"] == BROADCAST:
        available = [session for session in server.sessions() if session.receives_messages]
    else:
        members = server.conversations.members(dialog)
        available = [session for member in members for session in server.receivers(member)]
    is_banned = server.occupancy.is_banned
    return [
        session
        for session in dict.fromkeys([*joined, *available])
        if not is_banned(dialog["id"], session.user_id)
    ]
