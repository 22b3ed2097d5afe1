"""Begins a stream of a dialog with the newest messages of history."""

from __future__ import annotations

from attrs import evolve

from .._checks import check_int, check_number
from ..errors import ArgumentValueError
from ..models import DialogRef, Message
from .destinations import Destination
from .dialog_stream import DialogStream
from .driver import Driver
from .history_reader import History

__all__ = ["follow"]

_MOST_HISTORY = 1_000  # messages


def follow(
    driver: Driver, history: History | None, dialog: Destination, count: int, timeout: float
) -> DialogStream:
    """Return a stream of a dialog that begins with its newest ``count`` messages of history.

    Raises ArgumentTypeError, ArgumentValueError; ApiError.
    """
    check_int("history", count, least=0, most=_MOST_HISTORY)
    check_number("timeout", timeout, least=0.0)
    if count and (history is None or history.latest is None):
        raise ArgumentValueError("history must be 0: there is no REST session to read it with")
    # The stream first: a message between the two is in both, and in neither the other way round.
    stream = driver.stream(DialogStream, dialog, timeout)
    try:
        if count and history is not None and history.latest is not None:
            found = history.latest(dialog.dialog, count)
            stream.begin([_of(dialog.dialog, message) for message in found])
    except BaseException:
        stream.close()
        raise
    return stream


def _of(dialog: DialogRef, message: Message) -> Message:
    """Let a message say where a reply goes, as a live one does."""
    return evolve(message, dialog=evolve(dialog, id=dialog.id or message.dialog_id))
