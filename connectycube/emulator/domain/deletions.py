"""Deletions of dialogs, history and messages: for one user, or with ``force`` for everybody.

(Server documentation: Chat API, Delete dialog, Clear dialog history, Delete message.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..db.store import Row
from .api_error import ApiError
from .conversations import LEAVABLE, PRIVATE, ChatDelivery, Conversations
from .roles import Action, Role, may, require

__all__ = [
    "Outcomes",
    "clear_history",
    "delete_dialog",
    "delete_each",
    "delete_for_all",
    "delete_message",
]

Outcomes = dict[str, dict[str, list[str]]]


def delete_each(ids: Sequence[str], delete: Callable[[str], None]) -> Outcomes:
    """Delete one item after the other, and sort the ids by the outcome."""
    outcomes: Outcomes = {
        name: {"ids": []} for name in ("SuccessfullyDeleted", "NotFound", "WrongPermissions")
    }
    for item_id in dict.fromkeys(ids):
        try:
            delete(item_id)
        except ApiError as refusal:
            outcome = "NotFound" if refusal.status == 404 else "WrongPermissions"
        else:
            outcome = "SuccessfullyDeleted"
        outcomes[outcome]["ids"].append(item_id)
    return outcomes


def delete_dialog(
    conversations: Conversations, user_id: int, dialog_id: str, *, force: bool
) -> None:
    """Delete a dialog.

    Without ``force`` the user leaves a group or public dialog. A private or broadcast dialog is hidden from
    the user until its next message, and its history stays hidden. (Inferred: the documentation only says
    that the dialog is removed for this user.)
    """
    dialog = conversations.dialog(dialog_id)
    if force:
        _require_for_all(conversations, dialog, user_id)
        conversations.store.delete_dialog(dialog_id)
        return
    conversations.dialog_for(user_id, dialog_id)
    if dialog["type"] in LEAVABLE:
        conversations.store.update_dialog(dialog_id, remove=[user_id])
    else:
        conversations.store.remove_messages(user_id, dialog_id)
        conversations.store.set_preference(dialog_id, user_id, "hidden", True)


def clear_history(
    conversations: Conversations, user_id: int, dialog_id: str, *, force: bool
) -> None:
    """Delete every message of a dialog."""
    dialog = conversations.dialog(dialog_id)
    if force:
        _require_for_all(conversations, dialog, user_id)
        conversations.store.delete_messages(dialog_id)
        _unpin(conversations, dialog, None)
    else:
        conversations.dialog_for(user_id, dialog_id)
        conversations.store.remove_messages(user_id, dialog_id)


def _require_for_all(conversations: Conversations, dialog: Row, user_id: int) -> None:
    role = conversations.role(dialog, user_id)
    if dialog["user_id"] == user_id and dialog["type"] != PRIVATE:
        role = (
            Role.OWNER
        )  # an owner that has left the dialog has no role any more, but may delete it
    require(role, Action.DELETE_FOR_ALL, dialog["type"])


def delete_message(
    conversations: Conversations,
    chat: ChatDelivery,
    user_id: int,
    message_id: str,
    *,
    force: bool,
) -> None:
    """Delete a message; with ``force`` the connected users are told."""
    message, dialog = conversations.message_for(user_id, message_id)
    role, kind = conversations.role(dialog, user_id), dialog["type"]
    require(role, Action.DELETE_OWN_MESSAGES, kind)
    if not force:
        conversations.store.remove_messages(user_id, dialog["id"], message_id)
        return
    if message["sender_id"] != user_id and not may(role, Action.DELETE_ANY_MESSAGE, kind):
        raise ApiError(403, f"Message {message_id} is not yours")
    delete_for_all(conversations, dialog, message)
    chat.show_deletion(dialog, message, user_id)


def delete_for_all(conversations: Conversations, dialog: Row, message: Row) -> None:
    """Delete a message for everybody, without a check of permissions."""
    conversations.store.delete_messages(dialog["id"], message["id"])
    _unpin(conversations, dialog, message["id"])


def _unpin(conversations: Conversations, dialog: Row, message_id: str | None) -> None:
    """Unpin a message, or all messages of the dialog."""
    extra: dict[str, Any] = json.loads(dialog["extra"])
    pinned = extra.get("pinned_messages_ids", [])
    kept = (
        [] if message_id is None else [pinned_id for pinned_id in pinned if pinned_id != message_id]
    )
    if kept != pinned:
        extra["pinned_messages_ids"] = kept
        conversations.store.update_dialog(dialog["id"], {"extra": json.dumps(extra)})
