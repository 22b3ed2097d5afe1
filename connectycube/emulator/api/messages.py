"""REST: messages. (Server documentation: Chat API, messages.)"""

from __future__ import annotations

from typing import Any

from ..conversations import Draft, seconds
from ..refusal import Refusal
from ..store import Row
from .query import Column, ListQuery, integer, text, time
from .request import Reply
from .routing import Auth, Call, route

_COLUMNS = {
    "_id": Column("m.id", text),
    "message": Column("m.message", text),
    "date_sent": Column("m.date_sent", time),
    "sender_id": Column("m.sender_id", integer),
    "recipient_id": Column("m.recipient_id", integer),
    "updated_at": Column("m.updated_at", time),
    "attachments.type": Column(
        "json_extract(value, '$.type')",
        text,
        "EXISTS (SELECT 1 FROM json_each(m.attachments) WHERE {})",
    ),
}
_SORTABLE = {"date_sent": "m.date_sent {}, m.seq {}"}

# What of a new message is not a custom parameter.
_RESERVED = frozenset(
    (
        "_id",
        "attachments",
        "chat_dialog_id",
        "created_at",
        "date_sent",
        "delivered_ids",
        "markable",
        "message",
        "reactions",
        "read",
        "read_ids",
        "recipient_id",
        "save_to_history",
        "send_to_chat",
        "sender_id",
        "updated_at",
        "views_count",
    )
)


@route(
    "GET", "chat/Message", Auth.USER, inferred="items show the statuses before the call's marking"
)
def list_messages(call: Call) -> Reply:
    """List the messages of a dialog, and mark them as read unless mark_as_read=0."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=_COLUMNS,
        sortable=_SORTABLE,
        default_order=_SORTABLE["date_sent"].replace("{}", "ASC"),
        options=("chat_dialog_id", "mark_as_read"),
    )
    dialog_id = query.options.get("chat_dialog_id")
    if not dialog_id:
        raise Refusal.invalid("chat_dialog_id", "is required")
    conversations, store = call.api.conversations, call.api.store
    conversations.dialog_for(call.user_id, dialog_id)
    if query.count:
        count = store.count_messages(dialog_id, query.where, query.values)
        return Reply(content={"items": {"count": count}})
    rows = store.messages(
        dialog_id,
        query.where,
        query.values,
        order=query.order,
        limit=query.limit,
        skip=query.skip,
    )
    if query.options.get("mark_as_read") not in ("0", "false"):
        conversations.mark(call.user_id, [row["id"] for row in rows], read=True)
    return Reply(
        content=query.page([conversations.message_json(row, call.user_id) for row in rows])
    )


@route("POST", "chat/Message", Auth.USER, inferred="a date_sent that is given is kept")
def create_message(call: Call) -> Reply:
    """Store a message and, with send_to_chat=1, deliver it."""
    body = call.request.json()
    conversations = call.api.conversations
    dialog = _dialog(call, body)
    draft = Draft(
        body=_body(body),
        date_sent=seconds(body.get("date_sent")),
        attachments=_attachments(body.get("attachments")),
        custom={name: value for name, value in body.items() if name not in _RESERVED},
    )
    stored = conversations.add_message(dialog, call.user_id, draft)
    assert stored is not None
    message = call.api.store.messages(dialog["id"], "m.id = ?", [stored["id"]])[0]
    if _flag(body.get("send_to_chat")):
        call.api.chat.send_to_chat(dialog, message, markable=_flag(body.get("markable")))
    return Reply(status=201, content=conversations.message_json(message, call.user_id))


def _dialog(call: Call, body: dict[str, Any]) -> Row:
    conversations = call.api.conversations
    if body.get("chat_dialog_id"):
        return conversations.dialog_for(call.user_id, str(body["chat_dialog_id"]))
    if not body.get("recipient_id"):
        raise Refusal(422, "chat_dialog_id or recipient_id is required")
    try:
        recipient = integer(str(body["recipient_id"]))
    except ValueError:
        raise Refusal.invalid("recipient_id", "must be a user id") from None
    return conversations.private_dialog(call.user_id, recipient)


def _body(body: dict[str, Any]) -> str | None:
    value = body.get("message")
    if value is not None and not isinstance(value, str):
        raise Refusal.invalid("message", "must be a string")
    return value


def _attachments(value: Any) -> list[dict[str, Any]]:
    # a list, or an object of numbered entries as the documentation writes it
    entries = list(value.values()) if isinstance(value, dict) else value or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refusal.invalid("attachments", "must hold objects")
    return entries


def _flag(value: Any) -> bool:
    return value in (1, "1", True, "true")
