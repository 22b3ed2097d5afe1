"""Connections to databases on threads that no request ends, and the database of a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, router

__all__ = ["KeptConnections", "closed_afterwards", "one_line", "primary"]


@contextmanager
def closed_afterwards() -> Iterator[None]:
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


class KeptConnections:
    """The connections that worker threads keep open between receivers, as ``CONN_MAX_AGE`` says.

    A worker thread ends without closing them. Then the driver complains, and a test database cannot be
    dropped, until Python collects them.
    """

    def __init__(self) -> None:
        self._thread_of: dict[Any, threading.Thread] = {}

    def note(self) -> None:
        """Remember what is open on this thread."""
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                self._thread_of[connection] = threading.current_thread()

    def close(self) -> None:
        """Close those whose threads have ended."""
        for connection, thread in self._thread_of.items():
            if not thread.is_alive():  # a receiver that has not returned goes on with its own
                connection.inc_thread_sharing()
                connection.close()
        self._thread_of.clear()


def primary(model: Any) -> Any:
    """Return the rows of a model in the database that takes its writes.

    A router may send reads to a replica, where a lease or a message to send has its state of a moment ago.
    """
    return model._default_manager.using(router.db_for_write(model))


def one_line(error: BaseException) -> str:
    """Return an error's text, which databases write on several lines, for a log."""
    return " ".join(str(error).split())
