"""REST: search. (Server documentation: Chat API, Global search.)"""

from __future__ import annotations

from typing import Any

from ..db.store import Row
from ..domain.api_error import ApiError
from ..domain.conversations import PRIVATE, Conversations
from ..domain.values import words
from .fields import count_of
from .query import time
from .request import Response
from .routing import Auth, Call, route

_LEAST_TEXT = 5
_MOST_DIALOGS = 10
_MOST_RESULTS = 100
_SPAN_SECONDS = 92 * 86_400  # the longest three months
_KNOWN = frozenset(("search_text", "chat_dialog_ids", "start_date", "end_date", "limit"))


@route(
    "GET",
    "chat/search",
    Auth.USER,
    inferred="three months are 92 days; dates are those of messages; users are those of the private"
    " dialogs, by full_name; newest first",
)
def search(call: Call) -> Response:
    """Find messages by text, dialogs and users by name; the search is case-sensitive."""
    given = dict(call.request.parameters())
    for unknown in given.keys() - _KNOWN:
        raise ApiError.invalid(unknown, "is not a parameter of the search")
    wanted = given.get("search_text", "")
    if len(wanted) < _LEAST_TEXT:
        raise ApiError.invalid("search_text", "must have more than 4 characters")
    limit = count_of(given, "limit", _MOST_RESULTS, least=1, most=_MOST_RESULTS)
    ids = words(given.get("chat_dialog_ids", ""))
    if len(ids) > _MOST_DIALOGS:
        raise ApiError.invalid("chat_dialog_ids", f"must not hold more than {_MOST_DIALOGS} ids")
    dates, bounds = _dates(given)
    chosen = f"d.id IN ({', '.join('?' * len(ids))})" if ids else "1"
    conversations = call.api.conversations
    messages = conversations.store.search_messages(
        call.user_id,
        f"instr(m.message, ?) > 0 AND {chosen} AND {dates}",
        [wanted, *ids, *bounds],
        limit=limit,
    )
    dialogs = conversations.store.dialogs_of(
        call.user_id,
        f"instr(d.name, ?) > 0 AND {chosen}",
        [wanted, *ids],
        order="d.updated_at DESC, d.id DESC",
        limit=limit,
    )
    return Response(
        content={
            "results": {
                "dialogs": conversations.json.dialogs(dialogs, call.user_id),
                "messages": conversations.json.messages(messages, call.user_id),
                "users": _users(call, wanted, limit),
            }
        }
    )


def _users(call: Call, wanted: str, limit: int) -> list[dict[str, Any]]:
    found = [
        user
        for user in map(call.api.store.user, _partners(call.api.conversations, call.user_id))
        if user is not None and wanted in (user["fields"].get("full_name") or "")
    ]
    return [call.api.accounts.user_json(user) for user in found[:limit]]


def _partners(conversations: Conversations, user_id: int) -> list[int]:
    private: list[Row] = conversations.store.dialogs_of(user_id, "d.type = ?", [PRIVATE])
    return [partner for dialog in private for partner in conversations.others(dialog, user_id)]


def _dates(given: dict[str, str]) -> tuple[str, list[float]]:
    start, end = (_moment(name, given.get(name)) for name in ("start_date", "end_date"))
    if start is not None and end is None:
        raise ApiError.invalid("end_date", "is required with start_date")
    if start is not None and end is not None and not 0 <= start - end <= _SPAN_SECONDS:
        raise ApiError.invalid(
            "end_date", "must be before start_date, the newer bound, by not more than 3 months"
        )
    bounds = {"m.date_sent <= ?": start, "m.date_sent >= ?": end}
    used = {sql: moment for sql, moment in bounds.items() if moment is not None}
    return " AND ".join(["1", *used]), list(used.values())


def _moment(name: str, value: str | None) -> float | None:
    try:
        return None if value is None else time(value)
    except (ValueError, OverflowError):
        raise ApiError.invalid(name, "must be a time like 2016-03-23T17:00:42Z") from None
