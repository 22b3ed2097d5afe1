"""Connections to databases on threads that no request ends, and the database of a model."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, router

__all__ = ["KeptConnections", "closed_afterwards", "one_line", "primary"]


@contextmanager
def closed_afterwards() -> Generator[None]:
    """Close the connections of this thread at the end, as nothing else does, and broken ones before.

    One in a transaction stays: the caller has it, in a test.
    """
    for connection in _idle():
        connection.close_if_unusable_or_obsolete()
    try:
        yield
    finally:
        for connection in _idle():
            connection.close()


def _idle() -> Iterator[Any]:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            yield connection


_lock = threading.Lock()
_inside: Counter[int] = Counter()
"""How many receivers each thread is inside of, by its identifier; the lock guards it."""


class KeptConnections:
    """The connections that worker threads keep open between receivers, as ``CONN_MAX_AGE`` says.

    A worker thread ends without closing them, when it has had no work for some seconds; or it outlives the
    listener, if the process has other chats. In either case the driver would complain, and a test database
    could not be dropped, until Python collects them.
    """

    def __init__(self) -> None:
        self._thread_of: dict[Any, threading.Thread] = {}

    @contextmanager
    def noted(self) -> Generator[None]:
        """Remember what is open on this thread after a receiver, and close what ended threads have left."""
        ident = threading.get_ident()
        with _lock:
            _inside[ident] += 1
        try:
            yield
        finally:
            with _lock:
                _inside[ident] -= 1
                if not _inside[ident]:
                    del _inside[ident]
                for connection in connections.all(initialized_only=True):
                    if connection.connection is not None:
                        self._thread_of[connection] = threading.current_thread()
                self._close(lambda thread: not thread.is_alive())

    def close(self) -> None:
        """Close those of all threads that are inside of no receiver."""
        with _lock:
            # A receiver that has not returned goes on with its own connection.
            self._close(lambda thread: not thread.is_alive() or thread.ident not in _inside)
            self._thread_of.clear()

    def _close(self, is_over: Callable[[threading.Thread], bool]) -> None:
        for connection, thread in tuple(self._thread_of.items()):
            if is_over(thread):
                del self._thread_of[connection]
                connection.inc_thread_sharing()
                try:
                    connection.close()
                finally:
                    connection.dec_thread_sharing()


def primary(model: Any) -> Any:
    """Return the rows of a model in the database that takes its writes.

    A router may send reads to a replica, where a lease or a message to send has its state of a moment ago.
    """
    return model._default_manager.using(router.db_for_write(model))


def one_line(error: BaseException) -> str:
    """Return an error's text, which databases write on several lines, for a log."""
    return " ".join(str(error).split())
