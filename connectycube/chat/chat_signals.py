"""The signals of a chat: each with the class of its events, and when it is sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, overload

from ..errors import ArgumentTypeError
from ..models import (
    CallbackFailure,
    ContactEvent,
    ContactListItem,
    LastActivity,
    Message,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageSent,
    MessageStatus,
    Occupant,
    Presence,
    ReactionChange,
    ReceiverGaveUp,
    RecoveryFailure,
    RecoveryFinished,
    RefusedStanza,
    RoomLeft,
    StateChange,
    SystemMessage,
    Typing,
)
from .signals import Event_co, Signal, check_callback

__all__ = ["ChatSignals", "Manager", "SignalOf"]

Manager = Callable[[Any, "str | None", Any, str], AbstractContextManager[object]]
"""Makes what stands around one call: ``manager(chat, signal, event, receiver)``."""


class SignalOf(Generic[Event_co]):
    """An attribute of a chat that is a signal, made when it is first used: most chats use few of them.

    ``event`` is the class of its events.
    """

    def __init__(self, event: type[Event_co], doc: str) -> None:
        self._event = event
        self.__doc__ = doc

    def __set_name__(self, owner: type[ChatSignals], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, chat: None, owner: type[ChatSignals]) -> SignalOf[Event_co]: ...
    @overload
    def __get__(self, chat: ChatSignals, owner: type[ChatSignals]) -> Signal[Event_co]: ...
    def __get__(self, chat: ChatSignals | None, owner: type[ChatSignals]) -> Any:
        if chat is None:
            return self
        made = Signal(self._name, self._event, self.__doc__ or "")
        made.check_open = chat._check_open
        # From now on it is an attribute of the chat itself. Of two threads that make it one wins.
        return vars(chat).setdefault(self._name, made)


class ChatSignals:
    """The signals of one chat connection, as attributes; see :class:`Signal` for how to connect to one.

    Signals of a fleet are shared by the chats of its members.

    Example:
        >>> @chat.message_received.connect
        ... def show(chat, message):
        ...     print(message.body)
        >>> show(chat, Message(body="Hello"))
        Hello
    """

    state_changed: SignalOf[StateChange] = SignalOf(
        StateChange, "The connection entered another state."
    )
    callback_failed: SignalOf[CallbackFailure] = SignalOf(
        CallbackFailure, "A receiver or a done-callback raised."
    )
    receiver_gave_up: SignalOf[ReceiverGaveUp] = SignalOf(
        ReceiverGaveUp, "A receiver was given up for an event."
    )
    message_received: SignalOf[Message] = SignalOf(Message, "A message of another user arrived.")
    own_message_received: SignalOf[Message] = SignalOf(
        Message, "Another device of this user sent a message."
    )
    message_sent: SignalOf[MessageSent] = SignalOf(
        MessageSent, "The server acknowledged a message of this user."
    )
    message_failed: SignalOf[MessageFailure] = SignalOf(
        MessageFailure, "A message of this user failed, or its outcome is unknown."
    )
    message_delivered: SignalOf[MessageStatus] = SignalOf(
        MessageStatus, "A message of this user was delivered."
    )
    message_read: SignalOf[MessageStatus] = SignalOf(
        MessageStatus, "A message of this user was read."
    )
    message_edited: SignalOf[MessageEdit] = SignalOf(MessageEdit, "A message has a new body.")
    message_deleted: SignalOf[MessageDeletion] = SignalOf(
        MessageDeletion, "A message was deleted for everybody."
    )
    reaction_changed: SignalOf[ReactionChange] = SignalOf(
        ReactionChange, "A user reacted to a message."
    )
    stanza_refused: SignalOf[RefusedStanza] = SignalOf(
        RefusedStanza, "A stanza of the server was skipped."
    )
    recovery_failed: SignalOf[RecoveryFailure] = SignalOf(
        RecoveryFailure, "A gap could not be read from history."
    )
    recovery_finished: SignalOf[RecoveryFinished] = SignalOf(
        RecoveryFinished, "All messages of a gap have arrived."
    )
    typing_started: SignalOf[Typing] = SignalOf(Typing, "A user started typing.")
    typing_stopped: SignalOf[Typing] = SignalOf(Typing, "A user stopped typing.")
    system_message_received: SignalOf[SystemMessage] = SignalOf(
        SystemMessage, "A system message arrived."
    )
    system_message_failed: SignalOf[MessageFailure] = SignalOf(
        MessageFailure, "A system message of this user failed."
    )
    occupant_joined: SignalOf[Occupant] = SignalOf(
        Occupant, "A user entered a room that this user is in."
    )
    occupant_left: SignalOf[Occupant] = SignalOf(
        Occupant, "A user left a room that this user is in."
    )
    room_left: SignalOf[RoomLeft] = SignalOf(
        RoomLeft, "This user is no longer in a room, without having left it."
    )
    last_activity_changed: SignalOf[LastActivity] = SignalOf(
        LastActivity, "A user came online or went offline."
    )
    contact_requested: SignalOf[ContactEvent] = SignalOf(
        ContactEvent, "A user asks to be a contact."
    )
    contact_confirmed: SignalOf[ContactEvent] = SignalOf(
        ContactEvent, "A user agreed to be a contact."
    )
    contact_rejected: SignalOf[ContactEvent] = SignalOf(
        ContactEvent, "A user declined a contact request, or removed this user."
    )
    contact_cancelled: SignalOf[ContactEvent] = SignalOf(
        ContactEvent, "A user no longer sees the presence of this user."
    )
    contact_list_changed: SignalOf[ContactListItem] = SignalOf(
        ContactListItem, "A contact was added, changed or removed."
    )
    presence_changed: SignalOf[Presence] = SignalOf(
        Presence, "A contact came online or went offline."
    )

    def __init__(
        self, check_open: Callable[[], None] | None = None, shared: ChatSignals | None = None
    ) -> None:
        self._failure_observer: Callable[[Any, CallbackFailure], object] | None = None
        """Called for each failure outside of ``around``, and kept by ``destroy()``; for the pytest plugin."""
        self._are_shared = shared is not None
        self._check_open = check_open
        self._managers: list[Manager] = []
        if shared is not None:
            self._check_open, self._managers = shared._check_open, shared._managers
            vars(self).update({signal.name: signal for signal in shared._all_signals()})

    def around(self, manager: Manager) -> Manager:
        """Put a context manager around every call of a receiver or done-callback from now on.

        ``manager(chat, signal, event, receiver)`` returns the context manager; signal and receiver are names.
        It is entered again for each attempt, on the worker that makes the call. Of several the first one is
        the outermost. The context manager sees the error of the receiver. If it suppresses the error, the
        event counts as handled. If it raises itself, the receiver counts as having raised. For done-callbacks
        ``signal`` is None and ``event`` the handle. May be called from any thread; works as a decorator.

        Args:
            manager: Called with ``(chat, signal, event, receiver)``.

        Returns:
            The manager.

        Raises:
            ArgumentTypeError: ``manager`` cannot be called like this.
            ClientClosedError: The client was closed.
        """
        check_callback("manager", manager, "chat", "signal", "event", "receiver")
        if self._check_open is not None:
            self._check_open()
        self._managers.append(manager)
        return manager

    def _check_own(self, signal: object) -> None:
        """Raise unless ``signal`` is a signal of this connection."""
        if signal not in self._signals():
            hint = f": write chat.{signal}" if isinstance(signal, str) else ""
            raise ArgumentTypeError(
                f"signal must be a signal of this connection, not {type(signal).__name__}{hint}"
            )

    def _all_signals(self) -> list[Signal[object]]:
        declared = {name: each for cls in type(self).__mro__ for name, each in vars(cls).items()}
        return [getattr(self, name) for name in declared if isinstance(declared[name], SignalOf)]

    def _signals(self) -> list[Signal[object]]:
        """Return the signals that were used: no other one has receivers."""
        return [value for value in tuple(vars(self).values()) if isinstance(value, Signal)]

    def _forget_receivers(self) -> None:
        """Disconnect all receivers; of shared signals, those that are connected for this chat alone."""
        for signal in self._signals():
            if self._are_shared:
                signal.disconnect_sender(self)
            else:
                signal.disconnect_all()
