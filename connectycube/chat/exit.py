"""The end of the interpreter: connections that are still open are ended, politely and within a bound."""

from __future__ import annotations

import atexit
import weakref

from ..deadline import Deadline
from ..errors import NotConnectedError
from .ending import Ending, report

__all__ = ["caused_by_exit", "ended_at_exit", "exit_has_begun"]


_connections: weakref.WeakSet[Ending] = weakref.WeakSet()
_begun = False


def ended_at_exit(connection: Ending) -> None:
    """End ``connection`` when the interpreter exits, if it lives until then."""
    _connections.add(connection)


def exit_has_begun() -> bool:
    """Whether the interpreter exits: connections are ended, and no new ones are made."""
    return _begun


def caused_by_exit(error: BaseException) -> bool:
    """Whether a callback raised this because the exit ended the connection under it: nobody's mistake."""
    return _begun and isinstance(error, NotConnectedError)


def _at_exit() -> None:
    """End all of them together within the shortest of their time-outs."""
    global _begun  # noqa: PLW0603 - there is one interpreter
    _begun = True
    unfinished = [connection for connection in list(_connections) if not connection.is_over]
    if not unfinished:
        return
    deadline = Deadline(min(connection.timeouts.exit for connection in unfinished))
    # All begin before one is waited for, lest a receiver of the first takes the time of the others.
    ends = [(connection, connection.begin_logout(deadline)) for connection in unfinished]
    for connection, wait in ends:
        report(connection, wait())


atexit.register(_at_exit)
