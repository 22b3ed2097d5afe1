"""Writes messages as text for a file and reads them back, without loss for a receiver or a send."""

from __future__ import annotations

import json

from ...models import Message

__all__ = ["message_of", "text_of"]

_FIRST_SCHEMA = {"schema": 1, "model": "Message"}
"""What the rows of older releases leave out; their fields are the same."""


def text_of(message: Message) -> str:
    """Write a message as JSON, as :meth:`Message.to_dict` has it."""
    return json.dumps(message.to_dict(), separators=(",", ":"))


def message_of(text: str) -> Message:
    """Read a text of :func:`text_of`; fields that this release does not know are left out.

    Raises ValueError or TypeError if the text was not written by it.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise TypeError("no object")
    return Message.from_dict({**_FIRST_SCHEMA, **values})
