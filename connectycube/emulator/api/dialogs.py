"""REST: dialogs. (Server documentation: Chat API, dialogs.)"""

from __future__ import annotations

from ..domain import deletions, dialog_rules
from ..domain.api_error import ApiError
from ..domain.conversations import BROADCAST
from ..domain.values import flag, integer, words
from .query import Column, ListQuery, text, time
from .request import Response
from .routing import Auth, Call, route

__all__ = ["COLUMNS", "extension_column", "forced"]

COLUMNS = {
    "_id": Column("d.id", text),
    "type": Column("d.type", integer),
    "name": Column("d.name", text),
    "last_message_date_sent": Column("d.last_message_date_sent", time),
    "created_at": Column("d.created_at", time),
    "updated_at": Column("d.updated_at", time),
}
_NEWEST_MESSAGE = "coalesce(d.last_message_date_sent, d.created_at) {}, d.id {}"
_SORTABLE = {
    "last_message_date_sent": _NEWEST_MESSAGE,
    "date_sent": _NEWEST_MESSAGE,  # an example of the documentation has it
    "created_at": "d.created_at {}, d.id {}",
    "updated_at": "d.updated_at {}, d.id {}",
}


def extension_column(name: str) -> Column:
    """Return the column of an extension."""
    return Column(f"json_extract(d.extra, '$.extensions.\"{name}\"')", text)


@route("GET", "chat/Dialog", Auth.USER, inferred="default order: newest message first")
def list_dialogs(call: Call) -> Response:
    """List the dialogs of the user."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=COLUMNS,
        nested={"extensions": extension_column},
        sortable=_SORTABLE,
        default_order=_NEWEST_MESSAGE.replace("{}", "DESC"),
    )
    conversations = call.api.conversations
    total = conversations.store.count_dialogs_of(call.user_id, query.where, query.values)
    if query.count:
        return Response(content={"items": {"count": total}})
    rows = conversations.store.dialogs_of(
        call.user_id,
        query.where,
        query.values,
        order=query.order,
        limit=query.limit,
        skip=query.skip,
    )
    items = conversations.json.dialogs(rows, call.user_id)
    return Response(content=query.page(items, total_entries=total))


@route(
    "POST",
    "chat/Dialog",
    Auth.USER,
    inferred="201 also for a private dialog that exists; 404 for unknown occupants; 403 for a broadcast",
)
def create_dialog(call: Call) -> Response:
    """Create a group, private or public dialog."""
    conversations = call.api.conversations
    row = dialog_rules.create(conversations, call.user_id, call.request.json())
    return Response(status=201, content=conversations.dialog_json(row["id"], call.user_id))


@route(
    "PUT",
    "chat/Dialog/{id}",
    Auth.USER,
    inferred="the roles for extensions, data and permissions; extensions are replaced, data is merged",
)
def update_dialog(call: Call) -> Response:
    """Change a dialog."""
    dialog_rules.update(
        call.api.conversations, call.user_id, call.arguments["id"], call.request.json()
    )
    call.api.chat.show_dialog_change(call.arguments["id"], call.user_id)
    return _dialog(call)


@route("PUT", "chat/Dialog/{id}/admins", Auth.USER, inferred="admins must be occupants")
def change_admins(call: Call) -> Response:
    """Add and remove admins."""
    dialog_rules.change_admins(
        call.api.conversations, call.user_id, call.arguments["id"], call.request.json()
    )
    call.api.chat.show_dialog_change(call.arguments["id"], call.user_id)
    return _dialog(call)


@route("POST", "chat/Dialog/{id}/subscribe", Auth.USER, inferred="200 also for a subscriber")
@route("POST", "chat/dialog/{id}/subscribe", Auth.USER, inferred="200 also for a subscriber")
def subscribe(call: Call) -> Response:
    """Join a public dialog."""
    dialog_rules.subscribe(call.api.conversations, call.user_id, call.arguments["id"])
    return _dialog(call)


@route("DELETE", "chat/Dialog/{id}/subscribe", Auth.USER, inferred="403 for a user outside")
@route("DELETE", "chat/dialog/{id}/subscribe", Auth.USER, inferred="403 for a user outside")
def unsubscribe(call: Call) -> Response:
    """Leave a public dialog."""
    dialog_rules.unsubscribe(call.api.conversations, call.user_id, call.arguments["id"])
    call.api.chat.show_dialog_change(call.arguments["id"], call.user_id)
    return Response()


@route("GET", "chat/Dialog/{id}/occupants", Auth.USER, inferred="for occupants only")
def list_occupants(call: Call) -> Response:
    """List the users of a dialog."""
    query = ListQuery.parse(
        call.request.parameters(), columns={}, sortable={}, default_order="user_id"
    )
    conversations, store = call.api.conversations, call.api.store
    dialog = conversations.dialog_for(call.user_id, call.arguments["id"])
    if dialog["type"] == BROADCAST:
        user_ids = store.user_ids(limit=query.limit, skip=query.skip)
    else:
        rows = conversations.store.occupants(dialog["id"], limit=query.limit, skip=query.skip)
        user_ids = [row["user_id"] for row in rows]
    users = [user for user in map(store.user, user_ids) if user is not None]
    return Response(content={"items": [call.api.accounts.user_json(user) for user in users]})


@route("GET", "chat/Dialog/{id}/notifications", Auth.USER)
def get_notifications(call: Call) -> Response:
    """Tell whether the user gets pushes from a dialog."""
    conversations = call.api.conversations
    dialog = conversations.dialog_for(call.user_id, call.arguments["id"])
    wanted = conversations.store.preference(dialog["id"], call.user_id, "notifications")
    return Response(content={"notifications": {"enabled": 1 if wanted is None else wanted}})


@route("PUT", "chat/Dialog/{id}/notifications", Auth.USER)
def set_notifications(call: Call) -> Response:
    """Turn the user's pushes from a dialog on or off."""
    enabled = str(call.request.json().get("enabled"))
    if enabled not in ("0", "1"):
        raise ApiError.invalid("enabled", "must be 0 or 1")
    conversations = call.api.conversations
    dialog = conversations.dialog_for(call.user_id, call.arguments["id"])
    conversations.store.set_preference(dialog["id"], call.user_id, "notifications", enabled == "1")
    return Response(content={"notifications": {"enabled": int(enabled)}})


@route("DELETE", "chat/Dialog/clearHistory/{id}", Auth.USER)
def clear_history(call: Call) -> Response:
    """Delete all messages of a dialog, for the user or (force) for everybody."""
    deletions.clear_history(
        call.api.conversations, call.user_id, call.arguments["id"], force=forced(call)
    )
    return Response()


@route(
    "DELETE",
    "chat/Dialog/{ids}",
    Auth.USER,
    inferred="without force the user leaves a group, and a private dialog is hidden until its next message",
)
def delete_dialogs(call: Call) -> Response:
    """Delete dialogs, for the user or (force) for everybody; one id is answered without a body."""
    force = forced(call)

    def delete(dialog_id: str) -> None:
        deletions.delete_dialog(call.api.conversations, call.user_id, dialog_id, force=force)
        call.api.chat.show_dialog_change(dialog_id, call.user_id)

    if "," in call.arguments["ids"]:
        return Response(content=deletions.delete_each(words(call.arguments["ids"]), delete))
    delete(call.arguments["ids"])
    return Response()


def forced(call: Call) -> bool:
    """Whether a deletion is for everybody; clients send ``force`` in the query or in a form."""
    return flag({**call.request.json(), **dict(call.request.parameters())}.get("force"))


def _dialog(call: Call) -> Response:
    return Response(content=call.api.conversations.dialog_json(call.arguments["id"], call.user_id))
