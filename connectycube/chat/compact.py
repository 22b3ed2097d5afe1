"""Messages in a compact form: while many events wait for a slow receiver, each takes half of the memory.

A message is some twenty objects, which together hold three times the bytes of its stanza. In compact form the
values are one ``bytes``, made and read in C; what messages share, such as the dialog, stays as it is.
"""

from __future__ import annotations

import marshal
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar

import attrs

from ..models import Attachment, DialogRef, Message
from ..models._json import maker_of

__all__ = ["CompactMessage", "compact"]

_ATTACHMENT = tuple(entry.name for entry in attrs.fields(Attachment))
_KEPT = ("date_sent", "dialog")
_WRITTEN = (
    *("id", "dialog_id", "body", "sender_id", "recipient_id", "custom", "silent", "markable"),
    *("save_to_history", "destroy_after", "delayed", "own"),
)
_OTHERS = tuple(
    entry.name
    for entry in attrs.fields(Message)
    if entry.name not in (*_KEPT, *_WRITTEN, "attachments")
)
_written_of, _others_of = attrgetter(*_WRITTEN), attrgetter(*_OTHERS)
_values_of = attrgetter(*_ATTACHMENT)
_DEFAULTS = _others_of(Message())
_new_attachment = maker_of(Attachment, *_ATTACHMENT)
_new_message = maker_of(Message, *_KEPT, "attachments", *_WRITTEN)


class CompactMessage:
    """A message that has arrived, for as long as it waits."""

    __slots__ = ("_data", "_date_sent", "_dialog")

    recovered: ClassVar[bool] = False
    redelivered: ClassVar[bool] = False

    def __init__(self, date_sent: datetime | None, dialog: DialogRef | None, data: bytes) -> None:
        self._date_sent = date_sent
        self._dialog = dialog
        self._data = data

    def whole(self) -> Message:
        """Return the message."""
        written, files = marshal.loads(self._data)
        attachments = tuple([_new_attachment(*values) for values in files])
        message: Message = _new_message(self._date_sent, self._dialog, attachments, *written)
        return message


def compact(event: Any) -> Any:
    """Return a message as it arrives live in compact form, and any other event as it is."""
    if type(event) is not Message or _others_of(event) != _DEFAULTS:
        return event
    try:
        data = marshal.dumps((_written_of(event), [*map(_values_of, event.attachments)]))
    except ValueError:  # a value of another type, which would not come back as it was
        return event
    return CompactMessage(event.date_sent, event.dialog, data)
