"""What the chat's signals hand to receivers, besides messages: one frozen object an event."""

from __future__ import annotations

import enum
from typing import Any

from attrs import field, frozen

from .dialog import DialogRef
from .message import Message

__all__ = [
    "CallbackFailure",
    "ChatState",
    "MessageFailure",
    "MessageSent",
    "MessageStatus",
    "StateChange",
    "Typing",
]


class ChatState(enum.Enum):
    """The states of a chat connection, in the guide's words. (Guide: Connect to chat.)"""

    IDLE = "idle"
    CONNECTING = "connecting"
    AUTHENTICATED = "authenticated"
    AUTHENTICATION_FAILURE = "authentication-failure"
    READY = "ready"
    RESUMED = "resumed"
    FORCE_CLOSED = "force-closed"
    RECONNECTING = "reconnecting"
    CLOSING = "closing"
    CLOSED = "closed"


@frozen(kw_only=True, slots=True)
class StateChange:
    """The connection went from ``previous`` to ``state``; ``reason`` is the error behind it, or None."""

    state: ChatState
    previous: ChatState
    reason: Exception | None = field(default=None)


@frozen(kw_only=True, slots=True)
class MessageSent:
    """The server has acknowledged a message of this connection: the guide's status 'sent'."""

    message_id: str
    dialog: DialogRef
    message: Message

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None for a private message sent without one."""
        return self.dialog.id


@frozen(kw_only=True, slots=True)
class MessageFailure:
    """A message of this connection was refused, or its outcome cannot be known: see ``error``.

    ``condition`` and ``text`` are the refusal's RFC 6120 condition and words, where there was one.
    ``message_id`` is None when the refusal does not name a message.
    """

    message_id: str | None
    dialog_id: str | None
    error: Exception
    user_id: int | None = field(default=None)
    condition: str | None = field(default=None)
    text: str | None = field(default=None)


@frozen(kw_only=True, slots=True)
class MessageStatus:
    """User ``user_id`` has received or read message ``message_id``. (XEP-0333.)

    ``dialog_id`` is None where the peer did not name the dialog.
    """

    user_id: int
    message_id: str
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True)
class Typing:
    """User ``user_id`` started or stopped typing; ``dialog_id`` is None in a private dialog. (XEP-0085.)"""

    user_id: int
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True)
class CallbackFailure:
    """A receiver raised: its name, the signal's name, the event it was given and the exception."""

    receiver: str
    signal: str
    event: Any
    error: BaseException
