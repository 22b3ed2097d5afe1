"""What each sending method of the chat sends: the submission, its content and its bytes, all checked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TypeAlias, TypeVar

from attrs import evolve

from ..models import DialogRef, Message, SystemMessage
from ..models._json import maker_of
from .content import dialog_id_of, message_id_of
from .destinations import Destination
from .ids import new_id
from .protocol import markup
from .protocol.addresses import Addresses
from .protocol.encoding import encode_deletion, encode_edit, encode_message, encode_system_message
from .protocol.outbox import Submission

__all__ = ["Outgoing", "deletion", "edit", "message", "system_message"]

Content = TypeVar("Content")
Outgoing: TypeAlias = tuple[Submission, Content, bytes]

_new_message = maker_of(
    Message,
    *("id", "dialog_id", "body", "sender_id", "recipient_id", "date_sent", "attachments", "custom"),
    *("silent", "markable", "save_to_history", "destroy_after", "dialog"),
)
_second = (0, datetime.now(timezone.utc))  # the last one that was asked for


def _this_second() -> datetime:
    """Return the date of now, in whole seconds as on the wire: the same object for a whole second."""
    global _second  # noqa: PLW0603 - both in one step, for all threads
    now, (second, date) = int(time.time()), _second
    if now != second:
        date = datetime.fromtimestamp(now, timezone.utc)
        _second = now, date
    return date


def message(
    to: Destination, dialog: object, content: Message, own_id: str, sender_id: int | None
) -> Outgoing[Message]:
    """Complete a message of this user; ``dialog`` is what the caller gave."""
    place, date = to.dialog, content.date_sent
    if not date:
        date = _this_second()
    elif isinstance(date, datetime):  # what is none is refused below
        date = date.replace(microsecond=0)  # as on the wire
    if type(content) is Message and content.dialog is None:
        # A new message, in which nothing else is set: it is made in one step.
        sent: Message = _new_message(
            own_id,
            place.id,
            content.body,
            sender_id,
            place.peer_id,
            date,
            content.attachments,
            content.custom,
            content.silent,
            content.markable,
            content.save_to_history,
            content.destroy_after,
            # A caller's Dialog has a name and more, which receivers of the outcome may want.
            dialog if isinstance(dialog, DialogRef) and dialog.type else place,
        )
    else:
        sent = evolve(
            content,
            id=own_id,
            dialog_id=place.id,
            sender_id=sender_id,
            recipient_id=place.peer_id,
            date_sent=date,
            dialog=dialog if isinstance(dialog, DialogRef) and dialog.type else place,
        )
    data = encode_message(sent, to.jid, to.type)
    return Submission(own_id, to.jid, place, sent), sent, data


def edit(
    to: Destination, message: str | Message, body: str, is_last: bool, clean: bool
) -> Outgoing[Message]:
    """Return the edit of a message."""
    message_id, dialog_id = message_id_of(message), dialog_id_of(to.dialog, message)
    if clean and isinstance(body, str):
        body = markup.clean(body)
    own_id = new_id()
    data = encode_edit(message_id, body, is_last, dialog_id, to.jid, to.type, own_id)
    edited = Message(id=message_id, body=body, dialog_id=dialog_id, dialog=to.dialog)
    return Submission(own_id, to.jid, to.dialog), edited, data


def deletion(to: Destination, message: str | Message) -> Outgoing[Message]:
    """Return the deletion of a message."""
    message_id, dialog_id = message_id_of(message), dialog_id_of(to.dialog, message)
    own_id = new_id()
    data = encode_deletion(message_id, dialog_id, to.jid, to.type, own_id)
    deleted = Message(id=message_id, dialog_id=dialog_id, dialog=to.dialog)
    return Submission(own_id, to.jid, to.dialog), deleted, data


def system_message(
    addresses: Addresses,
    peer_id: int,
    sender_id: int | None,
    custom: Mapping[str, object],
    body: str | None,
) -> Outgoing[SystemMessage]:
    """Return a system message to a user."""
    to, own_id = addresses.user(peer_id), new_id()
    data = encode_system_message(custom, to, own_id, body)
    sent = SystemMessage(
        id=own_id, recipient_id=peer_id, sender_id=sender_id, body=body, custom=custom
    )
    reference = DialogRef.private(peer_id)
    return Submission(own_id, to, reference, failed="system_message_failed"), sent, data
