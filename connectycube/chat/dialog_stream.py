"""A dialog as its readers see it: the newest messages of history, then live messages, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from attrs import evolve

from ..config import Limits
from ..models import Message, MessageSent
from .destinations import Destination
from .event_stream import EventStream
from .protocol.addresses import OBJECT_ID
from .protocol.decoding import MESSAGE_SIGNALS, Delivery
from .protocol.recovery import SHOWN
from .protocol.seen_messages import Content, digest_of_message, seconds

__all__ = ["DialogStream"]


class DialogStream(EventStream[Message]):
    """The messages of one dialog; ``chat.follow(…)`` makes it.

    Iterating yields each :class:`Message`, in order: those of history first, then those of others, of this
    user's other devices and, once the server has them, of this connection; ``message.own`` tells them apart.
    Iterating ends when the time-out passes without a message, or with ``logout()``.

    Example:
        >>> message = cube.messages.create(group, "Hello all")
        >>> with chat.follow(group, history=10) as messages:
        ...     print(messages.next().body)
        Hello all
    """

    def __init__(
        self,
        dialog: Destination,
        timeout: float,
        limits: Limits,
        waiting: Callable[[Callable[[], bool]], AbstractContextManager[None]],
        forget: Callable[[EventStream[object]], None],
    ) -> None:
        super().__init__(
            f"dialog {dialog.dialog.id or dialog.jid}", timeout, limits, waiting, forget
        )
        self._jid = dialog.jid
        self._stored: set[str] = set()  # the ids of the messages of history
        self._contents: list[Content] = []  # what a live copy with another id is recognised by

    def _wants(self, delivery: Delivery) -> bool:
        """Whether the stream shows an event."""
        if delivery.conversation != self._jid or delivery.shown_later:
            return False
        return delivery.signal in MESSAGE_SIGNALS or delivery.signal in ("message_sent", SHOWN)

    def put(self, event: Any, size: int) -> None:
        """Collect a message, unless history had it; for the connection alone."""
        message = evolve(event.message, own=True) if isinstance(event, MessageSent) else event
        if not self._is_stored(message):
            super().put(message, size)

    def begin(self, history: Sequence[Message]) -> None:
        """Put the messages of history before those that have come since the stream was made."""
        with self._changed:
            self._stored = {message.id for message in history if message.id is not None}
            self._contents = [self._content(message) for message in history]
            live = [entry for entry in self._events if not self._is_stored(entry[0])]
            # Those of history count towards no bound: so many were asked for.
            self._events = deque([*((message, 0) for message in history), *live])
            self._bytes = sum(size for _, size in live)
            self._most += len(history)

    def _is_stored(self, message: Message) -> bool:
        if message.id in self._stored:
            return True
        if message.id is not None and OBJECT_ID.match(message.id):
            return False
        # Another XMPP client's id, which the service has replaced in history.
        live = self._content(message)
        return any(
            (stored.sender, stored.digest) == (live.sender, live.digest)
            and stored.is_dated_as(live.date)
            for stored in self._contents
        )

    def _content(self, message: Message) -> Content:
        digest = digest_of_message(message)
        date = seconds(message.date_sent)
        return Content(self._jid, message.sender_id or 0, message.id or "", digest, date)
