"""REST: the Administration API. (Administration documentation: Chat, User, Statistics.)

Its calls have a key of their own and no session; those for meetings are in ``meetings``.
"""

from __future__ import annotations

from typing import Any

from ..domain import dialog_rules
from ..domain.api_error import ApiError
from ..domain.values import flag, integer, natural
from .dialogs import COLUMNS as DIALOG_COLUMNS
from .dialogs import extension_column
from .fields import count_of, identifier
from .query import Column, ListQuery, text, time
from .request import Response
from .routing import Auth, Call, route

_MOST = 100
_DIALOGS_BY = {
    "_id": "d.id {}",
    "created_at": "d.created_at {}, d.id {}",
    "updated_at": "d.updated_at {}, d.id {}",
}
_MESSAGES = {
    "_id": Column("m.id", text),
    "chat_dialog_id": Column("m.dialog_id", text),
    "created_at": Column("m.created_at", time),
    "updated_at": Column("m.updated_at", time),
}
_MESSAGES_BY = {
    "_id": "m.id {}",
    "created_at": "m.created_at {}, m.id {}",
    "updated_at": "m.updated_at {}, m.id {}",
}
# Clients may write a date_sent in milliseconds.
_SENT = "(CASE WHEN date_sent > 100000000000 THEN date_sent / 1000 ELSE date_sent END)"


# --- chat -----------------------------------------------------------------------------------------


@route(
    "GET",
    "admin/chat/list",
    Auth.ADMIN,
    inferred="default order: the greatest _id first; a limit above 100 is 100; total_entries of the filter",
)
def list_dialogs(call: Call) -> Response:
    """List the dialogs of all users."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=DIALOG_COLUMNS,
        nested={"extensions": extension_column},
        sortable=_DIALOGS_BY,
        default_order="d.id DESC",
    )
    conversations = call.api.conversations
    total = conversations.store.count_dialogs(query.where, query.values)
    if query.count:
        return Response(content={"items": {"count": total}})
    limit = min(query.limit, _MOST)
    rows = conversations.store.list_dialogs(
        query.where, query.values, order=query.order, limit=limit, skip=query.skip
    )
    return _page(query, limit, total, conversations.json.administration_dialogs(rows))


@route(
    "GET",
    "admin/chat/messages/list",
    Auth.ADMIN,
    inferred="default order: the greatest _id first; a limit above 100 is 100; edited_at is always null",
)
def list_messages(call: Call) -> Response:
    """List the messages of all dialogs."""
    query = ListQuery.parse(
        call.request.parameters(),
        columns=_MESSAGES,
        sortable=_MESSAGES_BY,
        default_order="m.id DESC",
    )
    conversations = call.api.conversations
    limit = min(query.limit, _MOST)
    rows = conversations.store.list_messages(
        query.where, query.values, order=query.order, limit=limit, skip=query.skip
    )
    total = conversations.store.count_all_messages(query.where, query.values)
    return _page(query, limit, total, conversations.json.administration_messages(rows))


def _page(query: ListQuery, limit: int, total: int, items: list[dict[str, Any]]) -> Response:
    page = {"total_entries": total, "skip": query.skip, "limit": limit, "items": items}
    return Response(content=page)


@route(
    "PUT",
    "admin/chat/{id}",
    Auth.ADMIN,
    inferred="is_muted needs an occupant; the answer has the last message; no roles are asked for",
)
def update_dialog(call: Call) -> Response:
    """Change any dialog, or mute it for one of its users."""
    conversations, dialog_id = call.api.conversations, call.arguments["id"]
    body = call.request.json()
    conversations.dialog(dialog_id)
    muted = body.pop("is_muted", None)
    user_id = None if muted is None else _occupant(call, body.pop("user_id", ""))
    if user_id is None or body:
        dialog_rules.update(conversations, None, dialog_id, body)
        call.api.chat.show_dialog_change(dialog_id, None)
    if user_id is not None:
        conversations.store.set_preference(dialog_id, user_id, "notifications", not flag(muted))
    rows = [conversations.dialog(dialog_id)]
    return Response(content=conversations.json.administration_dialogs(rows)[0])


def _occupant(call: Call, value: Any) -> int:
    """Read the id of an occupant of the dialog."""
    conversations, user_id = call.api.conversations, natural(str(value))
    if user_id is None:
        raise ApiError.invalid("user_id", "is required with is_muted")
    conversations.check_users([user_id])
    dialog = conversations.dialog(call.arguments["id"])
    if user_id not in conversations.members(dialog):
        raise ApiError.invalid("user_id", "is not in this dialog")
    return user_id


# --- users ----------------------------------------------------------------------------------------


@route("DELETE", "admin/user/{id}", Auth.ADMIN, inferred="404 for an unknown user")
def delete_user(call: Call) -> Response:
    """Delete any user."""
    accounts, user_id = call.api.accounts, identifier(call.arguments["id"], "User")
    accounts.user(user_id)
    accounts.delete_user(user_id)
    return Response(content={"success": True})


# --- statistics -----------------------------------------------------------------------------------


@route("GET", "admin/stats/messages/sent-total", Auth.ADMIN, inferred="both dates are included")
def messages_sent(call: Call) -> Response:
    """Count the messages that were sent."""
    where, values = _span(call, _SENT)
    return Response(
        content={"total": call.api.conversations.store.count_all_messages(where, values)}
    )


@route("GET", "admin/stats/messages/sent-per-day", Auth.ADMIN, inferred="days in UTC, oldest first")
def messages_per_day(call: Call) -> Response:
    """Count the messages that were sent on each day."""
    where, values = _span(call, _SENT)
    return _days(call, "messages", _SENT, where, values)


@route("GET", "admin/stats/dialogs/created-total", Auth.ADMIN, inferred="both dates are included")
def dialogs_created(call: Call) -> Response:
    """Count the dialogs that were created."""
    where, values = _of_types(call)
    return Response(content={"total": call.api.conversations.store.count_dialogs(where, values)})


@route(
    "GET", "admin/stats/dialogs/created-per-day", Auth.ADMIN, inferred="days in UTC, oldest first"
)
def dialogs_per_day(call: Call) -> Response:
    """Count the dialogs that were created on each day."""
    where, values = _of_types(call)
    return _days(call, "dialogs", "created_at", where, values)


def _span(call: Call, moment: str) -> tuple[str, list[Any]]:
    """Return the condition of start_date and end_date, and its values."""
    given = dict(call.request.parameters())
    where = ["1"]
    values: list[Any] = []
    for name, comparison in (("start_date", ">="), ("end_date", "<=")):
        if name in given:
            try:
                values.append(integer(given[name]))
            except ValueError:
                raise ApiError.invalid(name, "must be a timestamp") from None
            where.append(f"{moment} {comparison} ?")
    return " AND ".join(where), values


def _of_types(call: Call) -> tuple[str, list[Any]]:
    """Return the condition of the dates and types, and its values."""
    where, values = _span(call, "created_at")
    types = [value for name, value in call.request.parameters() if name in ("types[]", "types")]
    if not types:
        return where, values
    numbers = [natural(each) for each in types]
    if None in numbers:
        raise ApiError.invalid("types", "must be numbers")
    return f"{where} AND type IN ({', '.join('?' * len(numbers))})", [*values, *numbers]


def _days(call: Call, table: str, moment: str, where: str, values: list[Any]) -> Response:
    given = dict(call.request.parameters())
    limit, skip = count_of(given, "limit", _MOST), count_of(given, "offset", 0)
    store = call.api.conversations.store
    days = store.per_day(table, moment, where, values, limit=limit, skip=skip)
    return Response(content=days)
