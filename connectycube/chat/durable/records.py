"""The rows of a durable store, as classes."""

from __future__ import annotations

from attrs import field, frozen

from ...models import Message
from ..protocol.seen_messages import Key

__all__ = ["Arrived", "Identity", "Outcome", "Outgoing", "Waiting"]


@frozen
class Identity:
    """The user to whom the file belongs."""

    app_id: int
    user_id: int
    chat_host: str


@frozen
class Arrived:
    """A message that has arrived and is about to be committed."""

    key: Key
    message: Message


@frozen
class Waiting:
    """A message of the inbox, with its number ``n`` and its key."""

    n: int
    key: Key
    message: Message


@frozen
class Outgoing:
    """A message of the outbox; ``inbound`` is the number of the message whose receiver sent it, or None."""

    id: str
    recipient: str
    stanza: bytes = field(repr=False)
    message: Message
    inbound: int | None = None


@frozen
class Outcome:
    """The outcome of a message that we sent: acknowledged by the server, or refused."""

    id: str
    recipient: str
    acknowledged: bool
    inbound: int | None = None
