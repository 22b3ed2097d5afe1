"""What is kept in the database: accounts, the leases of listeners, failed events, and messages to send."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from connectycube import Message
from connectycube._checks import check_str
from connectycube.errors import ArgumentValueError

from .addresses import address_of
from .sending import message_of

__all__ = ["ChatAccount", "DeadLetter", "Lease", "OutgoingMessage"]


class ChatAccountManager(models.Manager["ChatAccount"]):
    """Finds the users of Django behind ids of the service."""

    def user_of(self, chat_id: int | None) -> Any:
        """Return the user of Django with that id at the service; None if there is none.

        Args:
            chat_id: An id, such as the ``sender_id`` of a message.
        """
        account = self.select_related("user").filter(chat_id=chat_id).first()
        return account.user if account is not None else None


class ChatAccount(models.Model):
    """The user of the service who belongs to a user of Django.

    It outlives the user of Django, so that ``connectycube_sync_users --delete`` knows whom to delete.
    """

    user: models.OneToOneField[Any, Any] = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="chat_account",
    )
    uid: models.CharField[str, str] = models.CharField(
        max_length=100,
        unique=True,
        help_text="The primary key of the user of Django, for the service.",
    )
    chat_id: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        unique=True, null=True, blank=True, help_text="The user's id at the service."
    )
    fields_sent: models.JSONField[Any, Any] = models.JSONField(
        default=dict, blank=True, help_text="The fields of the user as the service has them."
    )
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)
    changed: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now=True)

    objects: ClassVar[ChatAccountManager] = ChatAccountManager()

    class Meta:
        verbose_name = "chat account"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        # Without the user, which would be a query: in logs, and once a row in the admin.
        return f"user {self.uid} ({self.chat_id or 'not at the service'})"


class Lease(models.Model):
    """Which process listens for a bot, and until when: only one at a time."""

    name: models.CharField[str, str] = models.CharField(
        max_length=150, unique=True, help_text="What it is for, such as a bot."
    )
    holder: models.CharField[str, str] = models.CharField(
        max_length=200, blank=True, help_text="Machine, process and a random part."
    )
    until: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        help_text="By the database's clock."
    )
    fencing: models.BigIntegerField[int, int] = models.BigIntegerField(
        default=0, help_text="Grows with each new holder."
    )

    objects: ClassVar[models.Manager[Lease]] = models.Manager["Lease"]()

    class Meta:
        db_table = "connectycube_listener"  # SqlLease has a table connectycube_lease of its own
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'nobody'}"


class DeadLetter(models.Model):
    """An event that a handler has given up: look at it, mend the handler, have it run again."""

    bot: models.CharField[str, str] = models.CharField(max_length=100, db_index=True)
    signal: models.CharField[str, str] = models.CharField(max_length=100)
    receiver: models.CharField[str, str] = models.CharField(max_length=300)
    key: models.CharField[str, str] = models.CharField(
        max_length=64, unique=True, help_text="Tells apart the events and receivers."
    )
    event: models.JSONField[Any, Any] = models.JSONField(
        help_text="The event, as its to_dict() says."
    )
    error: models.TextField[str, str] = models.TextField()
    attempts: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(default=1)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now=True)
    is_marked: models.BooleanField[bool, bool] = models.BooleanField(
        "run again",
        default=False,
        help_text="The listener runs the handler again within 5 seconds.",
    )

    objects: ClassVar[models.Manager[DeadLetter]] = models.Manager["DeadLetter"]()

    class Meta:
        verbose_name = "dead letter"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"{self.signal} for {self.receiver}: {self.error}"


class OutgoingMessageManager(models.Manager["OutgoingMessage"]):
    """Writes messages that the listener sends."""

    def send(
        self,
        to: Any,
        body: str | Message,
        *,
        bot: str = "default",
        **custom: str | int | float | bool | Mapping[str, Any],
    ) -> OutgoingMessage:
        """Write a message into the open transaction; the bot's listener sends it after the commit.

        Unlike ``send()`` it survives the end of the process between the commit and the sending. It is sent
        with the same id in each attempt.

        Args:
            to: A dialog or a user, as for ``send()``.
            body: The text; or a Message with body and custom parameters.
            bot: The name of the bot that sends it.
            custom: Custom parameters, by their names.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; nothing is written.
        """
        message = message_of(body, custom)
        if message.attachments:
            raise ArgumentValueError(
                "body must be a Message without attachments: a row does not keep them"
            )
        address = address_of(to)
        return self.create(
            bot=check_str("bot", bot),
            to_user=address if isinstance(address, int) else None,
            to_dialog=address if isinstance(address, str) else "",
            body=message.body or "",
            custom=dict(message.custom),
        )


def new_message_id() -> str:
    """Return a new id of a message."""
    return secrets.token_hex(12)


class OutgoingMessage(models.Model):
    """A message that is written in a transaction, and sent by the bot's listener."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    bot: models.CharField[str, str] = models.CharField(max_length=100, default="default")
    to_user: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, blank=True, help_text="A user's id at the service."
    )
    to_dialog: models.CharField[str, str] = models.CharField(
        max_length=100, blank=True, help_text="Or the id of a dialog."
    )
    body: models.TextField[str, str] = models.TextField(blank=True)
    custom: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    message_id: models.CharField[str, str] = models.CharField(
        max_length=24,
        unique=True,
        default=new_message_id,
        editable=False,
        help_text="Never changes.",
    )
    state: models.CharField[str, str] = models.CharField(
        max_length=10, choices=State.choices, default=State.WAITING
    )
    attempts: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        default=0, editable=False
    )
    error: models.TextField[str, str] = models.TextField(blank=True, editable=False)
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)
    sent_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, blank=True, editable=False
    )

    objects: ClassVar[OutgoingMessageManager] = OutgoingMessageManager()

    class Meta:
        verbose_name = "outgoing message"
        ordering: ClassVar[list[str]] = ["id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["bot", "state", "id"], name="connectycube_outgoing")
        ]

    def __str__(self) -> str:
        return f"{self.state} to {self.to_dialog or self.to_user}: {self.body[:50]}"
