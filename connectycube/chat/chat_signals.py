"""The signals of a chat: each with the class of its events, and when it is sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

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
from .signals import Signal, check_callback

__all__ = ["ChatSignals", "Manager"]

Manager = Callable[[Any, "str | None", Any, str], AbstractContextManager[object]]
"""Makes what stands around one call: ``manager(chat, signal, event, receiver)``."""


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
            vars(self).update({signal.name: signal for signal in shared._signals()})
            return
        self.state_changed: Signal[StateChange] = Signal(
            "state_changed", StateChange, "The connection entered another state."
        )
        self.callback_failed: Signal[CallbackFailure] = Signal(
            "callback_failed", CallbackFailure, "A receiver or a done-callback raised."
        )
        self.receiver_gave_up: Signal[ReceiverGaveUp] = Signal(
            "receiver_gave_up", ReceiverGaveUp, "A receiver runs no more for an event."
        )
        self.message_received: Signal[Message] = Signal(
            "message_received", Message, "A message of another user arrived."
        )
        self.own_message_received: Signal[Message] = Signal(
            "own_message_received", Message, "Another device of this user sent a message."
        )
        self.message_sent: Signal[MessageSent] = Signal(
            "message_sent", MessageSent, "The server acknowledged a message of ours."
        )
        self.message_failed: Signal[MessageFailure] = Signal(
            "message_failed", MessageFailure, "A message of ours failed, or may have."
        )
        self.message_delivered: Signal[MessageStatus] = Signal(
            "message_delivered", MessageStatus, "A message of ours was delivered."
        )
        self.message_read: Signal[MessageStatus] = Signal(
            "message_read", MessageStatus, "A message of ours was read."
        )
        self.message_edited: Signal[MessageEdit] = Signal(
            "message_edited", MessageEdit, "A message has a new body."
        )
        self.message_deleted: Signal[MessageDeletion] = Signal(
            "message_deleted", MessageDeletion, "A message was deleted for everybody."
        )
        self.reaction_changed: Signal[ReactionChange] = Signal(
            "reaction_changed", ReactionChange, "A user reacted to a message."
        )
        self.stanza_refused: Signal[RefusedStanza] = Signal(
            "stanza_refused", RefusedStanza, "A stanza of the server was not read."
        )
        self.recovery_failed: Signal[RecoveryFailure] = Signal(
            "recovery_failed", RecoveryFailure, "A gap could not be read from history."
        )
        self.recovery_finished: Signal[RecoveryFinished] = Signal(
            "recovery_finished", RecoveryFinished, "All messages of a gap have arrived."
        )
        self.typing_started: Signal[Typing] = Signal(
            "typing_started", Typing, "A user started typing."
        )
        self.typing_stopped: Signal[Typing] = Signal(
            "typing_stopped", Typing, "A user stopped typing."
        )
        self.system_message_received: Signal[SystemMessage] = Signal(
            "system_message_received", SystemMessage, "A system message arrived."
        )
        self.system_message_failed: Signal[MessageFailure] = Signal(
            "system_message_failed", MessageFailure, "A system message of ours failed."
        )
        self.occupant_joined: Signal[Occupant] = Signal(
            "occupant_joined", Occupant, "A user entered a room we are in."
        )
        self.occupant_left: Signal[Occupant] = Signal(
            "occupant_left", Occupant, "A user left a room we are in."
        )
        self.room_left: Signal[RoomLeft] = Signal(
            "room_left", RoomLeft, "We are no longer in a room, without our doing."
        )
        self.last_activity_changed: Signal[LastActivity] = Signal(
            "last_activity_changed", LastActivity, "A user came or went."
        )
        self.contact_requested: Signal[ContactEvent] = Signal(
            "contact_requested", ContactEvent, "A user asks to be a contact."
        )
        self.contact_confirmed: Signal[ContactEvent] = Signal(
            "contact_confirmed", ContactEvent, "A user agreed to be a contact."
        )
        self.contact_rejected: Signal[ContactEvent] = Signal(
            "contact_rejected", ContactEvent, "A user is no contact, or no longer."
        )
        self.contact_cancelled: Signal[ContactEvent] = Signal(
            "contact_cancelled", ContactEvent, "A user follows us no longer."
        )
        self.contact_list_changed: Signal[ContactListItem] = Signal(
            "contact_list_changed", ContactListItem, "A contact is new or changed."
        )
        self.presence_changed: Signal[Presence] = Signal(
            "presence_changed", Presence, "A contact came or went."
        )

        for signal in self._signals():
            signal.check_open = check_open

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
            name = type(signal).__name__
            raise ArgumentTypeError(f"signal must be a signal of this connection, not {name}")

    def _signals(self) -> list[Signal[object]]:
        return [value for value in vars(self).values() if isinstance(value, Signal)]

    def _forget_receivers(self) -> None:
        """Disconnect all receivers; of shared signals, those that are connected for this chat alone."""
        for signal in self._signals():
            if self._are_shared:
                signal.disconnect_sender(self)
            else:
                signal.disconnect_all()
