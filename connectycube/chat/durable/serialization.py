"""Writes messages and events as text for a file and reads them back, without loss for a receiver."""

from __future__ import annotations

import json

from ..._containers import AnyDict
from ...models import Message
from ...models._dicts import Serializable, read_event

__all__ = ["event_of", "message_of", "text_of"]

_FIRST_SCHEMA = {"schema": 1, "model": "Message"}
"""What the rows of older releases leave out; their fields are the same."""
# Kept, and without a search for circles: `to_dict` makes none.
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def text_of(model: Serializable) -> str:
    """Write a message or an event as JSON, as its ``to_dict`` has it."""
    return _to_json(model.to_dict())


def event_of(text: str) -> object:
    """Read a text of :func:`text_of`; fields that this release does not know are left out.

    Raises ValueError or TypeError if the text was not written by it.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, AnyDict):
        raise TypeError("no object")
    # The event's own values win: only a row without a schema is of an older release.
    return read_event("data", {**_FIRST_SCHEMA, **values})


def message_of(text: str) -> Message:
    """Read the text of a message; raises as :func:`event_of`."""
    message = event_of(text)
    if not isinstance(message, Message):
        raise TypeError(f"no Message: {type(message).__name__}")
    return message
