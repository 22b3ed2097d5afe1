"""Search in dialogs and messages. (Guide: Global search.)"""

from __future__ import annotations

import math
from datetime import datetime, timezone

from .._checks import check_str, check_time
from ..errors import ArgumentValueError
from ..models import SearchResult
from ..models._json import as_mapping
from ._api import Api
from ._arguments import check_dialog_id, check_each
from ._query import Pairs, QuerySchema, comma_separated
from ._response import read_object, unexpected
from .sessions import Sessions

__all__ = ["search"]

_LISTS = ("dialogs", "messages", "users")

SEARCH = QuerySchema()
"""A search has no fields to look up."""


def search(
    api: Api,
    text: str,
    *,
    dialogs: object = None,
    start: datetime | float | None = None,
    end: datetime | float | None = None,
    limit: int | None = None,
    timeout: float | None = None,
) -> SearchResult:
    """Search, with the arguments of :meth:`ConnectyCube.search`."""
    query: Pairs = [("search_text", check_str("text", text))]
    if dialogs is not None:
        ids = check_each("dialogs", dialogs, check_dialog_id, empty=False)
        query.append(("chat_dialog_ids", comma_separated("dialogs", ids)))
    query += [*_span(start, end), *SEARCH.query({}, limit=limit)]
    response = api.call("GET", ("chat", "search"), query=query, timeout=timeout)
    found = read_object(response)
    found = as_mapping(found.get("results")) or found
    if not any(isinstance(found.get(name), list) for name in _LISTS):
        del found  # it may repeat a secret
        raise unexpected(response, "results of a search were expected")
    me = Sessions(api).user_id()  # private dialogs name both users
    return SearchResult.from_json(found, me=me)


def _span(start: datetime | float | None, end: datetime | float | None) -> Pairs:
    """Return the time span; the service calls its newer end ``start_date``, here any order will do."""
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
