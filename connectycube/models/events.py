"""Events of the chat: the objects that signals pass to receivers, besides messages."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from attrs import field, frozen

from ._dicts import Serializable
from .dialogs import DialogRef
from .messages import Message

__all__ = [
    "CallbackFailure",
    "ChatState",
    "ContactEvent",
    "DeadLetter",
    "LastActivity",
    "MessageDeletion",
    "MessageEdit",
    "MessageFailure",
    "MessageSent",
    "MessageStatus",
    "Occupant",
    "Presence",
    "ReactionChange",
    "ReceiverGaveUp",
    "RecoveryFailure",
    "RecoveryFinished",
    "RefusedStanza",
    "RoomLeft",
    "StateChange",
    "Typing",
]


class ChatState(enum.Enum):
    """The states of a chat connection, in the guide's words. (Guide: Connect to chat.)"""

    # That of Enum is a function in Python, and each message asks whether the state is ready.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

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


@frozen(kw_only=True, slots=True, repr=False)
class StateChange(Serializable):
    """The connection went from ``previous`` to ``state``; ``reason`` is the error behind it, or None."""

    state: ChatState
    previous: ChatState
    reason: Exception | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageSent(Serializable):
    """The server has acknowledged a message of this connection: the guide's status 'sent'."""

    message_id: str
    dialog: DialogRef
    message: Message

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None for a private message sent without one."""
        return self.dialog.id


@frozen(kw_only=True, slots=True, repr=False)
class MessageFailure(Serializable):
    """A message of this connection was refused, or its outcome cannot be known: ``error`` says which.

    ``condition`` and ``text`` are the condition (RFC 6120) and text of the refusal, if there was one.
    """

    message_id: str
    dialog_id: str | None
    error: Exception
    user_id: int | None = field(default=None)
    condition: str | None = field(default=None)
    text: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageStatus(Serializable):
    """User ``user_id`` has received or read message ``message_id``. (XEP-0333.)

    ``dialog_id`` is None where the peer did not name the dialog.
    """

    user_id: int
    message_id: str
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class Typing(Serializable):
    """User ``user_id`` started or stopped typing; ``dialog_id`` is None in a private dialog. (XEP-0085.)"""

    user_id: int
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageEdit(Serializable):
    """User ``user_id`` gave message ``message_id`` a new ``body``. (Guide: Edit messages; XEP-0308.)

    ``is_last`` says whether it is the dialog's last message, ``own`` that another device of this user edited
    it. ``dialog`` is where a reply goes. ``by_author`` says whether this user sent the message: any user of a
    dialog can claim to edit it (XEP-0308, 3). It is None if this connection has not seen the message.
    """

    user_id: int
    message_id: str
    body: str = field(repr=False)
    dialog: DialogRef
    is_last: bool | None = field(default=None)
    own: bool = field(default=False)
    by_author: bool | None = field(default=None)

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None where the peer did not name it."""
        return self.dialog.id


@frozen(kw_only=True, slots=True, repr=False)
class MessageDeletion(Serializable):
    """User ``user_id`` deleted message ``message_id`` for everybody. (Guide: Delete messages.)

    ``own`` says that another device of this user deleted it. ``by_author`` says whether this user sent the
    message: any user of a dialog can claim to delete it. It is None if this connection has not seen the
    message.
    """

    user_id: int
    message_id: str
    dialog: DialogRef
    own: bool = field(default=False)
    by_author: bool | None = field(default=None)

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None where the peer did not name it."""
        return self.dialog.id


@frozen(kw_only=True, slots=True, repr=False)
class ReactionChange(Serializable):
    """User ``user_id`` added reactions to message ``message_id``, or removed some. (Guide: Reactions.)

    ``own`` says that this user did it.
    """

    user_id: int
    message_id: str
    dialog_id: str | None = field(default=None)
    added: tuple[str, ...] = field(default=())
    removed: tuple[str, ...] = field(default=())
    own: bool = field(default=False)


@frozen(kw_only=True, slots=True, repr=False)
class RecoveryFailure(Serializable):
    """History could not be read after a session was lost, so messages of the gap were not delivered.

    ``dialog`` is the dialog that could not be read, or None for the list of dialogs with a gap. ``error``
    says why. Live events continue. If ``is_repeated``, the error may pass (429, 5xx, 401, no answer): the gap
    is read on with back-off as long as this session lives, without further events until
    ``recovery_finished``. Otherwise the next session tries again, from where this gap began.
    """

    error: Exception
    dialog: DialogRef | None = field(default=None)
    is_repeated: bool = field(default=False)

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None."""
        return None if self.dialog is None else self.dialog.id


@frozen(kw_only=True, slots=True, repr=False)
class RecoveryFinished(Serializable):
    """The gap after a lost session is whole: all its ``messages``, so many, have been given to receivers.

    Those of other conversations may still wait in the queue, or run, when this event comes.
    """

    messages: int = field(default=0)


@frozen(kw_only=True, slots=True, repr=False)
class Occupant(Serializable):
    """User ``user_id`` entered or left the room of dialog ``dialog_id``. (XEP-0045.)"""

    user_id: int
    dialog_id: str


@frozen(kw_only=True, slots=True, repr=False)
class RoomLeft(Serializable):
    """This user is no longer in the room of a dialog, without having left it. (XEP-0045.)

    ``reason`` is "kicked", "banned", "removed" (from the dialog), "destroyed", "shutdown" (of the room
    service) or "refused" (when the room was joined again after a reconnection; then ``error`` says more).
    ``actor_id`` is the user who did it and ``text`` their words, where these are known.
    """

    dialog_id: str
    reason: str
    actor_id: int | None = field(default=None)
    text: str | None = field(default=None, repr=False)
    error: Exception | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class LastActivity(Serializable):
    """User ``user_id`` was last active ``seconds`` ago; 0 is now. (Guide: Last activity; XEP-0012.)"""

    user_id: int
    seconds: int


@frozen(kw_only=True, slots=True, repr=False)
class ContactEvent(Serializable):
    """User ``user_id`` asks to become a contact, has agreed to be one, or is one no longer. (RFC 6121, 3.)

    The signal says which.
    """

    user_id: int


@frozen(kw_only=True, slots=True, repr=False)
class Presence(Serializable):
    """A device of user ``user_id`` became available or unavailable. (RFC 6121, 4.)

    ``resource`` names the device. ``show`` is "away", "chat", "dnd" or "xa" if the device says so,
    ``status`` free text.
    """

    user_id: int
    available: bool
    resource: str | None = field(default=None)
    show: str | None = field(default=None)
    status: str | None = field(default=None, repr=False)


@frozen(kw_only=True, slots=True, repr=False)
class RefusedStanza(Serializable):
    """A stanza of the server that was not read, because it is too large, too deep or no XML.

    The stanza is lost, and the connection goes on behind it.

    Args:
        kind: "message", "presence" or "iq".
        id: The stanza's id, if it could be read.
        sender: The JID in its ``from``, if it could be read.
        user_id: The user whom the sender's JID names, or None.
        dialog_id: The dialog of the room that relayed it, or None.
        size: The bytes that arrived of it.
        reason: Why it was not read.
    """

    kind: str
    id: str | None
    sender: str | None
    user_id: int | None
    dialog_id: str | None
    size: int
    reason: str


@frozen(kw_only=True, slots=True, repr=False)
class CallbackFailure(Serializable):
    """A receiver raised an error: names of receiver and signal, the event, and the error.

    For a done-callback ``signal`` is "add_done_callback", and ``event`` the handle of the message.
    """

    receiver: str
    signal: str
    event: Any
    error: BaseException


@frozen(kw_only=True, slots=True)
class ReceiverGaveUp(Serializable):
    """A receiver runs no more for an event: its error is not transient, or has lasted too long.

    Names of receiver and signal, the event, the last error, and the number of attempts.
    """

    event: Any
    signal: str
    receiver: str
    error: BaseException
    attempts: int


@frozen(kw_only=True, slots=True)
class MemberFailure(Serializable):
    """A member of a fleet could not log in, or its connection was closed for good.

    Args:
        user_id: The user, as far as known: None if the REST login has never succeeded.
        name: The login or the e-mail address of the credentials; None if they have neither.
        error: Why.
        attempts: The number of failures in a row.
        retry_in: The seconds until the next attempt; None if there is none, as it would fail again.
    """

    user_id: int | None
    name: str | None
    error: BaseException
    attempts: int
    retry_in: float | None


@frozen(kw_only=True, slots=True)
class DeadLetter(Serializable):
    """An event that a receiver of durable mode has given up; it is kept until it is retried or dropped.

    Args:
        id: The number of the letter in its file.
        at: When it was given up.
        signal: The name of the signal.
        receiver: The name of the receiver.
        event: The event, or None if the letter cannot be read; then signal and receiver are empty.
        error: The last error, or why the letter cannot be read.
        attempts: The number of attempts.
        is_marked: Whether it is marked to be retried, which the program that uses the file will do.
    """

    id: int
    at: datetime
    signal: str
    receiver: str
    event: Any
    error: BaseException
    attempts: int
    is_marked: bool = field(default=False)
