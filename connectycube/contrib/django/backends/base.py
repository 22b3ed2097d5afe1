"""What a backend is: clients of bots and users, and a way to send."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from attrs import frozen

from connectycube import ConnectyCube, Message

from ..conf import Settings

__all__ = ["BaseBackend", "Outgoing"]


@frozen(kw_only=True)
class Outgoing:
    """A message to send, checked.

    Example:
        >>> from connectycube.contrib.django.backends import Outgoing
        >>> Outgoing(to=7, address=7, message=Message(body="Hello"), bot="default").message.body
        'Hello'
    """

    to: Any
    """The recipient that ``send()`` was given."""
    address: int | str | None
    """The id of the service's user (an int) or of the dialog (a string); None: not known, and not needed."""
    message: Message
    """Body, attachments and custom parameters."""
    bot: str
    """The name of the bot that sends it."""
    as_user: Any = None
    """The user of Django who sends it; None: the bot."""
    after_commit: bool = False
    """Whether it waits for the transaction."""


class BaseBackend(ABC):
    """A backend of one process; its methods may be called from any thread.

    Args:
        settings: The setting, read and checked.

    Example:
        >>> from connectycube.contrib.django.backends import locmem
        >>> class Backend(locmem.Backend):  # in a module of yours, whose path is BACKEND of the setting
        ...     def send(self, outgoing):
        ...         print("to", outgoing.to)
        ...         return super().send(outgoing)
    """

    opens_chat = False
    """Whether bots can log in to the chat."""
    needs_address = True
    """Whether a user of Django must have a ChatAccount to be written to."""
    waits_for_commit = True
    """Whether a message in a transaction is sent after its commit, or at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def client(self, bot: str) -> ConnectyCube:
        """Return the client of a bot, the same for each call.

        Args:
            bot: The name of the bot in the setting.

        Returns:
            The client.
        """

    @abstractmethod
    def client_for(self, user: Any) -> ConnectyCube:
        """Return a client for a user of Django.

        Args:
            user: A user of Django.

        Returns:
            The client.
        """

    @abstractmethod
    def send(self, outgoing: Outgoing) -> Message:
        """Send a message now.

        Args:
            outgoing: The message, checked, with its recipient.

        Returns:
            The message as it was sent.
        """

    def close(self) -> None:  # noqa: B027 - not every backend has something to close
        """Close all that the backend has opened."""
