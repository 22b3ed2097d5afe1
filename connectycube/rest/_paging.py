"""Reading a list to its end, page after page, while others write.

The service pages by position (``skip``), and positions move: items that are added in front repeat items,
items that are removed in front hide some. So each page overlaps the one before; the first items of a page
are known then, and left out. If none of them is known, the list has moved by more than the overlap, and the
page is read again from further in front.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from .._checks import check_int
from ..models import Message, Page

__all__ = ["PAGE_SIZE", "by_id", "check_page_size", "iterate_pages", "messages_by_time"]

Item = TypeVar("Item")

PAGE_SIZE = 100
_OVERLAP = 10


def check_page_size(value: object) -> int:
    """Return a page size: pages of one item could not overlap, and the service cuts them off at 100."""
    return check_int("page_size", value, least=2, most=PAGE_SIZE)


def iterate_pages(
    fetch: Callable[[int], Page[Item]], key: Callable[[Item], Hashable], page_size: int
) -> Iterator[Item]:
    """Yield all items of a list, each once; ``fetch`` returns the page that begins at a position.

    At the end the front is read once more, for items that have moved there meanwhile.
    """
    seen: set[Hashable] = set()
    before: list[Hashable] = []
    position, pages = 0, 0
    while True:
        page = fetch(position)
        keys = [key(item) for item in page]
        if position and seen.isdisjoint(keys):
            position = max(0, position - page_size)
            continue
        pages += 1
        fresh = list(_new(page, keys, seen))
        yield from fresh
        if _is_last(page, page_size, bool(fresh)) or keys == before:
            break
        before = keys
        position += max(0, len(page) - _overlap(page_size))
    position = 0
    while pages > 1:
        page = fetch(position)
        fresh = list(_new(page, [key(item) for item in page], seen))
        yield from fresh
        if not fresh:
            return
        position += len(page)


def by_id(fetch: Callable[[int], Page[Item]], key: Callable[[Item], Any]) -> Iterator[Item]:
    """Yield all items of a list that is sorted by id, each once; ``fetch`` returns the page at a position.

    Items that are created meanwhile come at the end; items that are removed in front hide as many others.
    """
    position, last = 0, None
    while page := fetch(position):
        fresh = [
            item for item in page if key(item) is not None and (last is None or key(item) > last)
        ]
        if not fresh:  # the same again, whatever position is asked for
            return
        yield from fresh
        last = key(fresh[-1])
        position += len(page)
        if page.total_entries is not None and position >= page.total_entries:
            return


def messages_by_time(
    fetch: Callable[[int | None, int], Page[Message]], page_size: int
) -> Iterator[Message]:
    """Yield all messages of a history that is sorted by ``date_sent``, each once.

    ``fetch`` returns the page that begins in a second (unix time; None for the beginning), at a position
    within it. Each page begins in the second in which the last one ended, and known ids are left out. So
    positions are counted within one second only, and only the ids of one page and one second are kept.
    """
    second: int | None = None
    seen: set[Hashable] = set()
    before: list[Hashable] = []
    within, position = 0, 0  # how many messages of the second are seen, and from which on we read
    while True:
        page = fetch(second, position)
        keys: list[Hashable] = [message.id for message in page]
        if position and seen.isdisjoint(keys):
            position = max(0, position - page_size)
            continue
        fresh = list(_new(page, keys, seen))
        yield from fresh
        if _is_last(page, page_size, bool(fresh)) or keys == before:
            return
        before = keys
        if not fresh:  # many were added within the second: the next ones lie further behind
            position += len(page) - _overlap(page_size)
            continue
        last = _second_of(page[-1])
        if last is not None and last != second:
            second, seen, within, fresh = last, set(keys), 0, list(page)
        within += sum(_second_of(message) in (None, second) for message in fresh)
        position = max(0, within - _overlap(page_size))


def _new(items: Iterable[Item], keys: Iterable[Hashable], seen: set[Hashable]) -> Iterator[Item]:
    for item, key in zip(items, keys, strict=True):
        if key is None or key not in seen:  # an item without an id cannot be compared
            seen.add(key)
            yield item


def _is_last(page: Page[Item], page_size: int, new: bool) -> bool:
    """Tell whether no page can follow; the service may return less than was asked for, and mostly says so."""
    if page.limit is not None:
        return len(page) < min(page.limit, page_size)
    return len(page) < page_size and not new


def _overlap(page_size: int) -> int:
    return min(_OVERLAP, page_size // 2)


def _second_of(message: Message) -> int | None:
    return None if message.date_sent is None else int(message.date_sent.timestamp())
