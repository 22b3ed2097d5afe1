"""Events of the chat: the objects that signals pass to receivers, besides messages."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
    """The states of a chat connection, in the guide's words. (Guide: Connect to chat.)

    Example:
        >>> chat.state is ChatState.READY
        True
    """

    # That of Enum is a function in Python, and each message asks whether the state is ready.
    if TYPE_CHECKING:

        def __hash__(self) -> int: ...

    else:
        __hash__ = object.__hash__

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
    """The connection entered another state. (Guide: Connect to chat.)

    Args:
        state: The new state.
        previous: The state before.
        reason: The error behind it; None if there is none.

    Example:
        >>> @chat.state_changed.connect
        ... def show(chat, change):
        ...     print(change.previous.name, "->", change.state.name)
        >>> show(chat, StateChange(state=ChatState.RESUMED, previous=ChatState.AUTHENTICATED))
        AUTHENTICATED -> RESUMED
    """

    state: ChatState
    previous: ChatState
    reason: Exception | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageSent(Serializable):
    """The server has acknowledged a message of this connection: the guide's status 'sent'. (XEP-0198.)

    Args:
        message_id: The id of the message.
        dialog: Where it was sent.
        message: The message as it was sent.

    Example:
        >>> @chat.message_sent.connect
        ... def note(chat, sent):
        ...     print("sent:", sent.message.body)
        >>> message = Message(body="Hello")
        >>> note(chat, MessageSent(message_id="5f" * 12, dialog=group, message=message))
        sent: Hello
    """

    message_id: str
    dialog: DialogRef
    message: Message

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, or None for a private message sent without one."""
        return self.dialog.id


@frozen(kw_only=True, slots=True, repr=False)
class MessageFailure(Serializable):
    """A message of this connection was refused, or its outcome cannot be known.

    Args:
        message_id: The id of the message.
        dialog_id: The id of its dialog; None for a private message sent without one.
        error: Which of the two, and why; the same that ``handle.result()`` raises.
        user_id: The id of the recipient of a private or a system message.
        condition: The condition of the refusal (RFC 6120, 8.3.3); None if there was none.
        text: The peer's text of the refusal; None if there was none.

    Example:
        >>> @chat.message_failed.connect
        ... def warn(chat, failure):
        ...     print("not sent:", failure.error)
        >>> error = OutcomeUnknownError("the link ended")
        >>> warn(chat, MessageFailure(message_id="5f" * 12, dialog_id=None, error=error))
        not sent: the link ended
    """

    message_id: str
    dialog_id: str | None
    error: Exception
    user_id: int | None = field(default=None)
    condition: str | None = field(default=None)
    text: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageStatus(Serializable):
    """A user has received or read a message; the signal says which of the two. (XEP-0333.)

    Args:
        user_id: The id of the user.
        message_id: The id of the message.
        dialog_id: The id of the dialog; None where the peer did not name it.

    Example:
        >>> @chat.message_read.connect
        ... def tick(chat, status):
        ...     print("user", status.user_id, "has read", status.message_id)
        >>> tick(chat, MessageStatus(user_id=7, message_id="a1"))
        user 7 has read a1
    """

    user_id: int
    message_id: str
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class Typing(Serializable):
    """A user started or stopped typing; the signal says which of the two. (XEP-0085.)

    Args:
        user_id: The id of the user.
        dialog_id: The id of the dialog; None in a private dialog.

    Example:
        >>> @chat.typing_started.connect
        ... def show(chat, typing):
        ...     print("user", typing.user_id, "is typing")
        >>> show(chat, Typing(user_id=7))
        user 7 is typing
    """

    user_id: int
    dialog_id: str | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class MessageEdit(Serializable):
    """A user gave a message a new body. (Guide: Edit messages; XEP-0308.)

    Args:
        user_id: The id of the user.
        message_id: The id of the message.
        body: The new body.
        dialog: The dialog of the message, where a reply goes.
        is_last: Whether it is the last message of the dialog; None if the peer did not say it.
        own: Whether another device of this user edited it.
        by_author: Whether this user sent the message: any user of a dialog can claim to edit it (XEP-0308,
            3). None if this connection has not seen the message.

    Example:
        >>> @chat.message_edited.connect
        ... def replace(chat, edit):
        ...     if edit.by_author is not False:
        ...         print("now:", edit.body)
        >>> replace(chat, MessageEdit(user_id=7, message_id="a1", body="Hello all", dialog=group))
        now: Hello all
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
    """A user deleted a message for everybody. (Guide: Delete messages.)

    Args:
        user_id: The id of the user.
        message_id: The id of the message.
        dialog: The dialog of the message.
        own: Whether another device of this user deleted it.
        by_author: Whether this user sent the message: any user of a dialog can claim to delete it. None if
            this connection has not seen the message.

    Example:
        >>> @chat.message_deleted.connect
        ... def remove(chat, deletion):
        ...     print("removed:", deletion.message_id)
        >>> remove(chat, MessageDeletion(user_id=7, message_id="a1", dialog=group))
        removed: a1
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
    """A user added reactions to a message, or removed some. (Guide: Reactions.)

    Args:
        user_id: The id of the user.
        message_id: The id of the message.
        dialog_id: The id of the dialog; None where the peer did not name it.
        added: The reactions that were added.
        removed: The reactions that were removed.
        own: Whether this user did it.

    Example:
        >>> @chat.reaction_changed.connect
        ... def count(chat, change):
        ...     print(*change.added)
        >>> count(chat, ReactionChange(user_id=7, message_id="a1", added=("👍",)))
        👍
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

    Live events continue.

    Args:
        error: Why.
        dialog: The dialog that could not be read; None for the list of the dialogs with a gap.
        is_repeated: Whether the error may pass (429, 5xx, 401, no answer): then the gap is read on with
            back-off as long as this session lives, without further events until ``recovery_finished``.
            Otherwise the next session tries again, from where this gap began.

    Example:
        >>> @chat.recovery_failed.connect
        ... def warn(chat, failure):
        ...     print("will be repeated:", failure.is_repeated)
        >>> warn(chat, RecoveryFailure(error=ChatError("403"), dialog=group))
        will be repeated: False
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
    """The gap after a lost session is whole: all its messages have been given to receivers.

    Those of other conversations may still wait in the queue, or run, when this event arrives.

    Args:
        messages: The number of messages that were read from history.

    Example:
        >>> @chat.recovery_finished.connect
        ... def show(chat, finished):
        ...     print("read from history:", finished.messages)
        >>> show(chat, RecoveryFinished(messages=3))
        read from history: 3
    """

    messages: int = field(default=0)


@frozen(kw_only=True, slots=True, repr=False)
class Occupant(Serializable):
    """A user entered or left the room of a dialog; the signal says which of the two. (XEP-0045.)

    Args:
        user_id: The id of the user.
        dialog_id: The id of the dialog.

    Example:
        >>> @chat.occupant_joined.connect
        ... def greet(chat, occupant):
        ...     print("welcome", occupant.user_id)
        >>> greet(chat, Occupant(user_id=7, dialog_id=group.id))
        welcome 7
    """

    user_id: int
    dialog_id: str


@frozen(kw_only=True, slots=True, repr=False)
class RoomLeft(Serializable):
    """This user is no longer in the room of a dialog, without having left it. (XEP-0045.)

    Args:
        dialog_id: The id of the dialog.
        reason: "kicked", "banned", "removed" (from the dialog), "destroyed", "shutdown" (of the room service)
            or "refused" (when the room was joined again after a reconnection).
        actor_id: The id of the acting user; None if the server does not name one.
        text: The words of that user, if there are any.
        error: The answer of the server, if the reason is "refused".

    Example:
        >>> @chat.room_left.connect
        ... def forget(chat, left):
        ...     print("no longer in the room:", left.reason)
        >>> forget(chat, RoomLeft(dialog_id=group.id, reason="kicked"))
        no longer in the room: kicked
    """

    dialog_id: str
    reason: str
    actor_id: int | None = field(default=None)
    text: str | None = field(default=None, repr=False)
    error: Exception | None = field(default=None)


@frozen(kw_only=True, slots=True, repr=False)
class LastActivity(Serializable):
    """A user became active, or is active no longer. (Guide: Last activity; XEP-0012.)

    Args:
        user_id: The id of the user.
        seconds: The seconds since the user was last active; 0 is now.

    Example:
        >>> @chat.last_activity_changed.connect
        ... def show(chat, activity):
        ...     print("online" if activity.seconds == 0 else f"{activity.seconds} s ago")
        >>> show(chat, LastActivity(user_id=7, seconds=0))
        online
    """

    user_id: int
    seconds: int


@frozen(kw_only=True, slots=True, repr=False)
class ContactEvent(Serializable):
    """A user asks to become a contact, has agreed to be one, or is one no longer. (RFC 6121, 3.)

    The signal says which of them.

    Args:
        user_id: The id of the user.

    Example:
        >>> @chat.contact_requested.connect
        ... def accept(chat, request):
        ...     chat.contacts.confirm(request.user_id)
    """

    user_id: int


@frozen(kw_only=True, slots=True, repr=False)
class Presence(Serializable):
    """A device of a user became available or unavailable. (RFC 6121, 4.)

    Args:
        user_id: The id of the user.
        available: Whether the device is available.
        resource: The name of the device; None if the presence has none.
        show: "away", "chat", "dnd" or "xa", if the device says so.
        status: Free text of the user, if there is any.

    Example:
        >>> @chat.presence_changed.connect
        ... def show(chat, presence):
        ...     print(presence.user_id, "is", "there" if presence.available else "gone")
        >>> show(chat, Presence(user_id=7, available=True))
        7 is there
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

    Example:
        >>> @chat.stanza_refused.connect
        ... def note(chat, stanza):
        ...     print(f"a {stanza.kind} of {stanza.size} bytes was not read: {stanza.reason}")
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
    """A receiver, or a done-callback of a message, raised an error.

    Args:
        receiver: The name of the receiver.
        signal: The name of the signal; "add_done_callback" for a done-callback.
        event: The event; for a done-callback the handle of the message.
        error: The error that it raised.

    Example:
        >>> @chat.callback_failed.connect
        ... def report(chat, failure):
        ...     print(failure.receiver, "raised", type(failure.error).__name__)
        >>> error = KeyError("name")
        >>> report(chat, CallbackFailure(receiver="bot.greet", signal="", event=None, error=error))
        bot.greet raised KeyError
    """

    receiver: str
    signal: str
    event: Any
    error: BaseException


@frozen(kw_only=True, slots=True)
class ReceiverGaveUp(Serializable):
    """A receiver was given up for an event: its error is not transient, or has lasted too long.

    Args:
        event: The event.
        signal: The name of the signal.
        receiver: The name of the receiver.
        error: The last error.
        attempts: The number of attempts.

    Example:
        >>> @chat.receiver_gave_up.connect
        ... def report(chat, failure):
        ...     print(failure.receiver, "gave up after", failure.attempts, "attempts")
        >>> error = OSError("no database")
        >>> report(chat, ReceiverGaveUp(event=None, signal="", receiver="bot.greet", error=error, attempts=9))
        bot.greet gave up after 9 attempts
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

    Example:
        >>> def report(fleet, failure):
        ...     print(failure.name, "is not logged in:", failure.error)
        >>> error = ChatError("refused")
        >>> report(
        ...     None,
        ...     MemberFailure(user_id=None, name="bot-7", error=error, attempts=1, retry_in=None),
        ... )
        bot-7 is not logged in: refused
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

    Example:
        >>> letters = DeadLetters("bot.db.dead")
        >>> for letter in letters:
        ...     print(letter.id, letter.receiver, letter.error)
    """

    id: int
    at: datetime
    signal: str
    receiver: str
    event: Any
    error: BaseException
    attempts: int
    is_marked: bool = field(default=False)
