"""Reading a list to its end, page after page, while others write.

The service pages by position (``skip``), and positions move: items that are added in front repeat items,
items that are removed in front hide some. So each page begins with an item that was read before, the *link*,
and says with it how far the list has moved:

- A page that holds a known item in its old place continues what was read. What lies behind that item is new,
  and the next page is asked for where the last item read is now.
- In a page without such an item some may be hidden between what was read and the page. It is read again from
  further in front, page by page, until it links.
- Items that are read again are left out by their keys, and so is an item that has moved.
- A request that brings nothing new is allowed now and then, and not forever: a service that ignores
  positions, or a list that moves faster than it can be read, ends in an error.

Where the service can filter by the date that it sorts by, each page begins at the date at which the last one
ended, and positions count from there. Dates are compared as the service writes them, which may be seconds
or milliseconds. Items without a date, which such a filter leaves out, are read in the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Generic, Literal, TypeVar

from attrs import asdict, evolve, frozen, has

from .._checks import check_int
from ..errors import ResponseTooLargeError, UnexpectedResponseError
from ..models import Page

__all__ = ["PAGE_SIZE", "Items", "PageReader", "Row", "Span", "check_page_size", "rows_of"]

Item = TypeVar("Item")

PAGE_SIZE = 100
_LEAST_LIMIT = 2  # the link, and an item behind it
_LINKS_PER_PAGE = 20  # one item in so many is asked for again: a page of 100 overlaps by 5
_IDLE_REQUESTS = 10  # without a new item, beyond those that read all known items again three times

Row = tuple[Hashable, "int | None", Item]
"""An item of a page, behind its key and its date as the service writes it (None: it has none)."""


@frozen
class Span:
    """What one request asks for: ``limit`` items from ``position`` on, counted from the date ``start``."""

    position: int
    limit: int
    start: int | None = None


def check_page_size(value: object) -> int:
    """Return a page size; the service cuts pages off at 100."""
    return check_int("page_size", value, least=1, most=PAGE_SIZE)


class PageReader(Generic[Item]):
    """Iterates over what each page of a list adds; ``known`` holds the keys of all items so far.

    A request that fails raises, and the next step asks again: nothing is lost or repeated. A page that is
    too large is asked for in halves.

    Args:
        fetch: Returns the page of a span.
        page_size: The number of items on a page. At least two are asked for, as one may be known.
        url: The list, for errors.
        windows: "asc" or "desc" if ``fetch`` can begin at a date, and the list is sorted by it that way.
        known: The keys of items that were read before.
    """

    def __init__(
        self,
        fetch: Callable[[Span], Page[Row[Item]]],
        page_size: int,
        *,
        url: str,
        windows: Literal["asc", "desc"] | None = None,
        known: Iterable[Hashable] = (),
    ) -> None:
        self._fetch = fetch
        self._url = url
        self._windows = windows
        self._span = Span(0, max(_LEAST_LIMIT, page_size))
        self.known = set(known)
        self.requests = 0
        """How many pages have been read."""
        self._order: dict[Hashable, tuple[int, int | None]] = {}  # what was read: number and date
        self._count = 0  # the numbers that were given, in the list's order
        self._last_at = -1  # where the last of these items is, as far as it is known
        self._longest = 0  # the most items that a page has held
        self._idle = 0  # requests without a new item, since the last one with any
        self._has_stepped_back = False
        self._has_ended = False

    def __iter__(self) -> Iterator[tuple[Item, ...]]:
        return self

    def __next__(self) -> tuple[Item, ...]:
        """Return the new items of the next page that has any.

        Raises:
            UnexpectedResponseError: The service ignores positions, or the list moves too fast.
            ApiError: A request failed; the next call asks again.
        """
        while not self._has_ended:
            new = self._take(self._ask())
            if new:
                return new
        raise StopIteration

    def _ask(self) -> Page[Row[Item]]:
        while True:
            try:
                return self._fetch(self._span)
            except ResponseTooLargeError:
                if self._span.limit == _LEAST_LIMIT:
                    raise
            self._span = evolve(self._span, limit=max(_LEAST_LIMIT, self._span.limit // 2))

    def _take(self, page: Page[Row[Item]]) -> tuple[Item, ...]:
        """Return the new items of a page, and decide what to ask for next."""
        # What has no key is known by its content: the same page may come again.
        rows = tuple(
            (key if key is not None else _content_of(item), date, item)
            for key, date, item in page.items
        )
        self.requests += 1
        self._longest = max(self._longest, len(rows))
        if self._is_before_start(rows):
            self._read_without_windows()
            return ()
        link = self._link(rows)
        if link is None and self._span.position > 0:
            self._step_back()
            return ()
        moved = self._moved(rows, link)
        new = self._note(rows, link)
        if new:
            self._idle, self._has_stepped_back = 0, False
        else:
            self._count_idle()
        if self._is_last(page, bool(new)):
            self._has_ended = True
        elif not (self._windows and new and self._begin_window(rows)):
            # A list that moves as fast as it is read is met where it will be.
            lead = moved if self._idle > 1 else 0
            self._go_to(self._last_at + 1 + lead - self._overlap)
        return new

    # --- what is known ---

    def _link(self, rows: Collection[Row[Item]]) -> int | None:
        """Return the offset of the last row that is known and has kept its date; None if there is none."""
        found = None
        for offset, (key, date, _) in enumerate(rows):
            before = self._order.get(key)
            if before is not None and before[1] == date:
                found = offset
        return found

    def _moved(self, rows: tuple[Row[Item], ...], link: int | None) -> int:
        """Return by how many places the list has moved back since the page before."""
        if link is None:
            return 0
        expected = self._last_at - (self._count - 1 - self._order[rows[link][0]][0])
        return max(0, self._span.position + link - expected)

    def _note(self, rows: tuple[Row[Item], ...], link: int | None) -> tuple[Item, ...]:
        """Note where the rows are, and return the items that are new."""
        # Without a link the page shares no item with the pages before it. Their items were removed from the
        # list, or moved behind this page, so the order of the list is built again from this page.
        if link is None:
            self._order, self._count, link = {}, 0, -1
        new: list[Item] = []
        behind = (
            self._count - 1 - self._order[rows[link][0]][0] if link == len(rows) - 1 >= 0 else 0
        )
        for offset, (key, date, item) in enumerate(rows):
            if key not in self.known:
                new.append(item)
                self.known.add(key)
            if offset > link:
                self._order[key] = (self._count, date)
                self._count += 1
        self._last_at = self._span.position + len(rows) - 1 + behind
        return tuple(new)

    # --- where to go on ---

    @property
    def _overlap(self) -> int:
        return max(1, min(self._longest, self._span.limit) // _LINKS_PER_PAGE)

    def _go_to(self, position: int) -> None:
        self._span = evolve(self._span, position=max(0, position))

    def _step_back(self) -> None:
        """Read from further in front: as many items are gone as lie between the last link and this page."""
        self._count_idle()
        self._has_stepped_back = True
        step = max(1, min(self._longest, self._span.limit) - self._overlap)
        self._go_to(self._span.position - step)

    def _begin_window(self, rows: tuple[Row[Item], ...]) -> bool:
        """Let positions count from the date of the last row on, if that date begins on this page."""
        start = rows[-1][1]
        run = 0
        while run < len(rows) and rows[-1 - run][1] == start:
            run += 1
        if start is None or start == self._span.start or run == len(rows):
            return False
        self._order = {key: (number, start) for number, (key, _, _) in enumerate(rows[-run:])}
        self._count, self._last_at = run, run - 1
        self._span = Span(max(0, run - self._overlap), self._span.limit, start)
        return True

    def _is_before_start(self, rows: tuple[Row[Item], ...]) -> bool:
        """Whether the page holds what its window leaves out: then the service filters not as it sorts."""
        start = self._span.start
        if start is None or not rows:
            return False
        first = rows[0][1]
        return first is None or (first > start if self._windows == "desc" else first < start)

    def _read_without_windows(self) -> None:
        self._windows, self._span = None, Span(0, self._span.limit)
        self._order, self._count, self._last_at = {}, 0, -1

    # --- the end ---

    def _is_last(self, page: Page[Row[Item]], has_new: bool) -> bool:
        """Tell whether no page can follow; the service may return less than was asked for."""
        limit = self._span.limit
        if len(page) >= (limit if page.limit is None else min(page.limit, limit)):
            return False
        end = self._span.position + len(page)
        total = page.total_entries
        # A service that names its limit, and returns less, has no more.
        is_end = page.limit is not None if total is None else end >= total
        if is_end:
            return True
        return not has_new and (self._has_stepped_back or end == self._last_at + 1)

    def _count_idle(self) -> None:
        self._idle += 1
        if self._idle > _IDLE_REQUESTS + 3 * len(self.known) // self._span.limit:
            raise UnexpectedResponseError(
                f"GET {self._url} brought nothing new in {self._idle} requests at different positions: the"
                " service ignores them, or the list changes faster than it can be read",
                method="GET",
                url=self._url,
                status=200,
            )


def _content_of(item: object) -> str:
    return repr(asdict(item)) if has(type(item)) else repr(item)  # type: ignore[arg-type]


def rows_of(page: Page[Item], key: Callable[[Item], Hashable]) -> Page[Row[Item]]:
    """Return a page of a list that is not sorted by date as rows."""
    rows: tuple[Row[Item], ...] = tuple((key(item), None, item) for item in page)
    return Page(items=rows, total_entries=page.total_entries, skip=page.skip, limit=page.limit)


class Items(Generic[Item]):
    """Iterates over the items of one list after the other; after an error the next step asks again."""

    def __init__(self, readers: Iterable[Iterator[tuple[Item, ...]]]) -> None:
        self._readers = iter(readers)
        self._reader: Iterator[tuple[Item, ...]] = iter(())
        self._waiting: deque[Item] = deque()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Return the next item."""
        while not self._waiting:
            page = next(self._reader, None)
            if page is None:
                self._reader = next(self._readers)
            else:
                self._waiting.extend(page)
        return self._waiting.popleft()
