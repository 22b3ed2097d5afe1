"""Notifications: the push for a message, to users who are offline or inactive.

(Server documentation: Push notifications API; Chat API, Update notifications settings.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..db.store import Row
from ..domain.conversations import PRIVATE
from ..domain.values import flag
from .hub import Hub
from .session import Session

__all__ = ["notify"]


def notify(
    hub: Hub,
    dialog: Row,
    sender: int,
    message_id: str,
    body: str | None,
    params: Mapping[str, Any],
) -> None:
    """Record a push of a message to its recipients.

    A recipient gets a push when no client is connected, or all connected clients are inactive. There is no
    push to a user who has turned off the notifications of the dialog, is banned from it or has blocked the
    sender, and none if the message has the parameter ``silent``. The form of the payload is inferred.
    """
    if flag(params.get("silent")):
        return
    payload = {
        "message": body,
        "message_id": message_id,
        "dialog_id": dialog["id"],
        "user_id": sender,
    }
    settings = hub.settings
    jid = settings.user_jid(sender)
    if dialog["type"] != PRIVATE:
        jid = f"{settings.room_jid(dialog['id'])}/{sender}"
    muted = hub.conversations.store.muted_by(dialog["id"])
    for user_id in hub.conversations.others(dialog, sender):
        connected = _connected(hub, dialog, user_id)
        if user_id in muted or any(not session.inactive for session in connected):
            continue
        if hub.occupancy.is_banned(dialog["id"], user_id):
            continue
        if hub.privacy.admits(user_id, jid, "message", connected):
            hub.pushes.record(user_id, payload, cause="message")


def _connected(hub: Hub, dialog: Row, user_id: int) -> list[Session]:
    """Return a user's available sessions and those in the dialog's room."""
    occupant = hub.occupancy.occupant(dialog["id"], user_id)
    return [*hub.receivers(user_id), *(() if occupant is None else occupant.presences)]
