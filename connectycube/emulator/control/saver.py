"""Saver: the users, dialogs and messages of a service as a document that the loader reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..db.store import Row
from ..domain.accounts import Accounts
from ..domain.conversations import PRIVATE, Conversations
from ..domain.roles import TYPES
from .seeder import USER_FIELDS

__all__ = ["Saver"]


class Saver:
    """Writes one document."""

    def __init__(self, accounts: Accounts, conversations: Conversations) -> None:
        self._conversations = conversations
        self._users = accounts.all_users()
        self._names = {
            user["id"]: user["login"] or user["email"] or f"user-{user['id']}"
            for user in self._users
        }
        self._dialogs = [row for row in conversations.store.all_dialogs() if self._is_kept(row)]
        self._keys = _keys(row for row in self._dialogs if row["type"] != PRIVATE)

    def document(self) -> dict[str, Any]:
        """Return the document; what a deleted user has written or owned is left out."""
        return {
            "users": [self._user(user) for user in self._users],
            "dialogs": [self._dialog(row) for row in self._dialogs],
            "messages": [
                self._message(row, message)
                for row in self._dialogs
                for message in self._conversations.store.messages(row["id"])
                if message["sender_id"] in self._names
            ],
        }

    def _is_kept(self, row: Row) -> bool:
        return row["user_id"] in self._names and (
            row["type"] != PRIVATE or len(self._members(row)) == 2
        )

    def _user(self, user: Row) -> dict[str, Any]:
        fields = {name: value for name, value in user["fields"].items() if name in USER_FIELDS}
        if "user_tags" in user["fields"]:
            fields["tag_list"] = fields.pop("user_tags")
        names = {"login": user["login"], "email": user["email"]}
        if not any(names.values()):
            names["login"] = self._names[user["id"]]
        given = {name: value for name, value in {**names, **fields}.items() if value is not None}
        return {**given, "password_hash": user["password"]}

    def _dialog(self, row: Row) -> dict[str, Any]:
        members = [self._names[each] for each in self._members(row) if each != row["user_id"]]
        admins = [self._names[each] for each in self._conversations.store.admins(row["id"])]
        key = self._keys.get(row["id"])
        values = {
            "type": TYPES[row["type"]],
            "name": row["name"],
            "key": None if key == row["name"] else key,
            "owner": self._names[row["user_id"]],
            "occupants": members,
            "admins": admins,
            "description": row["description"],
            "photo": row["photo"],
        }
        return {name: value for name, value in values.items() if value not in (None, [])}

    def _members(self, row: Row) -> list[int]:
        occupants = self._conversations.store.occupants(row["id"])
        return [each["user_id"] for each in occupants if each["user_id"] in self._names]

    def _message(self, row: Row, message: Row) -> dict[str, Any]:
        pair = [self._names[each] for each in self._members(row)]
        dialog: Any = pair if row["type"] == PRIVATE else self._keys[row["id"]]
        readers = [each for each in message["read_ids"] if each != message["sender_id"]]
        values = {
            "dialog": dialog,
            "sender": self._names[message["sender_id"]],
            "_id": message["id"],
            "message": message["message"],
            "date_sent": message["date_sent"],
            "attachments": message["attachments"],
            "custom": message["custom"],
            "read_by": [self._names[each] for each in readers if each in self._names],
        }
        return {name: value for name, value in values.items() if value not in (None, [], {})}


def _keys(dialogs: Iterable[Row]) -> dict[str, str]:
    """Return by id what messages call each dialog: its name, with a number where a name is repeated."""
    keys: dict[str, str] = {}
    used: set[str] = set()
    for row in dialogs:
        key, number = row["name"], 2
        while key in used:
            key, number = f"{row['name']} ({number})", number + 1
        used.add(key)
        keys[row["id"]] = key
    return keys
