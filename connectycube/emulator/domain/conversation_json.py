"""Conversation JSON: dialogs and messages as the service writes them for one of their users.

(Server documentation: Chat API, Chat dialog model and Message model.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..db.conversation_store import ConversationStore
from ..db.store import Row, Store
from ..settings import Settings
from .roles import BROADCAST, PRIVATE, PUBLIC
from .times import iso_time

__all__ = ["ConversationJson"]

_NOBODY = 0
"""The id of no user."""
VIEWED = frozenset((BROADCAST, PUBLIC))
"""The types of dialog whose messages have a number of views in place of receipts."""


class ConversationJson:
    """Writes rows of the store as JSON values."""

    def __init__(self, conversations: ConversationStore, store: Store, settings: Settings) -> None:
        self._conversations = conversations
        self._store = store
        self._settings = settings

    def dialogs(self, rows: Sequence[Row], user_id: int) -> list[dict[str, Any]]:
        """Write dialogs for one user."""
        only = rows[0]["id"] if len(rows) == 1 else None
        unread = self._conversations.unread_counts(user_id, only)
        return [self._dialog(row, user_id, unread.get(row["id"], 0)) for row in rows]

    def _dialog(self, row: Row, user_id: int, unread: int) -> dict[str, Any]:
        store, dialog_id = self._conversations, row["id"]
        private, viewed = row["type"] == PRIVATE, row["type"] in VIEWED
        # A public dialog can have too many occupants to read them for each item of a list.
        ids = [] if viewed else [entry["user_id"] for entry in store.occupants(dialog_id)]
        count = (
            {"occupants_count": store.count_occupants(dialog_id)} if row["type"] == PUBLIC else {}
        )
        extra = json.loads(row["extra"])
        return {
            "_id": row["id"],
            "type": row["type"],
            "user_id": row["user_id"],
            "name": self._private_name(ids, user_id) if private else row["name"],
            "description": row["description"],
            "photo": row["photo"],
            "occupants_ids": ids,
            **count,
            "admins_ids": store.admins(dialog_id),
            "pinned_messages_ids": extra.get("pinned_messages_ids", []),
            "xmpp_room_jid": None if private else self._settings.room_jid(row["id"]),
            "last_message": row["last_message"],
            "last_message_id": row["last_message_id"],
            "last_message_user_id": row["last_message_user_id"],
            "last_message_date_sent": row["last_message_date_sent"],
            "last_message_status": self._last_status(row, user_id),
            "unread_messages_count": None if viewed else unread,
            "extensions": extra.get("extensions"),
            "permissions": extra.get("permissions"),
            **({"data": extra["data"]} if extra.get("data") else {}),
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["updated_at"]),
        }

    def administration_dialogs(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Write dialogs for the Administration API, for no user of theirs."""
        return [self._administration_dialog(row) for row in rows]

    def _administration_dialog(self, row: Row) -> dict[str, Any]:
        store, extra = self._conversations, json.loads(row["extra"])
        private, public = row["type"] == PRIVATE, row["type"] == PUBLIC
        own = {
            name: extra[name] for name in ("extensions", "permissions", "data") if extra.get(name)
        }
        return {
            "_id": row["id"],
            "user_id": row["user_id"],
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["updated_at"]),
            "type": row["type"],
            "occupants_ids": [entry["user_id"] for entry in store.occupants(row["id"])],
            "last_message": row["last_message"],
            "last_message_date_sent": row["last_message_date_sent"],
            "last_message_id": row["last_message_id"],
            "last_message_user_id": row["last_message_user_id"],
            "last_message_status": self._last_status(row, row["last_message_user_id"]),
            "name": row["name"],
            "description": row["description"],
            "photo": row["photo"],
            "occupants_count": store.count_occupants(row["id"]) if public else None,
            "xmpp_room_jid": None if private else self._settings.room_jid(row["id"]),
            "is_e2ee": None,
            "admins_ids": store.admins(row["id"]),
            "is_muted": None,
            "unread_messages_count": None,
            "pinned_messages_ids": extra.get("pinned_messages_ids"),
            "deleted_ids": store.hidden_from(row["id"]),
            "silent_ids": sorted(store.muted_by(row["id"])),
            **own,
        }

    def _private_name(self, occupants: Sequence[int], user_id: int) -> str | None:
        # Inferred: the documentation only says that a name given for a private dialog is ignored.
        for other_id in occupants:
            other = self._store.user(other_id) if other_id != user_id else None
            if other is not None:
                return str(other["fields"].get("full_name") or other["login"] or other["email"])
        return None

    def _last_status(self, row: Row, user_id: int) -> str | None:
        if row["last_message_id"] is None or row["last_message_user_id"] != user_id:
            return None
        receipts = [
            receipt
            for receipt in self._conversations.receipts(row["last_message_id"])
            if receipt["user_id"] != user_id
        ]
        if any(receipt["read"] for receipt in receipts):
            return "read"
        return "delivered" if any(receipt["delivered"] for receipt in receipts) else "sent"

    def messages(self, rows: Sequence[Row], user_id: int) -> list[dict[str, Any]]:
        """Write messages for one reader; their rows have receipts and reactions."""
        viewed = {
            dialog_id: self._is_viewed(dialog_id)
            for dialog_id in {row["dialog_id"] for row in rows}
        }
        return [_message(row, user_id, viewed=viewed[row["dialog_id"]]) for row in rows]

    def administration_messages(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Write messages of all dialogs for the Administration API, for no user of theirs."""
        viewed = {each: self._is_viewed(each) for each in {row["dialog_id"] for row in rows}}
        removed = self._conversations.removed_for([row["id"] for row in rows])
        return [
            {
                **_message(row, _NOBODY, viewed=viewed[row["dialog_id"]]),
                "userExtraData": None,
                "edited_at": None,
                **({"deleted_for_ids": removed[row["id"]]} if row["id"] in removed else {}),
            }
            for row in rows
        ]

    def _is_viewed(self, dialog_id: str) -> bool:
        dialog = self._conversations.dialog(dialog_id)
        return dialog is not None and dialog["type"] in VIEWED


def _message(row: Row, user_id: int, *, viewed: bool) -> dict[str, Any]:
    viewers = [reader for reader in row["read_ids"] if reader != row["sender_id"]]
    return {
        **row["custom"],
        "_id": row["id"],
        "chat_dialog_id": row["dialog_id"],
        "message": row["message"],
        "date_sent": row["date_sent"],
        "sender_id": row["sender_id"],
        "recipient_id": row["recipient_id"],
        "attachments": row["attachments"],
        "delivered_ids": [] if viewed else row["delivered_ids"],
        "read_ids": [] if viewed else row["read_ids"],
        # Inferred: the documentation shows the field and does not explain it.
        "read": int(user_id in viewers),
        "views_count": len(viewers) if viewed else 0,
        "reactions": _reactions(row["reactions"], user_id),
        "created_at": iso_time(row["created_at"]),
        "updated_at": iso_time(row["updated_at"]),
    }


def _reactions(by_type: dict[str, list[int]], user_id: int) -> dict[str, Any] | None:
    if not by_type:
        return None
    return {
        "own": [name for name, user_ids in by_type.items() if user_id in user_ids],
        "total": {name: len(user_ids) for name, user_ids in by_type.items()},
    }
