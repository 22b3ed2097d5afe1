"""The token store on a cache of Django: the processes of a site find each other's sessions of users there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from django.core.cache import caches

from .databases import closed_afterwards

__all__ = ["CacheTokenStore"]

_LOCK_SECONDS = 30
"""A lock ends after so long, because its process may have been killed."""
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.2  # seconds between two attempts to take a lock


class CacheTokenStore:
    """A :class:`connectycube.TokenStore` on a cache of Django, for ``Config(token_store=…)``.

    ``client_for()`` uses one by itself. The cache must be one that all processes share, and its ``add()``
    must be atomic: Redis, Memcached and the database are. Every method may be called from any thread.

    Args:
        alias: The cache, by its key in ``CACHES``.

    Example:
        >>> from connectycube.contrib.django import CacheTokenStore
        >>> store = CacheTokenStore("default")
        >>> store.set("app:1:session:7", "a session", seconds=60)
        >>> store.get("app:1:session:7")
        'a session'
    """

    def __init__(self, alias: str = "default") -> None:
        self.alias = alias

    def __repr__(self) -> str:
        return f"<CacheTokenStore {self.alias!r}>"

    def get(self, key: str) -> str | None:
        """Return the value of a key.

        Args:
            key: ASCII letters, digits and colons.

        Returns:
            The value; None if there is none, or its time is over.
        """
        with self._cache() as cache:
            found: str | None = cache.get(key)
        return found

    def set(self, key: str, value: str, seconds: int) -> None:
        """Keep a value in place of the one before.

        Args:
            key: ASCII letters, digits and colons.
            value: The value.
            seconds: How long to keep it.
        """
        with self._cache() as cache:
            cache.set(key, value, seconds)

    @contextmanager
    def lock(self, key: str) -> Generator[None]:
        """Make a lock that one thread of all processes holds at a time.

        It ends by itself after half a minute.

        Args:
            key: The name of the lock.

        Returns:
            A context manager, inside which the lock is held.

        Raises:
            TimeoutError: Others had the lock for half a minute.
        """
        mine, wait = secrets.token_hex(8), _FIRST_WAIT
        end = time.monotonic() + _LOCK_SECONDS
        while not self._add(key, mine):
            if time.monotonic() >= end:
                raise TimeoutError(f"the lock in the cache {self.alias!r} was not free in time")
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        try:
            yield
        finally:
            with self._cache() as cache:
                if cache.get(key) == mine:  # else its time was over, and another thread has it
                    cache.delete(key)

    def _add(self, key: str, value: str) -> bool:
        with self._cache() as cache:
            return bool(cache.add(key, value, _LOCK_SECONDS))

    @contextmanager
    def _cache(self) -> Generator[Any]:
        """Give the cache of this thread, and close what it has opened: the thread ends soon.

        A cache in the database opens a connection, which nothing else closes.
        """
        cache = caches[self.alias]
        with closed_afterwards():
            try:
                yield cache
            finally:
                cache.close()
