"""Identifiers: the ids of dialogs, messages and records, as the service makes them."""

from __future__ import annotations

import itertools
import re
import secrets

__all__ = ["ObjectIds", "is_object_id"]

_OBJECT_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)


class ObjectIds:
    """Makes ids of 24 hexadecimal digits: 4 bytes of unix time, 5 random bytes, a counter of 3 bytes."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(5)
        self._counter = itertools.count(secrets.randbelow(1 << 24))

    def new(self, now: float) -> str:
        """Return a new id made at ``now``, unix seconds."""
        return f"{int(now) & 0xFFFFFFFF:08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"


def is_object_id(text: str | None) -> bool:
    """Whether ``text`` has the shape of a dialog's or message's id."""
    return text is not None and _OBJECT_ID.fullmatch(text) is not None
