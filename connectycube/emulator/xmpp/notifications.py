"""Notifications: the push for a message, to those who are not connected.

(Server documentation: Push notifications API; Chat API, Update notifications settings.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..store import Row

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["notify"]


def notify(
    exchange: Exchange,
    dialog: Row,
    sender: int,
    message_id: str,
    body: str | None,
    custom: dict[str, Any],
) -> None:
    """Record a push for everybody a message is for who is offline and wants pushes from the dialog.

    None if the message has the parameter ``silent``. The payload's form is inferred.
    """
    if str(custom.get("silent")) in ("1", "true", "True"):
        return
    payload = {
        "message": body,
        "message_id": message_id,
        "dialog_id": dialog["id"],
        "user_id": sender,
    }
    muted = exchange.conversations.store.muted_by(dialog["id"])
    for user_id in exchange.conversations.others(dialog, sender):
        if user_id not in muted and not _is_there(exchange, dialog, user_id):
            exchange.pushes.record(user_id, payload, cause="message")


def _is_there(exchange: Exchange, dialog: Row, user_id: int) -> bool:
    """Whether a user has an available connection, or one in the dialog's room."""
    in_room = exchange.occupancy.occupant(dialog["id"], user_id) is not None
    return in_room or bool(exchange.receivers(user_id))
