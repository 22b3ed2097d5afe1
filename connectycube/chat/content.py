"""What a message carries when it is sent: the caller's words, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from .._checks import check_str
from .._containers import AnyMapping
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import DialogRef, Message
from ..models.messages import check_content, check_more, forwarded
from .ids import check_new_id
from .protocol import markup

__all__ = ["check_markable", "content_of", "dialog_id_of", "dialog_of", "message_id_of"]

_ARGUMENTS = {
    **{name: name for name in ("custom", "clean", "timeout")},
    **{
        name: f"Message({name}=…)"
        for name in ("attachments", "destroy_after", "markable", "save_to_history", "silent")
    },
}
"""The arguments of the calls that send a message: custom parameters need other names."""


def content_of(message: object, custom: object, more: Mapping[str, object], clean: bool) -> Message:
    """Return the content of a message to send: a body or a Message, with the custom parameters added.

    A Message with a sender was received from a user: its content is forwarded, without its id and date.
    """
    if isinstance(message, str):
        content = Message(body=message)
    else:
        content = check_content("message", message)
        if content.sender_id is not None:
            content = forwarded(content)
        elif content.id is not None:
            check_new_id("message.id", content.id)
    if more:
        check_more("send_message, send_private and reply", more, _ARGUMENTS)
    if custom is not None or more:
        content = evolve(content, custom={**content.custom, **_mapping(custom), **more})
    if not content.body and not content.attachments and not content.custom:
        raise ArgumentValueError("message must have a body, an attachment or a custom parameter")
    if clean and isinstance(content.body, str):
        content = evolve(content, body=markup.clean(content.body))
    return content


def _mapping(custom: object) -> Mapping[str, object]:
    if custom is None:
        return {}
    if not isinstance(custom, AnyMapping):
        raise ArgumentTypeError(f"custom must be a mapping, not {type(custom).__name__}")
    return custom


def check_message(message: object) -> Message:
    """Return ``message`` if it is a Message."""
    if not isinstance(message, Message):
        raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
    return message


def dialog_of(message: object) -> DialogRef:
    """Return the dialog that a message came from."""
    dialog = check_message(message).dialog
    if dialog is None:
        raise ArgumentValueError("message does not say which dialog it came from")
    return dialog


def check_markable(message: object) -> None:
    """Raise unless ``message`` is a Message that a marker can name: one with an id and a sender."""
    if not check_message(message).id or not check_message(message).sender_id:
        raise ArgumentValueError("message must have an id and a sender_id")


def message_id_of(message: object) -> str:
    """Return the id of a message, given as such or as a Message that has one."""
    if isinstance(message, Message):
        if not message.id:
            raise ArgumentValueError("message must have an id")
        return message.id
    if not isinstance(message, str):
        kind = type(message).__name__
        raise ArgumentTypeError(f"message must be a Message or its id, not {kind}")
    return check_str("message", message)


def dialog_id_of(dialog: DialogRef, message: object) -> str:
    """Return the id of a message's dialog, which the dialog or the Message has."""
    found = dialog.id or (message.dialog_id if isinstance(message, Message) else None)
    if not found:
        raise ArgumentValueError("dialog does not say its id, and neither does message")
    return found
