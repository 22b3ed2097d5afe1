"""For tests: what was sent, and messages that arrive, without a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attrs import Factory, evolve, field, frozen

from connectycube import ConnectyCube, DialogRef, Message
from connectycube.errors import ArgumentTypeError

from ..common.offline import OfflineChat, Outbox, arriving_message
from ..common.sending import address_of
from .handlers import Handler

if TYPE_CHECKING:
    from ..common.offline import MessageFields

__all__ = ["OutboxMessage", "deliver", "event_of"]


def _body_of(sent: OutboxMessage) -> str | None:
    return sent.message.body


def _custom_of(sent: OutboxMessage) -> dict[str, Any]:
    return dict(sent.message.custom)


@frozen(kw_only=True)
class OutboxMessage:
    """A message that was sent in a test.

    Example:
        >>> from connectycube.contrib.flask import OutboxMessage
        >>> sent = OutboxMessage(to=7, message=Message(body="Hello", custom={"order": "42"}))
        >>> sent.body, sent.custom
        ('Hello', {'order': '42'})
    """

    to: Any
    """The recipient that ``send()`` was given; for an answer the dialog of the message that was answered."""
    message: Message
    """The message itself, with its id and attachments."""
    body: str | None = field(init=False, default=Factory(_body_of, takes_self=True))
    """The text of the message."""
    custom: dict[str, Any] = field(init=False, default=Factory(_custom_of, takes_self=True))
    """The custom parameters of the message."""
    as_client: ConnectyCube | None = None
    """The client that ``send()`` was given; None: the application's user sent it."""
    in_reply_to: Message | None = None
    """The message that a handler has answered."""


def event_of(
    body: object, sender: object, dialog: str | DialogRef | None, fields: MessageFields
) -> object:
    """Return the event for a text; anything but a text is an event already."""
    if not isinstance(body, str):
        return body
    sender_id = address_of(sender)
    if not isinstance(sender_id, int):
        raise ArgumentTypeError(f"sender must be a user, as an id or a User, not {sender!r}")
    return arriving_message(body, sender_id, dialog, fields)


def deliver(
    app: Any, handlers: Iterable[Handler], event: Any, outbox: Outbox[OutboxMessage]
) -> list[OutboxMessage]:
    """Call handlers for an event on this thread, each in an application context, as the listener does."""

    def keep(to: Any, message: Message, custom: dict[str, Any], answered: Message | None) -> None:
        message = evolve(message, custom=custom)
        outbox.add(OutboxMessage(to=to, message=message, in_reply_to=answered))

    chat = OfflineChat(keep, "an emulator has a service")
    before = len(outbox)
    for handler in handlers:
        if handler.wants(event):
            with app.app_context():
                handler.function(chat, event)
    return outbox[before:]
