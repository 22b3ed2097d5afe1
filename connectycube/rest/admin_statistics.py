"""Statistics of the application, by the Administration API. (Administration API: Statistics.)"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from .._checks import check_time
from .._not_copied import NotCopied
from ..models import DailyCount, DialogType, Page
from ..models._json import as_int
from ._admin_api import AdminApi
from ._arguments import check_each
from ._http import Response
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, check_page_size, rows_of
from ._query import Pairs, QuerySchema, check_type_filter
from ._response import read_object, unexpected

__all__ = ["AdminStatistics"]

SomeTime = datetime | float
SomeTypes = int | DialogType | Iterable[int | DialogType]

_SENT, _SENT_PER_DAY = (("stats", "messages", name) for name in ("sent-total", "sent-per-day"))
_CREATED, _CREATED_PER_DAY = (
    ("stats", "dialogs", name) for name in ("created-total", "created-per-day")
)
_DAYS = QuerySchema(skip_name="offset")


class AdminStatistics(NotCopied):
    """How many messages were sent and dialogs created; every method may be called from any thread.

    ``start`` and ``end`` are aware datetimes or unix seconds; None leaves that side open. No session is
    needed. (Administration API: Statistics.)

    Example:
        >>> cube.admin.statistics.messages_sent(start=4_000_000_000)
        0
    """

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def messages_sent(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        timeout: float | None = None,
    ) -> int:
        """Return how many messages were sent. (Administration API: Messages sent total.)

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The number of messages.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._total(_SENT, _span(start, end), timeout)

    def messages_sent_per_day(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        limit: int | None = None,
        skip: int | None = None,
        timeout: float | None = None,
    ) -> Page[DailyCount]:
        """Return how many messages were sent on each day. (Administration API: Messages sent per day.)

        Days without messages are left out.

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            limit: The number of days on the page; by default the service takes 100.
            skip: The number of days to leave out in front.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            One page of days.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._days(_SENT_PER_DAY, _span(start, end), limit, skip, timeout)

    def iter_messages_sent_per_day(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
    ) -> Iterator[DailyCount]:
        """Return an iterator over the numbers of messages that were sent on each day, page after page.

        (Administration API: Messages sent per day.)

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            page_size: The number of days on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.

        Returns:
            An iterator over the days that have any message; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: An argument has the wrong type; raised at once.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None; raised at
                once.
            ApiError: A call failed; raised while iterating.
        """
        return self._all_days(_SENT_PER_DAY, _span(start, end), page_size, timeout)

    def dialogs_created(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        types: SomeTypes = (),
        timeout: float | None = None,
    ) -> int:
        """Return how many dialogs were created. (Administration API: Dialogs created total.)

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            types: The types to count; all of them by default.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The number of dialogs.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._total(_CREATED, [*_span(start, end), *_types(types)], timeout)

    def dialogs_created_per_day(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        types: SomeTypes = (),
        limit: int | None = None,
        skip: int | None = None,
        timeout: float | None = None,
    ) -> Page[DailyCount]:
        """Return how many dialogs were created on each day. (Administration API: Dialogs created per day.)

        Days without new dialogs are left out.

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            types: The types to count; all of them by default.
            limit: The number of days on the page; by default the service takes 100.
            skip: The number of days to leave out in front.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            One page of days.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        fixed = [*_span(start, end), *_types(types)]
        return self._days(_CREATED_PER_DAY, fixed, limit, skip, timeout)

    def iter_dialogs_created_per_day(
        self,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        *,
        types: SomeTypes = (),
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
    ) -> Iterator[DailyCount]:
        """Return an iterator over the numbers of dialogs that were created on each day, page after page.

        (Administration API: Dialogs created per day.)

        Args:
            start: The beginning of the time span.
            end: The end of the time span.
            types: The types to count; all of them by default.
            page_size: The number of days on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.

        Returns:
            An iterator over the days that have any new dialog; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: An argument has the wrong type; raised at once.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None; raised at
                once.
            ApiError: A call failed; raised while iterating.
        """
        fixed = [*_span(start, end), *_types(types)]
        return self._all_days(_CREATED_PER_DAY, fixed, page_size, timeout)

    def _total(self, path: tuple[str, ...], query: Pairs, timeout: float | None) -> int:
        response = self._api.call("GET", path, query=query, timeout=timeout)
        total = as_int(read_object(response).get("total"))
        if total is None:
            raise unexpected(response, "a total was expected")
        return total

    def _days(
        self,
        path: tuple[str, ...],
        fixed: Pairs,
        limit: int | None,
        skip: int | None,
        timeout: float | None,
    ) -> Page[DailyCount]:
        query = [*fixed, *_DAYS.query({}, limit=limit, skip=skip)]
        response = self._api.call("GET", path, query=query, timeout=timeout)
        return Page(items=_read_days(response), skip=skip, limit=limit)

    def _all_days(
        self, path: tuple[str, ...], fixed: Pairs, page_size: int, timeout: float | None
    ) -> Iterator[DailyCount]:
        self._api.check_key()

        def fetch(span: Span) -> Page[Row[DailyCount]]:
            page = self._days(path, fixed, span.limit, span.position or None, timeout)
            # The service says neither limit nor total, so that a short page is no end.
            return rows_of(Page(items=page.items), lambda count: count.day)

        url = self._api.url(path)
        return Items([PageReader(fetch, check_page_size(page_size), url=url)])


def _span(start: SomeTime | None, end: SomeTime | None) -> Pairs:
    """Return the parameters of a time span, which is widened to whole seconds."""
    query: Pairs = []
    if start is not None:
        query.append(("start_date", check_time("start", start, math.floor)))
    if end is not None:
        query.append(("end_date", check_time("end", end, math.ceil)))
    return query


def _types(types: SomeTypes) -> Pairs:
    each = check_each("types", types, lambda name, value: check_type_filter(name, value, ""))
    return [("types[]", number) for number in each]


def _read_days(response: Response) -> tuple[DailyCount, ...]:
    """Return the object of days as counts; a day that cannot be read is an error, as it would be missed."""
    days: list[DailyCount] = []
    for text, value in read_object(response).items():
        day, count = _day_of(text), as_int(value)
        if day is None or count is None:
            raise unexpected(response, "days with their counts were expected")
        days.append(DailyCount(day=day, count=count))
    return tuple(days)


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
