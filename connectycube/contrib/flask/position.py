"""How far a page has read a dialog: the value of ``Last-Event-ID``, which any process can go on from.

History has no order in which messages only ever come at the end: the service notes seconds, ids are made by
senders, and a message may be stored a moment after one with a later time. So a position is a time, and which
of the messages of the seconds before it were shown. What is older than these seconds counts as shown.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timezone

from attrs import define, field

from connectycube import Message
from connectycube._containers import AnyDict

__all__ = ["OVERLAP", "Position", "stored_at"]

OVERLAP = 5
"""Seconds before the newest message in which another one may still appear."""

_MOST_SHOWN = 1_000  # a header of HTTP has room for 8,000 bytes
_DIGITS = 6  # of base64: 36 bits for each message
_FORM = re.compile(r"(?P<at>[0-9]{1,11})\.(?P<shown>(?:[A-Za-z0-9_-]{6}){0,1000})")


@define
class Position:
    """The time of the newest message that was shown, and the digests of those of the seconds before."""

    at: int = 0
    """Unix seconds, by the service's clock."""
    _shown: dict[str, int] = field(factory=AnyDict)
    """The times of the messages, by their digests."""

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Return the position of a ``Last-Event-ID``; None if it is none of ours."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        at, shown = int(found["at"]), found["shown"]
        digests = (shown[start : start + _DIGITS] for start in range(0, len(shown), _DIGITS))
        # How old each of them is was not written: they are kept as long as the newest.
        return cls(at, dict.fromkeys(digests, at))

    def __str__(self) -> str:
        return f"{self.at}.{''.join(self._shown)}"

    @property
    def since(self) -> datetime:
        """The moment from which on history has to be read."""
        return datetime.fromtimestamp(max(0, self.at - OVERLAP), timezone.utc)

    def is_new(self, message: Message) -> bool:
        """Whether a message was not shown."""
        return (
            stored_at(message, self.at) >= self.at - OVERLAP and _digest(message) not in self._shown
        )

    def add(self, message: Message) -> None:
        """Note that a message was shown."""
        time = stored_at(message, self.at)
        self.at = max(self.at, time)
        self._shown[_digest(message)] = time
        first = self.at - OVERLAP
        self._shown = {digest: time for digest, time in self._shown.items() if time >= first}
        while len(self._shown) > _MOST_SHOWN:
            del self._shown[next(iter(self._shown))]


def stored_at(message: Message, otherwise: int) -> int:
    """Return when the service stored a message, in unix seconds."""
    time = message.created_at or message.date_sent  # never updated_at, which each reader changes
    return otherwise if time is None else int(time.timestamp())


def _digest(message: Message) -> str:
    data = hashlib.sha256((message.id or "").encode()).digest()
    return base64.urlsafe_b64encode(data)[:_DIGITS].decode()
