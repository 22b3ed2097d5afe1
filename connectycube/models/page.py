"""One page of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from attrs import field, frozen

__all__ = ["Page"]

Item = TypeVar("Item")


@frozen(kw_only=True, slots=True)
class Page(Generic[Item]):
    """A page of what a list call found; iterating it gives the items.

    ``total_entries``, ``skip`` and ``limit`` are None where the service does not say them.
    """

    items: tuple[Item, ...] = field(default=())
    total_entries: int | None = field(default=None)
    skip: int | None = field(default=None)
    limit: int | None = field(default=None)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]
