"""Seeder: adds users, dialogs and messages that a program gives, after checking them.

A value that the service would refuse raises ArgumentValueError, and a value of the wrong type
ArgumentTypeError. Both name the argument.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from connectycube._checks import check_int, check_list, check_one_of, check_str
from connectycube._containers import AnyMapping
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..db.store import Row
from ..domain.accounts import USER_COLUMNS, Accounts, is_password_hash
from ..domain.api_error import ApiError
from ..domain.conversations import (
    BROADCAST,
    PRIVATE,
    BackdatedMessage,
    Conversations,
    NewMessage,
)
from ..domain.identifiers import is_object_id
from ..domain.roles import MOST_ADMINS, TYPES

__all__ = ["USER_FIELDS", "Seeder", "UserFields"]

_LATEST = 2**53  # the largest integer that every JSON reader holds
_KINDS = {name: number for number, name in TYPES.items()}
USER_FIELDS = (USER_COLUMNS.keys() - {"id", "created_at", "updated_at", "last_request_at"}) | {
    "password",
    "tag_list",
}
"""The fields that a new user may have."""
_MESSAGE_FIELDS = frozenset(
    ("_id", "sender_id", "message", "date_sent", "attachments", "custom", "read_ids")
)


class UserFields(TypedDict, total=False):
    """The fields of a new user beside login and password, for functions that pass them on."""

    email: str | None
    full_name: str | None
    phone: str | None
    website: str | None
    external_id: str | int | None
    facebook_id: str | int | None
    twitter_id: str | int | None
    custom_data: str | None
    avatar: str | None
    external_user_id: int | None
    blob_id: int | None
    timezone: int | None
    tag_list: str | Sequence[str] | None
    user_tags: str | Sequence[str] | None


class Seeder:
    """Adds to the service by the rules for accounts and conversations."""

    def __init__(self, accounts: Accounts, conversations: Conversations) -> None:
        self._accounts = accounts
        self._conversations = conversations

    def user(self, fields: Mapping[str, Any]) -> int:
        """Add a user as a sign-up does; return the id."""
        unknown = fields.keys() - USER_FIELDS - {"password_hash"}
        if unknown:
            raise ArgumentValueError(f"{min(unknown, key=str)} is no field of a user")
        try:
            if "password_hash" in fields:
                return self._saved_user(fields)
            return int(self._accounts.sign_up(fields)["id"])
        except ApiError as refusal:
            raise ArgumentValueError(refusal.sentence) from None

    def _saved_user(self, fields: Mapping[str, Any]) -> int:
        """Add a user whose password was saved as its hash; None is that of a user without a password."""
        saved = fields["password_hash"]
        if saved is not None and not is_password_hash(check_str("password_hash", saved)):
            raise ArgumentValueError("password_hash must be one that an emulator has saved")
        rest = {name: value for name, value in fields.items() if name != "password_hash"}
        if "password" in rest:
            raise ArgumentValueError("password and password_hash must not be given both")
        return int(self._accounts.add_saved(rest, saved)["id"])

    def dialog(
        self,
        kind: str,
        owner_id: int,
        occupants_ids: Iterable[int] = (),
        *,
        admins_ids: Iterable[int] = (),
        name: str | None = None,
        description: str | None = None,
        photo: str | None = None,
    ) -> str:
        """Add a dialog and return the id; two users with a private dialog keep the one they have."""
        check_one_of("kind", kind, _KINDS)
        occupants = check_list("occupants_ids", occupants_ids, "ids of users")
        admins = check_list("admins_ids", admins_ids, "ids of users")
        self._check_users("owner_id", [owner_id])
        self._check_users("occupants_ids", occupants)
        self._check_users("admins_ids", admins)
        if len(set(admins)) > MOST_ADMINS:
            raise ArgumentValueError(f"admins_ids must name at most {MOST_ADMINS} users")
        texts = {"name": name, "description": description, "photo": photo}
        for text_name, text in texts.items():
            if text is not None:
                check_str(text_name, text)
        if _KINDS[kind] == PRIVATE:
            has_more = any((admins, *texts.values()))
            return self._private_dialog(owner_id, occupants, has_more)
        check_str("name", name)
        members = list(dict.fromkeys((owner_id, *occupants, *admins)))
        row = self._conversations.add_dialog(
            _KINDS[kind], owner_id, members, admins=admins, **texts
        )
        return str(row["id"])

    def broadcast_dialog(
        self, owner_id: int, admins_ids: Sequence[int], texts: Mapping[str, str | None]
    ) -> str:
        """Add a broadcast dialog, whose admins are no occupants, and return the id."""
        self._check_users("owner_id", [owner_id])
        self._check_users("admins_ids", admins_ids)
        row = self._conversations.add_dialog(
            BROADCAST, owner_id, [owner_id], admins=admins_ids, **texts
        )
        return str(row["id"])

    def _private_dialog(self, owner_id: int, occupants: Sequence[int], has_more: bool) -> str:
        others = set(occupants) - {owner_id}
        if len(others) != 1:
            raise ArgumentValueError("occupants_ids of a private dialog must name one other user")
        if has_more:
            raise ArgumentValueError(
                "a private dialog has no name, description, photo or admins_ids"
            )
        return str(self._conversations.private_dialog(owner_id, others.pop())["id"])

    def _check_users(self, name: str, user_ids: Iterable[object]) -> None:
        for user_id in user_ids:
            check_int(name, user_id)
        try:
            self._conversations.check_users(list(user_ids))  # type: ignore[arg-type]
        except ApiError as refusal:
            raise ArgumentValueError(f"{name}: {refusal.sentence}") from None

    # --- messages -------------------------------------------------------------------------------

    def messages(self, dialog_id: str, messages: Iterable[Mapping[str, Any]]) -> list[str]:
        """Add messages to a dialog's history, all or none; return their ids."""
        dialog = self._conversations.store.dialog(check_str("dialog_id", dialog_id))
        if dialog is None:
            raise ArgumentValueError(f"dialog_id: there is no dialog {dialog_id}")
        drafts = self._drafts(dialog, check_list("messages", messages, "mappings"))
        try:
            return self._conversations.add_history(dialog, drafts)
        except sqlite3.IntegrityError as error:
            raise ArgumentValueError(
                "messages: an _id is there twice, or stored already"
            ) from error

    def _drafts(self, dialog: Row, messages: Sequence[Any]) -> list[BackdatedMessage]:
        users = self._writers(dialog)
        # Most messages have the same readers, so each set of readers is checked once.
        checked: set[frozenset[int]] = set()
        drafts: list[BackdatedMessage] = []
        for index, message in enumerate(messages):
            try:
                draft = _backdated(message)
                if draft.sender_id not in users:
                    raise ArgumentValueError(f"sender_id: {draft.sender_id} is not in the dialog")
                if draft.read_ids not in checked:
                    _check_readers(draft.read_ids, users)
                    checked.add(draft.read_ids)
            except (ArgumentTypeError, ArgumentValueError) as error:
                raise type(error)(f"messages[{index}]: {error}") from None
            drafts.append(draft)
        return drafts

    def _writers(self, dialog: Row) -> set[int]:
        # A sender may have left the dialog since, except a private one, which no user can leave.
        if dialog["type"] == PRIVATE:
            return set(self._conversations.members(dialog))
        return {user["id"] for user in self._accounts.all_users()}


def _check_readers(readers: frozenset[int], users: set[int]) -> None:
    strangers = sorted(readers - users)
    if strangers:
        raise ArgumentValueError(f"read_ids: {strangers[0]} is not in the dialog")


def _backdated(message: Any) -> BackdatedMessage:
    if not isinstance(message, AnyMapping):
        raise ArgumentTypeError(f"must be a mapping with sender_id, not {type(message).__name__}")
    unknown = message.keys() - _MESSAGE_FIELDS
    if unknown:
        raise ArgumentValueError(f"{min(unknown, key=str)} is no field of a message")
    get = message.get
    if get("_id") is not None and not is_object_id(check_str("_id", get("_id"))):
        raise ArgumentValueError(f"_id must be 24 digits from 0 to f, not {get('_id')!r}")
    if get("message") is not None:
        check_str("message", get("message"), empty=True)
    if get("date_sent") is not None:
        check_int("date_sent", get("date_sent"), least=0, most=_LATEST)
    if not isinstance(get("custom", {}), AnyMapping):
        raise ArgumentTypeError("custom must be a mapping")
    return BackdatedMessage(
        sender_id=check_int("sender_id", get("sender_id")),
        draft=NewMessage(
            id=get("_id"),
            body=get("message"),
            date_sent=get("date_sent"),
            attachments=check_list("attachments", get("attachments", ()), "mappings"),
            custom=get("custom", {}),
        ),
        read_ids=frozenset(
            check_int("read_ids", each)
            for each in check_list("read_ids", get("read_ids", ()), "ids of users")
        ),
    )
