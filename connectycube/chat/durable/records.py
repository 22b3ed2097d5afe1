"""The rows of a durable store, as classes."""

from __future__ import annotations

import secrets

from attrs import Factory, define, field, frozen

from ...models import Message
from ...models._dicts import Serializable
from ..protocol.seen_messages import Key
from .serialization import text_of

__all__ = ["Arrived", "Identity", "Outcome", "Outgoing", "Waiting", "is_new_key", "new_key"]


@frozen
class Identity:
    """The user to whom the file belongs."""

    app_id: int
    user_id: int
    chat_host: str


def _text_of_arrived(arrived: Arrived) -> str:
    conversation, _, message_id = arrived.key
    # A lone surrogate cannot be written as UTF-8. Here it costs its event; in the transaction, all of
    # the read.
    f"{conversation}{message_id}".encode()
    return text_of(arrived.event)


@define(eq=False)
class Arrived:
    """An event that has arrived and is about to be committed.

    ``key`` is the conversation, the sender and the id: that by which a repetition is recognised, or one of
    :func:`new_key`. ``text`` is what the file will hold, made here: what the file cannot hold raises
    ValueError or TypeError before it meets the store and the other events of a transaction.
    """

    key: Key
    event: Serializable = field(repr=False)
    signal: str = field(default="message_received")
    receiver: str | None = field(default=None)
    """The one receiver that runs for the event, of a dead letter; None: all of them."""
    letter: int | None = field(default=None)
    """The id of the dead letter that the event was in."""
    text: str = field(init=False, repr=False, default=Factory(_text_of_arrived, takes_self=True))


@frozen
class Waiting:
    """An event of the inbox, with its number ``n`` and its key; ``damage`` says why it cannot be read."""

    n: int
    key: Key
    event: object
    signal: str = field(default="message_received")
    done: frozenset[str] = field(default=frozenset())
    """The names of the receivers that have handled it."""
    receiver: str | None = field(default=None)
    size: int = field(default=0)
    """The length of its text."""
    damage: str | None = field(default=None)


_NEW = "#"  # no id of a message begins so


def new_key(conversation: str) -> Key:
    """Return a key for an event that has none: no other event has it, and none is recognised by it."""
    return conversation, 0, f"{_NEW}{secrets.token_hex(12)}"


def is_new_key(key: Key) -> bool:
    """Whether :func:`new_key` has made this key."""
    return key[2].startswith(_NEW)


@frozen
class Kept:
    """The numbers of entries in the file of durable mode, and of dead letters beside it."""

    inbox: int = 0
    outbox: int = 0
    dead_letters: int = 0


@frozen
class Outgoing:
    """A message of the outbox; ``inbound`` is the number of the event whose receiver sent it, or None."""

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
