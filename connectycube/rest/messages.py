"""Messages: history read and counted, messages made over REST. (Guide: Messages.)"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from attrs import evolve

from .. import checks
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import Attachment, DialogRef, DialogType, Message, Page, User
from ..models.fields import as_string
from .arguments import (
    Listing,
    a_dialog,
    a_dialog_id,
    a_text_filter,
    a_time_filter,
    a_user_id,
    an_id_filter,
    an_integer_filter,
)
from .http import CallDeadline
from .transport import Transport

__all__ = ["MESSAGES", "Messages"]

_PATH = ("chat", "Message")
_IDS_PER_QUERY = 50  # 24 characters each: well below what servers accept as a URL

MESSAGES = Listing(
    fields={
        "id": ("_id", an_id_filter),
        "body": ("message", a_text_filter),
        "date_sent": ("date_sent", a_time_filter),
        "sender_id": ("sender_id", an_integer_filter),
        "recipient_id": ("recipient_id", an_integer_filter),
        "attachments_type": ("attachments.type", a_text_filter),
        "updated_at": ("updated_at", a_time_filter),
    },
    sortable=("date_sent",),
)

# What a message is made of for the service, and what XMPP's extraParams hold: no names for custom parameters.
_RESERVED = frozenset(
    {
        "_id",
        "attachment",
        "attachments",
        "chat_dialog_id",
        "created_at",
        "date_sent",
        "delivered",
        "delivered_ids",
        "dialog_id",
        "markable",
        "message",
        "message_id",
        "moduleIdentifier",
        "reactions",
        "read",
        "read_ids",
        "recipient_id",
        "save_to_history",
        "send_to_chat",
        "sender_id",
        "updated_at",
        "views_count",
    }
)
_XML_NAME = re.compile(r"[^\W\d][\w.-]*")


class Messages:
    """The messages of the session user's dialogs; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        dialog: str | DialogRef | Message,
        *,
        limit: int | None = None,
        skip: int | None = None,
        mark_as_read: bool = True,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Any,
    ) -> Page[Message]:
        """Return one page of a dialog's history, by default the oldest messages first.

        The service marks the returned messages as read, unless ``mark_as_read`` is False. ``limit`` (the
        service takes 100 by default) and ``skip`` are numbers of messages; ``sort`` is "date_sent", with a
        minus for the newest first. Look-ups are fields with Django's words: id, body, date_sent,
        sender_id, recipient_id, attachments_type, updated_at; each also with __lt, __lte, __gt, __gte,
        __ne, __in, __nin, __all, __contains. Times are aware datetimes or unix seconds, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, PermissionDeniedError, NotFoundError, ApiError.
        Source: server API, "Retrieve messages".
        """
        place = a_dialog("dialog", dialog)
        query: list[tuple[str, str | int]] = [("chat_dialog_id", a_dialog_id("dialog", dialog))]
        query += MESSAGES.query(lookups, limit=limit, skip=skip, sort=sort)
        if not checks.a_bool("mark_as_read", mark_as_read):
            query.append(("mark_as_read", 0))
        answer = self._transport.call("GET", _PATH, query=query, timeout=timeout)
        return answer.page(lambda data: Message.from_json(data, dialog=_reference(place)))

    def count(
        self,
        dialog: str | DialogRef | Message,
        *,
        timeout: float | None = None,
        **lookups: Any,
    ) -> int:
        """Return how many messages ``list`` would find with these look-ups; nothing is marked as read.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Retrieve messages".
        """
        query: list[tuple[str, str | int]] = [("chat_dialog_id", a_dialog_id("dialog", dialog))]
        query += [*MESSAGES.query(lookups), ("count", 1), ("mark_as_read", 0)]
        return self._transport.call("GET", _PATH, query=query, timeout=timeout).count()

    def create(
        self,
        to: str | DialogRef | Message | int | User,
        body: str = "",
        *,
        attachments: Iterable[Attachment] = (),
        send_to_chat: bool = False,
        markable: bool = True,
        timeout: float | None = None,
        **custom: str | int | float | bool,
    ) -> Message:
        """Store a message in a dialog's history and, with ``send_to_chat``, deliver it as well.

        ``to`` is a dialog (id, Dialog or one of its messages) or a user (id as an int, or User), whose
        private dialog the service makes if need be. A message has a ``body`` or attachments. ``markable``
        asks the recipients for 'delivered' and 'read'. ``custom`` are the application's own parameters:
        their names must be XML names. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, PermissionDeniedError, NotFoundError, ApiError.
        Source: server API, "Create a message".
        """
        key, target, place = _target(to)
        content: dict[str, Any] = {key: target}
        checks.a_string("body", body, empty=True)
        files = _attachments(attachments)
        if not body and not files:
            raise ArgumentValueError("body must not be empty in a message without attachments")
        if body:
            content["message"] = body
        if files:
            content["attachments"] = {
                str(position): file.to_json() for position, file in enumerate(files)
            }
        if checks.a_bool("send_to_chat", send_to_chat):
            content["send_to_chat"] = 1
        if checks.a_bool("markable", markable):
            content["markable"] = 1
        for name, value in custom.items():
            content[_custom_name(name)] = _custom_value(name, value)
        answer = self._transport.call("POST", _PATH, body=content, timeout=timeout)
        data = answer.object()
        known = evolve(place, id=place.id or as_string(data.get("chat_dialog_id")))
        return Message.from_json(data, dialog=known)

    def stored_ids(
        self, dialog_id: str, ids: Collection[str], *, timeout: float | None = None
    ) -> set[str]:
        """Return those of the message ids that a dialog's history holds; nothing is marked as read.

        ``timeout`` is seconds for all of it. Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Retrieve messages".
        """
        wanted = sorted({checks.an_id("ids", message_id) for message_id in ids})
        checks.an_id("dialog_id", dialog_id)
        deadline = self._transport.deadline(timeout)
        found: set[str] = set()
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            found |= self._stored(dialog_id, wanted[start : start + _IDS_PER_QUERY], deadline)
        return found

    def _stored(self, dialog_id: str, ids: Collection[str], deadline: CallDeadline) -> set[str]:
        query: list[tuple[str, str | int]] = [
            ("chat_dialog_id", dialog_id),
            ("_id[in]", ",".join(ids)),
            ("limit", len(ids)),
            ("mark_as_read", 0),
        ]
        answer = self._transport.call("GET", _PATH, query=query, timeout=deadline)
        return {message.id for message in answer.page(Message.from_json) if message.id} & set(ids)


def _reference(dialog: DialogRef) -> DialogRef:
    return DialogRef(id=dialog.id, type=dialog.type, peer_id=dialog.peer_id)


def _target(to: object) -> tuple[str, str | int, DialogRef]:
    """Return the service's name for the target of a message, its id, and what is known of the dialog."""
    if isinstance(to, User) or (isinstance(to, int) and not isinstance(to, bool)):
        user_id = a_user_id("to", to)
        return "recipient_id", user_id, DialogRef.private(user_id)
    dialog = _reference(a_dialog("to", to))
    if dialog.id is None and dialog.type is DialogType.PRIVATE and dialog.peer_id is not None:
        return "recipient_id", dialog.peer_id, dialog
    return "chat_dialog_id", a_dialog_id("to", to), dialog


def _attachments(attachments: object) -> list[Attachment]:
    if isinstance(attachments, (str, bytes)) or not isinstance(attachments, Iterable):
        raise ArgumentTypeError(
            f"attachments must be a list of Attachment, not {type(attachments).__name__}"
        )
    files = []
    for entry in attachments:
        if not isinstance(entry, Attachment):
            raise ArgumentTypeError(f"attachments must hold Attachment, not {type(entry).__name__}")
        files.append(entry)
    return files


def _custom_name(name: str) -> str:
    if name in _RESERVED or not _XML_NAME.fullmatch(name):
        raise ArgumentValueError(f"{name!r} cannot name a custom parameter")
    return name


def _custom_value(name: str, value: object) -> object:
    if isinstance(value, str):
        return checks.a_string(name, value, empty=True)
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ArgumentValueError(f"{name} must be finite, not {value}")
        return value
    raise ArgumentTypeError(
        f"{name} must be a string, a number or a bool, not {type(value).__name__}"
    )
