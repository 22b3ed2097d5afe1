"""REST: messages. (Server documentation: Chat API, messages.)"""

from __future__ import annotations

import json
from typing import Any

from connectycube._containers import AnyDict, AnyList

from ..db.store import Row
from ..domain import deletions
from ..domain.api_error import ApiError
from ..domain.conversations import NewMessage
from ..domain.roles import Action
from ..domain.times import date_sent_of
from ..domain.values import flag, integer, words
from .dialogs import forced
from .query import Column, ListQuery, text, time
from .request import Response
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

# The fields of a new message that are not custom parameters.
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

_PREVIEW = 20  # messages


@route(
    "GET",
    "chat/Message",
    Auth.USER,
    inferred="items show the statuses before the call's marking; a preview marks nothing",
)
def list_messages(call: Call) -> Response:
    """List the messages of a dialog, and mark them as read unless mark_as_read=0."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=_COLUMNS,
        sortable=_SORTABLE,
        default_order=_SORTABLE["date_sent"].replace("{}", "ASC"),
        options=("chat_dialog_id", "mark_as_read", "preview"),
    )
    dialog_id = query.options.get("chat_dialog_id")
    if not dialog_id:
        raise ApiError.invalid("chat_dialog_id", "is required")
    if flag(query.options.get("preview")):
        return _preview(call, dialog_id, query)
    conversations = call.api.conversations
    conversations.dialog_for(call.user_id, dialog_id)
    if query.count:
        count = conversations.store.count_messages(
            dialog_id, query.where, query.values, reader=call.user_id
        )
        return Response(content={"items": {"count": count}})
    rows = conversations.store.messages(
        dialog_id,
        query.where,
        query.values,
        reader=call.user_id,
        order=query.order,
        limit=query.limit,
        skip=query.skip,
    )
    if query.options.get("mark_as_read") not in ("0", "false"):
        conversations.mark(call.user_id, [row["id"] for row in rows], read=True)
    return Response(content=query.page(conversations.json.messages(rows, call.user_id)))


def _preview(call: Call, dialog_id: str, query: ListQuery) -> Response:
    # The documentation: the last 20 messages, also for users outside; skip, limit and sort are ignored.
    conversations = call.api.conversations
    permissions: dict[str, Any] | None = json.loads(conversations.dialog(dialog_id)["extra"]).get(
        "permissions"
    )
    if not (permissions or {}).get("allow_preview"):
        raise ApiError(403, f"Dialog {dialog_id} does not allow a preview")
    rows = conversations.store.messages(
        dialog_id,
        query.where,
        query.values,
        reader=call.user_id,
        order="m.date_sent DESC, m.seq DESC",
        limit=_PREVIEW,
    )
    items = conversations.json.messages(rows[::-1], call.user_id)
    return Response(content={"skip": 0, "limit": _PREVIEW, "items": items})


@route("GET", "chat/Message/unread", Auth.USER, inferred="dialogs of others are left out")
def count_unread(call: Call) -> Response:
    """Count the user's unread messages: all, or those of some dialogs and their sum."""
    conversations = call.api.conversations
    counts = conversations.store.unread_counts(call.user_id)
    given = dict(call.request.parameters()).get("chat_dialog_ids")
    if not given:
        return Response(content={"total": sum(counts.values())})
    wanted = {
        dialog_id: counts.get(dialog_id, 0)
        for dialog_id in words(given)
        if conversations.store.occupant(dialog_id, call.user_id) is not None
    }
    return Response(content={"total": sum(wanted.values()), **wanted})


@route(
    "POST",
    "chat/Message",
    Auth.USER,
    inferred="a date_sent that is given is kept, and so is a markable that is 0",
)
def create_message(call: Call) -> Response:
    """Store a message and, with send_to_chat=1, deliver it."""
    body = call.request.json()
    conversations = call.api.conversations
    custom = {name: value for name, value in body.items() if name not in _RESERVED}
    if "markable" in body and not flag(body["markable"]):
        custom["markable"] = 0
    draft = NewMessage(
        body=_body(body),
        date_sent=date_sent_of(body.get("date_sent")),
        attachments=_attachments(body.get("attachments")),
        custom=custom,
    )
    dialog = _dialog(call, body)
    stored = conversations.add_message(dialog, call.user_id, draft)
    assert stored is not None
    message = _with_receipts(call, stored)
    if flag(body.get("send_to_chat")):
        call.api.chat.send_to_chat(dialog, message, markable=flag(body.get("markable")))
    return Response(status=201, content=conversations.json.messages([message], call.user_id)[0])


def _with_receipts(call: Call, message: Row) -> Row:
    store = call.api.conversations.store
    return store.messages(message["dialog_id"], "m.id = ?", [message["id"]])[0]


def _dialog(call: Call, body: dict[str, Any]) -> Row:
    conversations = call.api.conversations
    if body.get("chat_dialog_id"):
        return conversations.dialog_for(call.user_id, str(body["chat_dialog_id"]), Action.WRITE)
    if not body.get("recipient_id"):
        raise ApiError(422, "chat_dialog_id or recipient_id is required")
    return conversations.private_dialog(call.user_id, _recipient(body, "recipient_id"))


def _recipient(body: dict[str, Any], name: str) -> int:
    try:
        return integer(str(body.get(name)))
    except ValueError:
        raise ApiError.invalid(name, "must be a user id") from None


@route("PUT", "chat/Message", Auth.USER, inferred="without ids the body of messages cannot be set")
def update_all_messages(call: Call) -> Response:
    """Mark every message of a dialog as read or delivered."""
    body = call.request.json()
    dialog = _dialog_of_update(call, body)
    if body.get("message") is not None:
        raise ApiError.invalid("message", "can be set for messages that are named by id only")
    read, _ = _statuses(body)
    conversations = call.api.conversations
    conversations.mark(call.user_id, conversations.store.message_ids(dialog["id"]), read=read)
    return Response()


@route("PUT", "chat/Message/{ids}", Auth.USER, inferred="one unknown id refuses the whole call")
def update_messages(call: Call) -> Response:
    """Set a message's body or its status for the user."""
    body = call.request.json()
    dialog = _dialog_of_update(call, body)
    conversations, chat = call.api.conversations, call.api.chat
    new_body = _body(body)
    read, delivered = _statuses(body, needed=new_body is None)
    found = [
        conversations.message_for(call.user_id, message_id)[0]
        for message_id in words(call.arguments["ids"])
    ]
    for message in found:
        if message["dialog_id"] != dialog["id"]:
            raise ApiError(404, f"Message {message['id']} is not in dialog {dialog['id']}")
        if new_body is not None and message["sender_id"] != call.user_id:
            raise ApiError(403, f"Message {message['id']} is not yours: its body cannot be set")
    if read or delivered:
        conversations.mark(call.user_id, [message["id"] for message in found], read=read)
    if new_body is not None:
        for message in found:
            conversations.change_body(message, new_body)
            chat.show_edit(dialog, message, new_body)
    return Response()


def _dialog_of_update(call: Call, body: dict[str, Any]) -> Row:
    if not body.get("chat_dialog_id"):
        raise ApiError.invalid("chat_dialog_id", "is required")
    return call.api.conversations.dialog_for(call.user_id, str(body["chat_dialog_id"]))


def _statuses(body: dict[str, Any], *, needed: bool = True) -> tuple[bool, bool]:
    read, delivered = flag(body.get("read")), flag(body.get("delivered"))
    if needed and not read and not delivered:
        raise ApiError(
            422, "There is nothing to update: read=1, delivered=1 or message is required"
        )
    return read, delivered


@route(
    "DELETE",
    "chat/Message/{ids}",
    Auth.USER,
    inferred="WrongPermissions also for dialogs that the user is not in",
)
def delete_messages(call: Call) -> Response:
    """Delete messages, for the user or (force) for everybody."""
    force = forced(call)
    api = call.api

    def delete(message_id: str) -> None:
        deletions.delete_message(api.conversations, api.chat, call.user_id, message_id, force=force)

    return Response(content=deletions.delete_each(words(call.arguments["ids"]), delete))


@route("POST", "chat/Message/system", Auth.USER, inferred="status 201")
def send_system_message(call: Call) -> Response:
    """Send a system message to a user who is connected."""
    body = call.request.json()
    if not body.get("recipientId"):
        raise ApiError.invalid("recipientId", "is required")
    recipient = _recipient(body, "recipientId")
    call.api.conversations.check_users([recipient])
    params = {name: value for name, value in body.items() if name != "recipientId"}
    message_id = call.api.conversations.new_id()
    call.api.chat.send_system_message(call.user_id, recipient, message_id, params)
    content = {"messageId": message_id, "recipientId": recipient, "extensionParams": params}
    return Response(status=201, content=content)


@route(
    "PUT",
    "chat/Message/{id}/reactions",
    Auth.USER,
    inferred="another reaction of the user takes the place of the first",
)
def change_reaction(call: Call) -> Response:
    """Set or remove the user's reaction."""
    body = call.request.json()
    add, remove = (_reaction(body, name) for name in ("add", "remove"))
    if add is None and remove is None:
        raise ApiError(422, "add or remove is required")
    conversations = call.api.conversations
    message, dialog = conversations.message_for(call.user_id, call.arguments["id"])
    if conversations.store.react(message["id"], call.user_id, add=add, remove=remove):
        conversations.store.update_message(message["id"], {"updated_at": conversations.now()})
        call.api.chat.show_reaction(dialog, message, call.user_id, add=add, remove=remove)
    return Response()


@route("GET", "chat/Message/{id}/reactions", Auth.USER)
def list_reactions(call: Call) -> Response:
    """List the users by reaction."""
    message, _ = call.api.conversations.message_for(call.user_id, call.arguments["id"])
    return Response(content=_with_receipts(call, message)["reactions"])


def _reaction(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ApiError.invalid(name, "must be a string that is not empty")
    return value


def _body(body: dict[str, Any]) -> str | None:
    value = body.get("message")
    if value is not None and not isinstance(value, str):
        raise ApiError.invalid("message", "must be a string")
    return value


def _attachments(value: Any) -> list[dict[str, Any]]:
    # A list, or an object of numbered entries as the documentation writes it.
    entries: Any = value or []
    if isinstance(value, AnyDict):
        entries = list(value.values())
    if not isinstance(entries, AnyList) or not all(isinstance(entry, AnyDict) for entry in entries):
        raise ApiError.invalid("attachments", "must hold objects")
    return entries
