"""Conversations: dialogs, messages and their statuses. (Server documentation: Chat API.)"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from connectycube._containers import AnyDict

from ..db.conversation_store import ConversationStore, pair_of
from ..db.store import Row, Store
from ..settings import Settings
from .api_error import ApiError
from .conversation_json import VIEWED, ConversationJson
from .identifiers import ObjectIds, is_object_id
from .roles import BROADCAST, GROUP, LEAVABLE, MEETING, PRIVATE, PUBLIC, Action, Role, require
from .times import Clock, date_sent_of

__all__ = [
    "BROADCAST",
    "GROUP",
    "LEAVABLE",
    "MEETING",
    "PRIVATE",
    "PUBLIC",
    "BackdatedMessage",
    "ChatDelivery",
    "Conversations",
    "NewMessage",
]


@frozen(kw_only=True)
class NewMessage:
    """A message that is to be stored; ``date_sent`` is unix seconds, None for the current time."""

    id: str | None = None
    body: str | None = None
    date_sent: int | None = None
    attachments: Sequence[Mapping[str, Any]] = ()
    custom: Mapping[str, Any] = field(factory=AnyDict)


@frozen(kw_only=True)
class BackdatedMessage:
    """A message for the history, with its sender and the users that have read it."""

    sender_id: int
    draft: NewMessage
    read_ids: frozenset[int] = frozenset()


class ChatDelivery(Protocol):
    """Sends the changes that are made over REST to the clients of the chat."""

    def send_to_chat(self, dialog: Row, message: Row, *, markable: bool) -> None:
        """Deliver a stored message to the connections of its recipients."""

    def show_edit(self, dialog: Row, message: Row, body: str) -> None:
        """Tell the other users that a message has a new body."""

    def show_deletion(self, dialog: Row, message: Row, user_id: int) -> None:
        """Tell the other users that a user deleted a message for everybody."""

    def show_reaction(
        self, dialog: Row, message: Row, user_id: int, *, add: str | None, remove: str | None
    ) -> None:
        """Tell all users of the dialog that a user's reaction changed."""

    def show_dialog_change(self, dialog_id: str, user_id: int | None) -> None:
        """Tell the occupants of a dialog's room of a change by a user: roles, occupants, or its deletion."""

    def send_call_signal(
        self, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
    ) -> None:
        """Deliver a signal of a call."""

    def send_system_message(
        self, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
    ) -> None:
        """Deliver a system message."""


class Conversations:
    """The rules for dialogs and messages. A dialog or message is a row of the store."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self.store: ConversationStore = ConversationStore(store.database)
        self.json: ConversationJson = ConversationJson(self.store, store, settings)
        self._users = store
        self.settings = settings
        self._clock = clock
        self._ids = ObjectIds()

    def new_id(self) -> str:
        """Return a new id for a dialog or message."""
        return self._ids.new(self._clock.time())

    def now(self) -> int:
        """Return unix seconds."""
        return int(self._clock.time())

    # --- dialogs --------------------------------------------------------------------------------

    def private_dialog(self, creator: int, other: int, **values: Any) -> Row:
        """Return the one private dialog of two users; create it if there is none.

        ``values`` are columns of a new dialog.
        """
        row = self.store.private_dialog(creator, other)
        if row is not None:
            return row
        if creator == other:
            raise ApiError.invalid("occupants_ids", "must hold a user other than yourself")
        self.check_users([other])
        pair = pair_of(creator, other)
        return self.add_dialog(PRIVATE, creator, [creator, other], pair=pair, **values)

    def add_dialog(
        self,
        kind: int,
        owner: int,
        occupants: Sequence[int],
        *,
        admins: Sequence[int] = (),
        **values: Any,
    ) -> Row:
        """Create a dialog; ``values`` are its other columns."""
        now = self.now()
        dialog_id = self.new_id()
        columns = {
            "id": dialog_id,
            "type": kind,
            "user_id": owner,
            "extra": "{}",
            "created_at": now,
            "updated_at": now,
            **values,
        }
        self.store.add_dialog(columns, occupants, admins)
        return self.dialog(dialog_id)

    def is_user(self, user_id: int) -> bool:
        """Whether a user exists."""
        return self._users.user(user_id) is not None

    def check_users(self, user_ids: Sequence[int]) -> None:
        """Refuse users that do not exist."""
        for user_id in user_ids:
            if self._users.user(user_id) is None:
                raise ApiError(404, f"User {user_id} does not exist")

    def dialog(self, dialog_id: str) -> Row:
        """Return the dialog with this id, without a check of permissions."""
        row = self.store.dialog(dialog_id)
        if row is None:
            raise ApiError(404, f"Dialog {dialog_id} does not exist")
        return row

    def dialog_for(self, user_id: int, dialog_id: str, action: Action | None = None) -> Row:
        """Return a dialog; refuse a user that is not in it, or that may not do ``action``."""
        row = self.dialog(dialog_id)
        role = self.role(row, user_id)
        if role is Role.NOBODY:
            raise ApiError(403, f"You are not an occupant of dialog {dialog_id}")
        if action is not None:
            require(role, action, row["type"])
        return row

    def role(self, dialog: Row, user_id: int) -> Role:
        """Return the role of a user in a dialog; an owner that has left the dialog has none."""
        occupant = self.store.occupant(dialog["id"], user_id)
        if occupant is None:
            return Role.REGULAR if dialog["type"] == BROADCAST else Role.NOBODY
        if dialog["type"] == PRIVATE:
            return Role.REGULAR
        if dialog["user_id"] == user_id:
            return Role.OWNER
        return Role.ADMIN if occupant["admin"] else Role.REGULAR

    def members(self, dialog: Row) -> list[int]:
        """Return the users that get the messages of a dialog."""
        if dialog["type"] == BROADCAST:
            return self._users.user_ids()
        return [row["user_id"] for row in self.store.occupants(dialog["id"])]

    def others(self, dialog: Row, user_id: int) -> list[int]:
        """Return the users that get the messages of a dialog, except one."""
        return [member for member in self.members(dialog) if member != user_id]

    # --- messages -------------------------------------------------------------------------------

    def add_message(self, dialog: Row, sender: int, draft: NewMessage) -> Row | None:
        """Store a message, unread for the other users; return None if its id is stored already."""
        # In dialogs with views a receipt is made when a user reads the message.
        others = [] if dialog["type"] in VIEWED else self.others(dialog, sender)
        values = self._columns(dialog, sender, draft, others, self.now())
        if not self.store.add_message(values, others):
            return None
        return self.store.message(values["id"])

    def add_history(self, dialog: Row, drafts: Iterable[BackdatedMessage]) -> list[str]:
        """Add messages to the history, all or none; return their ids.

        Raises sqlite3.IntegrityError when an id is stored already.
        """
        members = [] if dialog["type"] in VIEWED else self.members(dialog)
        rows: list[dict[str, Any]] = []
        receipts: list[tuple[str, int, str, bool, bool]] = []
        for past in drafts:
            sender, draft = past.sender_id, past.draft
            # A date_sent in milliseconds stays as the client wrote it; the service's own dates are seconds.
            sent = date_sent_of(draft.date_sent)
            sent = self.now() if sent is None else sent
            others = [member for member in members if member != sender]
            row = self._columns(dialog, sender, draft, others, sent)
            rows.append(row)
            # A reader need not be a member any more; the sender has always read the message.
            for user_id in {sender, *others, *past.read_ids}:
                read = user_id == sender or user_id in past.read_ids
                receipts.append((row["id"], user_id, dialog["id"], read, read))
        self.store.add_history(dialog["id"], rows, receipts, now=self.now())
        return [row["id"] for row in rows]

    def _columns(
        self, dialog: Row, sender: int, draft: NewMessage, others: Sequence[int], now: int
    ) -> dict[str, Any]:
        return {
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

    def message_for(self, user_id: int, message_id: str) -> tuple[Row, Row]:
        """Return a message and its dialog; refuse a user that may not see them."""
        message = self.store.message(message_id)
        if message is None or self.store.is_removed(message_id, user_id):
            raise ApiError(404, f"Message {message_id} does not exist")
        return message, self.dialog_for(user_id, message["dialog_id"])

    def own_message(self, user_id: int, dialog: Row, message_id: str) -> Row | None:
        """Return a message of a dialog that the user has sent; None if there is none with this id."""
        message = self.store.message(message_id)
        if message is None or message["dialog_id"] != dialog["id"]:
            return None
        return message if message["sender_id"] == user_id else None

    def change_body(self, message: Row, body: str) -> None:
        """Give a message a new body."""
        values = {"message": body, "updated_at": self.now()}
        self.store.update_message(message["id"], values)

    def mark(self, user_id: int, message_ids: Sequence[str], *, read: bool) -> None:
        """Note that a user has received messages, or has read them."""
        self.store.mark(message_ids, user_id, read=read, now=self.now())

    # --- JSON -----------------------------------------------------------------------------------

    def dialog_json(self, dialog_id: str, user_id: int) -> dict[str, Any]:
        """Write the current state of a dialog for one of its users."""
        return self.json.dialogs([self.dialog(dialog_id)], user_id)[0]
