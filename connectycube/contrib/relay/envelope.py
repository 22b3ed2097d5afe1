"""The envelope of an event on its way to workers, and of an answer on its way back: JSON with a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from attrs import field, frozen

import connectycube
from connectycube import DialogRef, Message
from connectycube._checks import repr_of
from connectycube._containers import AnyDict
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .errors import EnvelopeError

__all__ = ["SCHEMA", "Answer", "Envelope", "conversation_of", "is_traceparent"]

SCHEMA = 1
"""The version of envelopes and answers; it changes when a worker of the present one would go wrong."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def is_traceparent(value: object) -> bool:
    """Whether a value is a ``traceparent`` of W3C Trace Context."""
    return isinstance(value, str) and _TRACEPARENT.fullmatch(value) is not None


def conversation_of(event: Any) -> str:
    """Return the key under which events are in order: the dialog, or else the user, or nothing."""
    dialog = getattr(event, "dialog", None)
    if isinstance(dialog, DialogRef) and dialog.peer_id is not None:
        return f"user:{dialog.peer_id}"  # its id is not known with each event
    dialog_id = getattr(event, "dialog_id", None) or getattr(dialog, "id", None)
    if dialog_id:
        return str(dialog_id)
    user_id = getattr(event, "user_id", None) or getattr(event, "sender_id", None)
    return f"user:{user_id}" if user_id else ""


@frozen
class Envelope:
    """An event of a chat on its way to workers.

    Args:
        id: The id of the event, the same in each attempt.
        bot: The id of the user whose chat has received it.
        signal: The name of the chat's signal.
        conversation: The key under which events are in order.
        event: The event: a Message, MessageEdit and so on.
        at: When the relay took it.
        traceparent: The trace it belongs to (W3C Trace Context), or None.
        repeated: Whether an earlier attempt to hand it over may have succeeded.

    Example:
        >>> from connectycube.contrib.relay import Envelope
        >>> message = Message(id="5f" * 12, body="Hello", dialog=group)
        >>> envelope = Envelope("e1", 7, "message_received", f"dialog:{group.id}", message)
        >>> Envelope.from_json(envelope.to_json()).event.body
        'Hello'
    """

    id: str
    bot: int
    signal: str
    conversation: str
    event: Any
    at: datetime = field(factory=lambda: datetime.now(timezone.utc))
    traceparent: str | None = None
    repeated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Write the envelope as a dictionary of JSON's types.

        Returns:
            The dictionary; "schema" is its version.
        """
        data = {
            "schema": SCHEMA,
            "id": self.id,
            "bot": self.bot,
            "signal": self.signal,
            "conversation": self.conversation,
            "at": self.at.isoformat(),
            "event": self.event.to_dict(),
        }
        if self.traceparent is not None:
            data["traceparent"] = self.traceparent
        if self.repeated:
            data["repeated"] = True
        return data

    def to_json(self) -> bytes:
        """Write the envelope as JSON.

        Returns:
            The JSON, in UTF-8.
        """
        return json.dumps(self.to_dict(), separators=(",", ":")).encode()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Envelope:
        """Read the dictionary that :meth:`to_dict` made.

        Args:
            data: The dictionary, also after a way through JSON.

        Returns:
            The envelope.

        Raises:
            EnvelopeError: It is no envelope, or has another schema.
        """
        _check_schema(data, "envelope")
        traceparent = data.get("traceparent")
        return cls(
            id=_text(data, "id"),
            bot=_number(data, "bot"),
            signal=_text(data, "signal"),
            conversation=_text(data, "conversation"),
            event=_event(data.get("event")),
            at=_time(data, "at"),
            # It may be the text of another user, and ends up in headers of requests.
            traceparent=traceparent if is_traceparent(traceparent) else None,
            repeated=data.get("repeated") is True,
        )

    @classmethod
    def from_json(cls, body: bytes) -> Envelope:
        """Read the JSON that :meth:`to_json` made.

        Args:
            body: The JSON, in UTF-8.

        Returns:
            The envelope.

        Raises:
            EnvelopeError: It is no envelope, or has another schema.
        """
        return cls.from_dict(_mapping(body, "envelope"))


@frozen
class Answer:
    """A message that a worker has a relay send.

    Args:
        bot: The id of the user who sends it.
        dialog: Where to.
        message: The message, with the id that it has in each attempt.
    """

    bot: int
    dialog: DialogRef
    message: Message

    def to_json(self) -> bytes:
        """Return the answer as JSON in UTF-8."""
        data = {
            "schema": SCHEMA,
            "bot": self.bot,
            "dialog": self.dialog.to_dict(),
            "message": self.message.to_dict(),
        }
        return json.dumps(data, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Answer:
        """Return the answer of what :meth:`to_json` made.

        Raises:
            EnvelopeError: It is no envelope, or has another schema.
        """
        data = _mapping(body, "answer")
        _check_schema(data, "answer")
        dialog, message = _event(data.get("dialog")), _event(data.get("message"))
        # Without an id the relay could not tell a repetition, and would send it twice.
        if not isinstance(dialog, DialogRef) or not isinstance(message, Message) or not message.id:
            raise EnvelopeError("an answer has no dialog, or no message with an id")
        return cls(bot=_number(data, "bot"), dialog=dialog, message=message)


def _mapping(body: bytes, what: str) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"this is no {what}, as it is no JSON: {error}") from None
    if not isinstance(data, AnyDict):
        raise EnvelopeError(f"this is no {what}, but a JSON {type(data).__name__}")
    return data


def _check_schema(data: Mapping[str, Any], what: str) -> None:
    schema = data.get("schema")
    # In Python True equals 1.
    if schema is True or schema != SCHEMA:
        raise EnvelopeError(
            f"an {what} has schema {_shown(schema)}, and this release reads {SCHEMA}: install the release of"
            " the program that wrote it, then retry its dead letter"
        )


def _event(data: object) -> Any:
    if not isinstance(data, AnyDict):
        raise EnvelopeError(f"event is {_shown(data)}, and no model")
    # Only names that the package exports: the text comes from a broker that others may write to.
    name = data.get("model")
    model: Any = getattr(connectycube, name, None) if name in connectycube.__all__ else None
    if not hasattr(model, "from_dict"):
        raise EnvelopeError(f"model {_shown(name)} is unknown to this release")
    try:
        return model.from_dict(data)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise EnvelopeError(f"{name} cannot be read: {error}") from None


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise EnvelopeError(f"{name} is {_shown(value)}, and no text")
    return value


def _number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    # JSON's true is an int in Python, and would be user 1.
    if not isinstance(value, int) or isinstance(value, bool):
        raise EnvelopeError(f"{name} is {_shown(value)}, and no whole number")
    return value


def _time(data: Mapping[str, Any], name: str) -> datetime:
    try:
        value = datetime.fromisoformat(_text(data, name))
    except ValueError:
        raise EnvelopeError(f"{name} is {_shown(data.get(name))}, and no time") from None
    # Times are compared with the service's, which a time without a zone cannot be.
    if value.tzinfo is None:
        raise EnvelopeError(f"{name} is {_shown(data.get(name))}, a time without its zone")
    return value


def _shown(value: object) -> str:
    text = repr_of(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
