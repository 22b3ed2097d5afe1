"""Conversations: dialogs, messages and their statuses. (Server documentation: Chat API.)"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from .clock import Clock, iso_time
from .identifiers import ObjectIds, is_object_id
from .refusal import Refusal
from .settings import Settings
from .store import Row, Store

__all__ = ["BROADCAST", "GROUP", "PRIVATE", "PUBLIC", "Conversations", "Draft"]

BROADCAST, GROUP, PRIVATE, PUBLIC = 1, 2, 3, 4

# A time beyond this (the year 5138 in seconds) can only mean milliseconds, as some clients send them.
_MILLISECONDS_ABOVE = 10**11
_LARGEST_INTEGER = 2**63 - 1


@frozen(kw_only=True)
class Draft:
    """A message that is about to be stored. ``date_sent`` is unix seconds, None for now."""

    id: str | None = None
    body: str | None = None
    date_sent: int | None = None
    attachments: Sequence[Mapping[str, Any]] = ()
    custom: Mapping[str, Any] = field(factory=dict)


class ChatDelivery(Protocol):
    """What sends a message that came by REST to the chat."""

    def send_to_chat(self, dialog: Row, message: Row, *, markable: bool) -> None:
        """Deliver a stored message to the connections of those it is for."""


class Conversations:
    """The rules for dialogs and messages. A dialog or message is a row of the store."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ids = ObjectIds()

    def new_id(self) -> str:
        """Return a fresh dialog or message id."""
        return self._ids.new(self._clock.time())

    # --- dialogs --------------------------------------------------------------------------------

    def private_dialog(self, creator: int, other: int) -> Row:
        """Return the private dialog of two users; there is one a pair, made when first asked for."""
        pair = f"{min(creator, other)}-{max(creator, other)}"
        row = self._store.private_dialog(pair)
        if row is None:
            if creator == other:
                raise Refusal.invalid("occupants_ids", "must hold a user other than yourself")
            if self._store.user(other) is None:
                raise Refusal(404, f"User {other} does not exist")
            self._add_dialog(PRIVATE, creator, [creator, other], pair=pair)
            row = self._store.private_dialog(pair)
            assert row is not None
        return row

    def _add_dialog(self, kind: int, creator: int, occupants: Sequence[int], **values: Any) -> str:
        now = int(self._clock.time())
        dialog_id = self.new_id()
        self._store.add_dialog(
            {
                "id": dialog_id,
                "type": kind,
                "user_id": creator,
                "extra": "{}",
                "created_at": now,
                "updated_at": now,
                **values,
            },
            occupants,
        )
        return dialog_id

    def dialog_for(self, user_id: int, dialog_id: str) -> Row:
        """Return a dialog that this user may read and write."""
        row = self._store.dialog(dialog_id)
        if row is None:
            raise Refusal(404, f"Dialog {dialog_id} does not exist")
        if not self._store.is_occupant(dialog_id, user_id):
            raise Refusal(403, f"You are not an occupant of dialog {dialog_id}")
        return row

    def others(self, dialog: Row, user_id: int) -> list[int]:
        """Return the occupants of a dialog but one."""
        occupants = self._store.occupants(dialog["id"])
        return [row["user_id"] for row in occupants if row["user_id"] != user_id]

    # --- messages -------------------------------------------------------------------------------

    def add_message(self, dialog: Row, sender: int, draft: Draft) -> Row | None:
        """Store a message and count it as unread for the others; None if its id is stored already."""
        now = int(self._clock.time())
        others = self.others(dialog, sender)
        values = {
            "id": draft.id if is_object_id(draft.id) else self.new_id(),
            "dialog_id": dialog["id"],
            "sender_id": sender,
            "recipient_id": others[0] if dialog["type"] == PRIVATE and others else 0,
            "message": draft.body,
            "date_sent": draft.date_sent if draft.date_sent is not None else now,
            "created_at": now,
            "updated_at": now,
            "attachments": json.dumps(list(draft.attachments)),
            "custom": json.dumps(dict(draft.custom)),
        }
        if not self._store.add_message(values, others):
            return None
        return self._store.message(values["id"])

    def mark(self, user_id: int, message_ids: Sequence[str], *, read: bool) -> None:
        """Note that messages were delivered to, or read by, a user they are for."""
        self._store.mark(message_ids, user_id, read=read, now=int(self._clock.time()))

    # --- JSON -----------------------------------------------------------------------------------

    def dialogs_json(self, rows: Sequence[Row], user_id: int) -> list[dict[str, Any]]:
        """Write dialogs as the service does for one of their users."""
        unread = self._store.unread_counts(user_id, [row["id"] for row in rows])
        return [self._dialog_json(row, user_id, unread.get(row["id"], 0)) for row in rows]

    def _dialog_json(self, row: Row, user_id: int, unread: int) -> dict[str, Any]:
        occupants = self._store.occupants(row["id"])
        private = row["type"] == PRIVATE
        extra = json.loads(row["extra"])
        return {
            "_id": row["id"],
            "type": row["type"],
            "user_id": row["user_id"],
            "name": self._private_name(occupants, user_id) if private else row["name"],
            "description": row["description"],
            "photo": row["photo"],
            "occupants_ids": [occupant["user_id"] for occupant in occupants],
            "admins_ids": [occupant["user_id"] for occupant in occupants if occupant["admin"]],
            "pinned_messages_ids": extra.get("pinned_messages_ids", []),
            "xmpp_room_jid": None if private else self._settings.room_jid(row["id"]),
            "last_message": row["last_message"],
            "last_message_id": row["last_message_id"],
            "last_message_user_id": row["last_message_user_id"],
            "last_message_date_sent": row["last_message_date_sent"],
            "last_message_status": self._last_status(row, user_id),
            "unread_messages_count": unread,
            "extensions": extra.get("extensions"),
            "permissions": extra.get("permissions"),
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["updated_at"]),
        }

    def _private_name(self, occupants: Sequence[Row], user_id: int) -> str | None:
        # Inferred: the documentation only says that a name given for a private dialog is ignored.
        for occupant in occupants:
            if occupant["user_id"] != user_id:
                other = self._store.user(occupant["user_id"])
                if other is not None:
                    return str(other["fields"].get("full_name") or other["login"] or other["email"])
        return None

    def _last_status(self, row: Row, user_id: int) -> str | None:
        if row["last_message_id"] is None or row["last_message_user_id"] != user_id:
            return None
        receipts = [
            receipt
            for receipt in self._store.receipts(row["last_message_id"])
            if receipt["user_id"] != user_id
        ]
        if any(receipt["read"] for receipt in receipts):
            return "read"
        return "delivered" if any(receipt["delivered"] for receipt in receipts) else "sent"

    def message_json(self, row: Row, user_id: int) -> dict[str, Any]:
        """Write a message with its receipts as the service does for one of its readers."""
        return {
            **row["custom"],
            "_id": row["id"],
            "chat_dialog_id": row["dialog_id"],
            "message": row["message"],
            "date_sent": row["date_sent"],
            "sender_id": row["sender_id"],
            "recipient_id": row["recipient_id"],
            "attachments": row["attachments"],
            "delivered_ids": row["delivered_ids"],
            "read_ids": row["read_ids"],
            # Inferred: the documentation shows the field and does not explain it.
            "read": int(user_id != row["sender_id"] and user_id in row["read_ids"]),
            "views_count": 0,
            "reactions": None,
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["updated_at"]),
        }


def seconds(text: Any) -> int | None:
    """Read a ``date_sent``: unix seconds, or milliseconds as some clients send; None if it is neither."""
    try:
        value = int(float(text))
    except (TypeError, ValueError, OverflowError):
        return None
    if value > _MILLISECONDS_ABOVE:
        value //= 1000
    return value if 0 <= value <= _LARGEST_INTEGER else None
