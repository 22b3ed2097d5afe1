"""Inspector: users, dialogs and messages as JSON, for programs that look at the state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..db.store import Row
from ..domain.accounts import Accounts
from ..domain.conversations import Conversations

__all__ = ["Inspector"]


class Inspector:
    """Reads the state with the fields of the REST API."""

    def __init__(self, accounts: Accounts, conversations: Conversations) -> None:
        self._accounts = accounts
        self._conversations = conversations

    def users(self, ids: Iterable[Any] | None = None) -> list[dict[str, Any]]:
        """Return users by id, all or some."""
        accounts = self._accounts
        found = accounts.all_users() if ids is None else accounts.users_with("id", list(ids))
        return [accounts.user_json(user) for user in found]

    def dialogs(self, ids: Iterable[Any] | None = None) -> list[dict[str, Any]]:
        """Return dialogs as their owners see them, all or some."""
        rows = self._conversations.store.all_dialogs(None if ids is None else list(ids))
        return [self._conversations.json.dialogs([row], row["user_id"])[0] for row in rows]

    def messages(self, dialog_id: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the messages of a dialog in the order of their arrival, all or the newest."""
        rows = self._conversations.store.messages(
            dialog_id, order="seq DESC", limit=-1 if limit is None else limit
        )
        return self._messages(rows[::-1])

    def messages_with(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """Return messages by their ids, in the order of their arrival."""
        return self._messages(self._conversations.store.messages_with(ids))

    def _messages(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        write = self._conversations.json.messages
        return [write([row], row["sender_id"])[0] for row in rows]
