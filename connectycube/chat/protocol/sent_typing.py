"""Typing that this user sent: each dialog is told at most once in five seconds. (XEP-0085.)"""

from __future__ import annotations

import math
from collections import OrderedDict

__all__ = ["SentTyping"]

_AGAIN_AFTER = 5.0  # seconds, after which "is typing" is sent again to one dialog
_MOST_REMEMBERED = 1_000  # dialogs


class SentTyping:
    """The dialogs whose users know that this user is typing, by JID: not each keystroke is a stanza."""

    def __init__(self) -> None:
        self.told: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """When it was sent, and when "paused" follows by itself (infinity: it does not).

        A dialog whose users are told otherwise, by "paused" or by a message, is taken out.
        """

    def is_known(self, to: str, now: float) -> bool:
        """Whether the users of a dialog were told within five seconds, and nothing else since."""
        sent, ends = self.told.get(to, (-math.inf, -math.inf))
        return now < min(sent + _AGAIN_AFTER, ends)

    def sent(self, to: str, now: float, ends: float | None) -> None:
        """Note that it was sent, and when it ends; None: not by itself."""
        self.told[to] = (now, math.inf if ends is None else ends)
        self.told.move_to_end(to)
        if len(self.told) > _MOST_REMEMBERED:
            self.told.popitem(last=False)

    def extended(self, to: str, ends: float | None) -> None:
        """Note that what was sent ends at another time."""
        sent, _ = self.told[to]
        self.told[to] = (sent, math.inf if ends is None else ends)
