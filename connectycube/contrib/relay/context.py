"""What a handler knows of its event beside the event itself, and how it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from connectycube import ConnectyCube, DialogRef, Message
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..common.sending import checked_message
from .envelope import Answer, Envelope
from .ids import answer_id

if TYPE_CHECKING:
    from connectycube.typing import CustomValue

__all__ = ["IN_REPLY_TO", "Context"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

IN_REPLY_TO = "in_reply_to"
"""The custom parameter by which an answer over REST is found again."""
_EARLIER = timedelta(minutes=10)  # between the clocks of the relay and of the service, at most
_PAGE = 100


@define(eq=False)
class Context:
    """The second argument of a handler, beside the event: its id, the attempt, and ways to answer.

    Args:
        envelope: The envelope of the event.
        group: The group of the worker.
        attempt: The number of this attempt for the event, from 1.
        repeated: Whether a handler may have run for the event before.

    Example:
        >>> from connectycube.contrib.relay import Context, Envelope
        >>> message = Message(id="5f" * 12, body="Hello", dialog=group)
        >>> envelope = Envelope("e1", 7, "message_received", f"dialog:{group.id}", message)
        >>> answers = []  # a handler is tested with a list in place of the engine
        >>> context = Context(envelope, "workers", attempt=1, repeated=False, add=answers.append)
        >>> message_id = context.reply("you said Hello")
        >>> answers[0].message.body
        'you said Hello'
    """

    envelope: Envelope
    group: str
    attempt: int
    repeated: bool
    _add: Callable[[Answer], object]
    _count: int = field(default=0, init=False)

    @property
    def event_id(self) -> str:
        """The id of the event, the same in each attempt: a key for all that the handler writes elsewhere."""
        return self.envelope.id

    @property
    def bot(self) -> int:
        """The id of the user whose chat has received the event."""
        return self.envelope.bot

    @property
    def traceparent(self) -> str | None:
        """The trace that the event belongs to (W3C Trace Context), or None."""
        return self.envelope.traceparent

    def reply(self, body: str | Message, **custom: CustomValue) -> str:
        """Have the relay send a message to the dialog of the event.

        The n-th message of a handler has the same id in each attempt, so a repetition is known at the other
        end. When this returns, the engine has the message, and the relay sends it, in order.

        Args:
            body: The text, or a Message.
            custom: Custom parameters of the message.

        Returns:
            The id of the message.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or the event is of no dialog.
            EngineUnavailableError, EngineFullError: The engine did not take it; both are transient.
        """
        return self.send(self._dialog(), body, **custom)

    def send(self, dialog: DialogRef, body: str | Message, **custom: CustomValue) -> str:
        """Have the relay send a message to any dialog.

        The n-th message of a handler has the same id in each attempt, so a repetition is known at the other
        end. When this returns, the engine has the message, and the relay sends it, in order.

        Args:
            dialog: The dialog, such as ``DialogRef.private(user_id)`` or the dialog of a message.
            body: The text, or a Message.
            custom: Custom parameters of the message.

        Returns:
            The id of the message.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong.
            EngineUnavailableError, EngineFullError: The engine did not take it; both are transient.
        """
        if not isinstance(dialog, DialogRef):
            raise ArgumentTypeError(f"dialog must be a DialogRef, not {type(dialog).__name__}")
        message = checked_message(body, custom)
        place = DialogRef(id=dialog.id, type=dialog.type, peer_id=dialog.peer_id)
        number = self._count
        message_id = message.id or self._answer_id(number)
        self._add(Answer(self.bot, place, evolve(message, id=message_id)))
        self._count = (
            number + 1
        )  # not before the engine has it: the next attempt has the same number
        return message_id

    def reply_over_rest(
        self, client: ConnectyCube, body: str | Message, **custom: CustomValue
    ) -> Message:
        """Send a message to the dialog of the event over REST, without the relay.

        REST takes no id of ours. So the message carries one in the parameter ``in_reply_to``, and a repeated
        attempt first looks for that in the dialog's history.

        Args:
            client: A client with a session of the bot.
            body: The text, or a Message.
            custom: Custom parameters of the message.

        Returns:
            The message as the service stored it.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or the event is of no dialog.
            ApiError: The service did not take it.
        """
        dialog, message = self._dialog(), checked_message(body, custom)
        mark = self._answer_id(self._count)
        self._count += 1
        # Only in a repeated attempt: the look costs a call, and before the first one nothing can have
        # been sent.
        found = self._sent_before(client, dialog, mark) if self.repeated else None
        if found is not None:
            return found
        to: str | int | None = dialog.id or dialog.peer_id
        assert to is not None
        # REST takes no id of ours, so the mark stands for it.
        message = evolve(message, id=None, custom={**message.custom, IN_REPLY_TO: mark})
        return client.messages.create(to, message, send_to_chat=True)

    def _sent_before(self, client: ConnectyCube, dialog: DialogRef, mark: str) -> Message | None:
        event, dialog_id = self.envelope.event, dialog.id
        if (
            dialog_id is None
        ):  # a live private message need not name it; the service returns the one there is
            assert dialog.peer_id is not None
            dialog_id = client.dialogs.create_private(dialog.peer_id).id
            assert dialog_id is not None
        # Not before the message, by the service's clock.
        sent = event.date_sent if isinstance(event, Message) else None
        since = (sent or self.envelope.at) - _EARLIER
        # The oldest first, so that messages which arrive while pages are read change no earlier page.
        for skip in range(0, 10_000, _PAGE):
            page = client.messages.list(
                dialog_id,
                mark_as_read=False,
                sort="date_sent",
                limit=_PAGE,
                skip=skip,
                date_sent__gte=since,
                sender_id=self.bot,
            )
            for message in page.items:
                if message.custom.get(IN_REPLY_TO) == mark:
                    return message
            if len(page.items) < _PAGE:
                break
        return None

    def _answer_id(self, number: int) -> str:
        event = self.envelope.event
        message_id = event.id if isinstance(event, Message) else None
        return answer_id(self.event_id, message_id, self.group, number)

    def _dialog(self) -> DialogRef:
        event = self.envelope.event
        dialog = getattr(event, "dialog", None)
        if isinstance(dialog, DialogRef):
            return dialog
        dialog_id = getattr(event, "dialog_id", None)
        if dialog_id is None:
            raise ArgumentValueError(
                f"an event of {self.envelope.signal} says no dialog: use send(dialog, …)"
            )
        return DialogRef(id=dialog_id)
