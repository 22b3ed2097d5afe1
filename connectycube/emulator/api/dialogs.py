"""REST: dialogs. (Server documentation: Chat API, dialogs.)"""

from __future__ import annotations

from typing import Any

from ..conversations import PRIVATE
from ..refusal import Refusal
from .query import Column, ListQuery, integer, text, time
from .request import Reply
from .routing import Auth, Call, route

_COLUMNS = {
    "_id": Column("d.id", text),
    "type": Column("d.type", integer),
    "name": Column("d.name", text),
    "last_message_date_sent": Column("d.last_message_date_sent", time),
    "created_at": Column("d.created_at", time),
    "updated_at": Column("d.updated_at", time),
}
_SORTABLE = {
    "last_message_date_sent": "coalesce(d.last_message_date_sent, d.created_at) {}, d.id {}"
}


@route("GET", "chat/Dialog", Auth.USER, inferred="default order: newest message first")
def list_dialogs(call: Call) -> Reply:
    """List the dialogs of the user."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=_COLUMNS,
        sortable=_SORTABLE,
        default_order=_SORTABLE["last_message_date_sent"].replace("{}", "DESC"),
    )
    store = call.api.store
    total = store.count_dialogs_of(call.user_id, query.where, query.values)
    if query.count:
        return Reply(content={"items": {"count": total}})
    rows = store.dialogs_of(
        call.user_id,
        query.where,
        query.values,
        order=query.order,
        limit=query.limit,
        skip=query.skip,
    )
    items = call.api.conversations.dialogs_json(rows, call.user_id)
    return Reply(content=query.page(items, total_entries=total))


@route("POST", "chat/Dialog", Auth.USER, inferred="201 also for a private dialog that exists")
def create_dialog(call: Call) -> Reply:
    """Make a dialog; of two users there is one private dialog, whoever asks."""
    body = call.request.json()
    if "type" not in body:
        raise Refusal.invalid("type", "is required")
    if str(body["type"]) in ("1", "2", "4"):
        raise Refusal(501, f"The emulator does not implement dialogs of type {body['type']}")
    if str(body["type"]) != str(PRIVATE):
        raise Refusal.invalid("type", "must be 1, 2, 3 or 4")
    others = [user_id for user_id in _ids(body.get("occupants_ids")) if user_id != call.user_id]
    if len(others) != 1:
        raise Refusal.invalid("occupants_ids", "of a private dialog must hold one other user")
    conversations = call.api.conversations
    dialog = conversations.private_dialog(call.user_id, others[0])
    return Reply(status=201, content=conversations.dialogs_json([dialog], call.user_id)[0])


def _ids(value: Any) -> list[int]:
    # a list, or one string "1, 2" as the JavaScript SDK writes it
    if value is None:
        raise Refusal.invalid("occupants_ids", "is required")
    parts = value if isinstance(value, list) else str(value).split(",")
    try:
        return list(dict.fromkeys(integer(str(part).strip()) for part in parts))
    except ValueError:
        raise Refusal.invalid("occupants_ids", "must be a list of user ids") from None
