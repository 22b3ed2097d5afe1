"""What goes into a durable store and comes out of it."""

from __future__ import annotations

from attrs import field, frozen

from ...models import Message
from ..protocol.seen_messages import Key

__all__ = ["Arrived", "Identity", "Outcome", "Outgoing", "Waiting"]


@frozen
class Identity:
    """Whose file it is."""

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
    """A message of the inbox: its place, its key and what it says."""

    n: int
    key: Key
    message: Message


@frozen
class Outgoing:
    """A message of the outbox. ``inbound`` is the place of the message whose receiver sent it, or None."""

    id: str
    recipient: str
    stanza: bytes = field(repr=False)
    message: Message
    inbound: int | None = None


@frozen
class Outcome:
    """What became of a message we sent: acknowledged by the server, or refused."""

    id: str
    recipient: str
    acknowledged: bool
    inbound: int | None = None
