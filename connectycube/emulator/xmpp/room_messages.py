"""Messages in rooms: the permission to send, and the sessions that receive.

A message reaches every available resource of all users of the dialog, whether they have joined the room or
not, as on the hosted service. With ``join_required`` only joined sessions send and receive. (XEP-0045, 7.4;
Server documentation: Real-time API.)
"""

from __future__ import annotations

from ..db.store import Row
from ..domain.conversations import BROADCAST
from ..domain.roles import Action, may
from .content import process
from .element import Element
from .hub import Hub
from .rooms import dialog_at, require_member
from .session import Session
from .stanza import Jid, StanzaError

__all__ = ["handle", "reached", "send"]


def handle(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a client's message to the rooms' domain; raise StanzaError if it must not be sent."""
    if stanza.get("type") == "error":
        return
    dialog = dialog_at(hub, jid)
    _check_form(stanza, jid)
    _check_sender(hub, session, dialog)
    processed = process(hub, session, stanza, lambda create: dialog)
    if processed is not None:
        send(hub, dialog, session.user_id, processed, source=session)


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


def _check_sender(hub: Hub, session: Session, dialog: Row) -> None:
    require_member(hub, dialog, session.user_id)
    role = hub.conversations.role(dialog, session.user_id)
    if not may(role, Action.WRITE, dialog["type"]):
        raise StanzaError("forbidden", "Only its owner and admins write in a broadcast dialog")
    if not hub.settings.join_required:
        return
    if not hub.occupancy.has_joined(dialog["id"], session):
        raise StanzaError("not-acceptable", "Join the room before you write in it")


def send(
    hub: Hub,
    dialog: Row,
    sender: int,
    stanza: Element,
    *,
    source: Session | None = None,
) -> None:
    """Send a message to a room, from the nick of its sender; ``source`` is the session that sent it."""
    nick = f"{hub.settings.room_jid(dialog['id'])}/{sender}"
    for session in reached(hub, dialog):
        if session is source and not hub.settings.room_echo:
            continue
        user_id = session.user_id
        if user_id == sender or hub.privacy.allows(user_id, nick, "message", session):
            hub.send(session, stanza.replace(**{"from": nick, "to": session.jid}))


def reached(hub: Hub, dialog: Row) -> list[Session]:
    """Return the sessions that a message in a dialog's room reaches."""
    joined = hub.occupancy.sessions(dialog["id"])
    if hub.settings.join_required:
        return joined
    if dialog["type"] == BROADCAST:
        available = [session for session in hub.sessions() if session.receives_messages]
    else:
        members = hub.conversations.members(dialog)
        available = [session for member in members for session in hub.receivers(member)]
    is_banned = hub.occupancy.is_banned
    return [
        session
        for session in dict.fromkeys([*joined, *available])  # each session once
        if not is_banned(dialog["id"], session.user_id)
    ]
