"""ChatServer: passes stanzas of clients, and changes made over REST, to their handlers. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..db.store import Row
from . import from_rest, messages, offline, presence, requests, rooms, subscriptions
from .element import Element
from .hub import Hub
from .session import Session

__all__ = ["ChatServer"]


class ChatServer:
    """The router on top of the hub and of all handlers."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        hub.on_session_ended = self._session_ended

    def handle(self, session: Session, stanza: Element) -> None:
        """Handle a stanza of a client."""
        stanza = stanza.replace(**{"from": session.jid})
        if stanza.name == "message":
            messages.handle(self.hub, session, stanza)
        elif stanza.name == "iq":
            requests.handle(self.hub, session, stanza)
        else:
            presence.handle(self.hub, session, stanza)

    def _session_ended(self, session: Session) -> None:
        """Remove a session from its rooms; messages that it has not acknowledged are delivered again."""
        rooms.leave_all(self.hub, session)
        if session.presence is not None:
            presence.become_unavailable(self.hub, session)
        offline.session_ended(self.hub, session)

    def forget_user(self, user_id: int) -> None:
        """Remove a deleted user from all rooms and rosters, and delete the user's lists and activity."""
        for session in self.hub.sessions(user_id):
            rooms.leave_all(self.hub, session)
        for contact in self.hub.rosters.all(user_id):
            subscriptions.end_all(self.hub, user_id, contact)
            self.hub.rosters.remove(user_id, contact.jid)
        self.hub.store.take_offline(user_id)
        self.hub.privacy.forget_user(user_id)
        self.hub.activity.forget_user(user_id)

    # --- the REST side ------------------------------------------------------------------------------

    def send_to_chat(self, dialog: Row, message: Row, *, markable: bool) -> None:
        """Deliver a message that REST stored. (ChatDelivery.)"""
        from_rest.message(self.hub, dialog, message, markable=markable)

    def show_edit(self, dialog: Row, message: Row, body: str) -> None:
        """Tell the other users that a message has a new body. (ChatDelivery.)"""
        from_rest.edit(self.hub, dialog, message, body)

    def show_deletion(self, dialog: Row, message: Row, user_id: int) -> None:
        """Tell the other users that a user deleted a message for everybody. (ChatDelivery.)"""
        from_rest.deletion(self.hub, dialog, message, user_id)

    def show_reaction(
        self, dialog: Row, message: Row, user_id: int, *, add: str | None, remove: str | None
    ) -> None:
        """Tell all users of the dialog that a user's reaction changed. (ChatDelivery.)"""
        from_rest.reaction(self.hub, dialog, message, user_id, add=add, remove=remove)

    def show_dialog_change(self, dialog_id: str, user_id: int | None) -> None:
        """Tell the occupants of a dialog's room that a user changed the dialog. (ChatDelivery.)"""
        rooms.refresh(self.hub, dialog_id, user_id)

    def send_call_signal(
        self, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
    ) -> None:
        """Deliver a signal of a call. (ChatDelivery.)"""
        from_rest.call_signal(self.hub, sender, recipient, message_id, params)

    def send_system_message(
        self, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
    ) -> None:
        """Deliver a system message. (ChatDelivery.)"""
        from_rest.system_message(self.hub, sender, recipient, message_id, params)

    def expel(
        self, dialog: Row, user_id: int, *, actor: int, reason: str | None, ban: bool
    ) -> bool:
        """Kick or ban a user; return whether the user was in the room."""
        return rooms.expel(self.hub, dialog, user_id, actor=actor, reason=reason, ban=ban)
