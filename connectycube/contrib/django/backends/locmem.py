"""The backend ``locmem``: keeps what is sent in a list, for tests."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from django.core import mail

from connectycube import Message
from connectycube._containers import AnyDict

from ...common.offline import Outbox as BaseOutbox
from .base import Outgoing
from .offline import OfflineBackend, sent_copy

__all__ = ["Backend", "Outbox", "OutboxMessage", "outbox"]


@frozen(kw_only=True)
class OutboxMessage:
    """A message that was sent in a test.

    Example:
        >>> from connectycube.contrib.django import send, testing
        >>> message = send("5f" * 12, "Your order is ready")
        >>> testing.outbox[0].body
        'Your order is ready'
    """

    to: Any
    """The recipient that ``send()`` was given; for an answer the dialog of the message that was answered."""
    body: str | None
    """The text of the message."""
    custom: dict[str, Any] = field(factory=AnyDict)
    """The custom parameters of the message."""
    bot: str = "default"
    """The name of the bot that sent it."""
    as_user: Any = None
    """The user of Django who sent it; None: the bot."""
    after_commit: bool = False
    """Whether it is sent after the commit: it was sent in a transaction, with ``on_commit=True``."""
    in_reply_to: Message | None = None
    """The message that a handler has answered."""
    message: Message
    """The message itself, with its id and attachments."""


class Outbox(BaseOutbox[OutboxMessage]):
    """What was sent in this test, the oldest first.

    Django makes a new ``mail.outbox`` for each test; by that this list notices that another test has begun,
    and is empty again. ``clear()`` empties it elsewhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self._test: Any = None

    def of_this_test(self) -> Outbox:
        """Return this list, emptied if another test has begun."""
        test = getattr(mail, "outbox", None)
        if test is not self._test:
            self._test = test
            self.clear()
        return self


_outbox = Outbox()


def outbox() -> Outbox:
    """Return the messages of this test."""
    return _outbox.of_this_test()


class Backend(OfflineBackend):
    """Keeps each message in the list."""

    waits_for_commit = False  # a TestCase never commits

    def send(self, outgoing: Outgoing) -> Message:
        """Keep the message."""
        copy = sent_copy(outgoing)
        outbox().add(
            OutboxMessage(
                to=outgoing.to,
                body=copy.body,
                custom=dict(copy.custom),
                bot=outgoing.bot,
                as_user=outgoing.as_user,
                after_commit=outgoing.after_commit,
                message=copy,
            )
        )
        return copy
