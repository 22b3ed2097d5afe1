"""StreamManagement: the counts and the unacknowledged stanzas of one session. (XEP-0198.)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from . import namespaces as ns
from .element import Element
from .parser import StreamFault

__all__ = ["StreamManagement", "counter"]

_WRAP = 1 << 32


def counter(text: str | None) -> int | None:
    """Read an attribute ``h``; None if it is not a count."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    value = int(text)
    return value if value < _WRAP else None


class StreamManagement:
    """Counts stanzas in both directions, modulo 2^32, and keeps those that are not acknowledged.

    ``on_acknowledged`` gets each stanza that is not kept any more.
    """

    def __init__(
        self,
        session_id: str,
        *,
        resumable: bool,
        on_acknowledged: Callable[[Element], None] = lambda stanza: None,
    ) -> None:
        self.id = session_id
        self.resumable = resumable
        self._on_acknowledged = on_acknowledged
        self.handled: int = 0
        """The number of the client's stanzas that were handled."""
        self.request_pending = False
        """Whether a request <r/> to the client is not answered yet."""
        self._sent = 0
        self._forgotten = 0  # stanzas that were forgotten without an acknowledgement
        self._unacknowledged: deque[Element] = deque()
        self._sizes: deque[int] = deque()
        self.size: int = 0
        """About the characters of the stanzas that are not acknowledged."""

    def count_handled(self) -> None:
        """Note that a stanza of the client was handled."""
        self.handled = (self.handled + 1) % _WRAP

    def keep(self, stanza: Element) -> None:
        """Keep a sent stanza until it is acknowledged."""
        self._sent = (self._sent + 1) % _WRAP
        self._unacknowledged.append(stanza)
        self._sizes.append(stanza.size)
        self.size += self._sizes[-1]

    @property
    def unacknowledged(self) -> Iterable[Element]:
        """The stanzas that are not acknowledged, oldest first."""
        return tuple(self._unacknowledged)

    @property
    def backlog(self) -> int:
        """The number of stanzas that are not acknowledged."""
        return len(self._unacknowledged)

    def acknowledge(self, handled: int) -> None:
        """Forget the stanzas that the client has handled; refuse a count of more than was sent."""
        # Counts wrap: with 5 sent and h = 4294967294 there are 7 pending.
        pending = (self._sent - handled) % _WRAP
        kept = len(self._unacknowledged)
        if pending > kept + self._forgotten:
            raise HandledCountTooHigh(handled, self._sent)
        self._forgotten = max(0, pending - kept)
        while len(self._unacknowledged) > pending:
            self._forget()

    def _forget(self) -> None:
        self.size -= self._sizes.popleft()
        self._on_acknowledged(self._unacknowledged.popleft())

    def is_behind(self, handled: int) -> bool:
        """Whether a count is lower than one that was acknowledged before, so that stanzas are missing."""
        lowest = self._sent - len(self._unacknowledged) - self._forgotten
        # Counts wrap: the lower one of two counts is less than 2^31 before the other.
        return 0 < (lowest - handled) % _WRAP < _WRAP // 2

    def forget_oldest(self) -> None:
        """Forget the oldest stanza that is not acknowledged: it is not replayed."""
        self._forget()
        self._forgotten += 1

    def resume_at(self, handled: int) -> None:
        """Continue the counts from that of the client, before the replay."""
        self.acknowledge(handled)
        self._sent = (handled + len(self._unacknowledged)) % _WRAP
        self._forgotten = 0

    def answer(self) -> Element:
        """Return <a/> with the number of handled stanzas."""
        return Element("a", ns.STREAM_MANAGEMENT, {"h": str(self.handled)})


class HandledCountTooHigh(StreamFault):
    """The client acknowledged more stanzas than were sent, or fewer than before."""

    def __init__(self, handled: int, sent: int) -> None:
        details = Element(
            "handled-count-too-high",
            ns.STREAM_MANAGEMENT,
            {"h": str(handled), "send-count": str(sent)},
        )
        text = f"You acknowledged {handled} of {sent} stanzas"
        super().__init__("undefined-condition", text, details)
