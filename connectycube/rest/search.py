"""Search in dialogs and messages. (Guide: Global search.)"""

from __future__ import annotations

import math
from datetime import datetime, timezone

from .._checks import check_int, check_str
from ..errors import ArgumentValueError
from ..models import SearchResult
from .arguments import check_dialog_id, check_nonempty_list, check_time
from .transport import Transport

__all__ = ["search"]

_LISTS = ("dialogs", "messages", "users")


def search(
    transport: Transport,
    text: str,
    *,
    dialogs: object = None,
    start: datetime | float | None = None,
    end: datetime | float | None = None,
    limit: int | None = None,
    timeout: float | None = None,
) -> SearchResult:
    """Carry out :meth:`ConnectyCube.search`."""
    query: list[tuple[str, str | int]] = [("search_text", check_str("text", text))]
    if dialogs is not None:
        query.append(
            ("chat_dialog_ids", ",".join(check_nonempty_list("dialogs", dialogs, check_dialog_id)))
        )
    query += _span(start, end)
    if limit is not None:
        query.append(("limit", check_int("limit", limit, least=1)))
    answer = transport.call("GET", ("chat", "search"), query=query, timeout=timeout)
    data = answer.object()
    if not isinstance(data.get("results"), dict) and not any(name in data for name in _LISTS):
        raise answer.unexpected("results of a search were expected")
    session = transport.session
    return SearchResult.from_json(data, me=session.user_id if session is not None else None)


def _span(
    start: datetime | float | None, end: datetime | float | None
) -> list[tuple[str, str | int]]:
    """The service's ``start_date`` is the newer bound; either order is accepted here."""
    if end is None:
        if start is not None:
            raise ArgumentValueError("start needs an end")
        return []
    bounds = [check_time("end", end, math.floor)]
    if start is not None:
        check_time("start", start, math.floor)
        bounds = [
            max(check_time("start", start, math.ceil), check_time("end", end, math.ceil)),
            min(check_time("start", start, math.floor), bounds[0]),
        ]
    names = ("start_date", "end_date")[-len(bounds) :]
    return [(name, _iso("end", bound)) for name, bound in zip(names, bounds, strict=True)]


def _iso(name: str, seconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise ArgumentValueError(f"{name} is no time that a calendar has: {seconds}") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
