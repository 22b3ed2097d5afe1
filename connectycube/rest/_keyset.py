"""Reading a list to its end by the ids of its items: each page begins behind the last id that was read.

An id never moves, so what others add or delete while the list is read hides no item and repeats none. The
end of the list is an empty page: a service may return fewer items than it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from ..errors import ResponseTooLargeError, UnexpectedResponseError
from ..models import Page

__all__ = ["Keyed", "KeysetReader"]


class Keyed(Protocol):
    """An item with an id."""

    @property
    def id(self) -> str | None:
        """The id; None if the service has left it out."""


Item = TypeVar("Item", bound=Keyed)


class KeysetReader(Generic[Item]):
    """Iterates over the pages of a list in the order of its ids.

    A request that fails raises, and the next step asks again: nothing is lost or repeated. A page that is
    too large is asked for in halves.

    Args:
        fetch: Returns the page of so many items behind an id (None: the first page).
        page_size: The number of items on a page.
        url: The list, for errors.
        after: The id to begin behind; None for the whole list.
        is_descending: Whether the greatest id comes first.
    """

    def __init__(
        self,
        fetch: Callable[[str | None, int], Page[Item]],
        page_size: int,
        *,
        url: str,
        after: str | None = None,
        is_descending: bool = False,
    ) -> None:
        self._fetch = fetch
        self._limit = page_size
        self._url = url
        self._last = after
        self._is_descending = is_descending
        self._has_ended = False

    def __iter__(self) -> Iterator[tuple[Item, ...]]:
        return self

    def __next__(self) -> tuple[Item, ...]:
        """Return the items of the next page.

        Raises:
            UnexpectedResponseError: An item has no id, or one that does not lie behind the one before it.
            ApiError: A request failed; the next call asks again.
        """
        page = () if self._has_ended else self._ask().items
        if not page:
            self._has_ended = True
            raise StopIteration
        last = self._last
        for item in page:
            last = self._checked(item.id, last)
        self._last = last
        return page

    def _ask(self) -> Page[Item]:
        while True:
            try:
                return self._fetch(self._last, self._limit)
            except ResponseTooLargeError:
                if self._limit == 1:
                    raise
            self._limit //= 2

    def _checked(self, item_id: str | None, before: str | None) -> str:
        """Return the id of an item if it lies behind the one before it."""
        if not item_id:
            raise self._unexpected("an item has no id, so what lies behind it cannot be asked for")
        first, second = (item_id, before) if self._is_descending else (before, item_id)
        if before is not None and not (first or "") < (second or ""):
            raise self._unexpected(
                "an item does not lie behind the one before it: the service ignores the order or the bound of"
                " _id, so the list cannot be read to its end"
            )
        return item_id

    def _unexpected(self, difference: str) -> UnexpectedResponseError:
        text = f"GET {self._url} answered 200, but {difference}"
        return UnexpectedResponseError(text, method="GET", url=self._url, status=200)
