"""What each sending method of the chat sends: the submission, its content and its bytes, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, TypeAlias, TypeVar

from attrs import evolve

from ..models import DialogRef, Message, SystemMessage
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


def message(
    to: Destination, dialog: object, content: Message, own_id: str, sender_id: int | None
) -> Outgoing[Message]:
    """Complete a message of this user; ``dialog`` is what the caller gave."""
    date = content.date_sent or datetime.now(timezone.utc)
    sent = evolve(
        content,
        id=own_id,
        # In whole seconds, as on the wire. What is no datetime is refused below.
        date_sent=date.replace(microsecond=0) if isinstance(date, datetime) else date,
        dialog_id=to.dialog.id,
        sender_id=sender_id,
        recipient_id=to.dialog.peer_id,
        # A caller's Dialog has a name and more, which receivers of the outcome may want.
        dialog=dialog if isinstance(dialog, DialogRef) and dialog.type else to.dialog,
    )
    data = encode_message(sent, to.jid, to.type)
    return Submission(own_id, to.jid, to.dialog, sent), sent, data


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
    custom: Mapping[str, Any],
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
