"""The end of the interpreter: connections that are still open are ended, politely and within a bound."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol

from ..deadline import Deadline

__all__ = ["ended_at_exit"]


class Endable(Protocol):
    """A connection."""

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing to end."""

    @property
    def exit_timeout(self) -> float:
        """The seconds it may take."""

    def logout(self, deadline: Deadline) -> None:
        """End it within the deadline."""


_connections: weakref.WeakSet[Endable] = weakref.WeakSet()


def ended_at_exit(connection: Endable) -> None:
    """End ``connection`` when the interpreter exits, if it lives until then."""
    _connections.add(connection)


def _at_exit() -> None:
    """End all of them together within the shortest of their time-outs."""
    still_open = [connection for connection in list(_connections) if not connection.is_closed]
    if still_open:
        deadline = Deadline(min(connection.exit_timeout for connection in still_open))
        for connection in still_open:
            connection.logout(deadline)


atexit.register(_at_exit)
