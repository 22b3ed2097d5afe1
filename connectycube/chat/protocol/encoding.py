"""Encodes the stanzas that we send; all arguments are checked before the first byte is written.

ConnectyCube's real-time documentation; XEP-0333 markers, XEP-0085 chat states, XEP-0308 corrections,
XEP-0045 rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..._checks import check_bool, check_int, check_str
from ...errors import ArgumentTypeError, ArgumentValueError
from ...models import Attachment, Message
from ...models._json import EPOCH
from ...models.messages import RESERVED_NAMES, text_of
from . import namespaces as ns
from .markup import attribute, check_name, check_text, text

__all__ = [
    "SYSTEM_NOTIFICATIONS",
    "encode_chat_state",
    "encode_deletion",
    "encode_edit",
    "encode_iq",
    "encode_join",
    "encode_leave",
    "encode_marker",
    "encode_message",
    "encode_system_message",
]

SYSTEM_NOTIFICATIONS = "SystemNotifications"
"""The moduleIdentifier of system messages."""

_CLEAN = " (clean=True replaces such characters)"


def encode_message(message: Message, to: str, kind: str = "chat") -> bytes:
    """Write ``message``, which has an id and a date_sent, to the bare JID ``to``.

    The JID is that of a user or, with kind "groupchat", of a room. Raises ArgumentTypeError or
    ArgumentValueError, which names the field that cannot be sent.
    """
    parts = [
        f'<message to="{attribute(to)}" type="{kind}" id="{_id("id", message.id)}">',
        f"<body>{text(check_text('body', message.body or '', remedy=_CLEAN))}</body>",
        f'<extraParams xmlns="{ns.CLIENT}">',
        f"<date_sent>{_seconds(message.date_sent)}</date_sent>",
    ]
    if message.destroy_after is None and check_bool("save_to_history", message.save_to_history):
        parts.append("<save_to_history>1</save_to_history>")
    if check_bool("silent", message.silent):
        parts.append("<silent>1</silent>")
    if not check_bool("markable", message.markable):
        parts.append("<markable>0</markable>")  # history keeps parameters, and no other elements
    parts.append(_params("custom", message.custom, RESERVED_NAMES))
    if message.dialog_id is not None:
        parts.append(f"<dialog_id>{_id('dialog_id', message.dialog_id)}</dialog_id>")
    for position, attachment in enumerate(message.attachments):
        parts.append(_attachment(f"attachments[{position}]", attachment))
    parts.append("</extraParams>")
    if message.destroy_after is not None:
        seconds = check_int("destroy_after", message.destroy_after, least=1)
        parts.append(f'<destroy xmlns="{ns.DESTROY_AFTER}" after="{seconds}"/>')
    if message.markable:
        parts.append(f'<markable xmlns="{ns.CHAT_MARKERS}"/>')
    parts.append("</message>")
    return "".join(parts).encode()


def encode_marker(name: str, message_id: str, dialog_id: str | None, to: str, own_id: str) -> bytes:
    """Write a 'received' or 'displayed' marker for a message to its sender's bare JID. (XEP-0333.)"""
    params = _dialog(dialog_id) if dialog_id is not None else ""
    return (
        f'<message to="{attribute(to)}" type="chat" id="{own_id}">'
        f'<{name} xmlns="{ns.CHAT_MARKERS}" id="{_id("message id", message_id)}"/>{params}</message>'
    ).encode()


def encode_chat_state(name: str, to: str, kind: str = "chat") -> bytes:
    """Write 'composing' or 'paused' to a bare JID. (XEP-0085.)"""
    return (
        f'<message to="{attribute(to)}" type="{kind}"><{name} xmlns="{ns.CHAT_STATES}"/></message>'
    ).encode()


def encode_edit(
    message_id: str, body: str, is_last: bool, dialog_id: str, to: str, kind: str, own_id: str
) -> bytes:
    """Write the new body of a message that was sent before. (XEP-0308.)"""
    checked = text(check_text("body", check_str("body", body), remedy=_CLEAN))
    last = "true" if check_bool("is_last", is_last) else "false"
    return (
        f'<message to="{attribute(to)}" type="{kind}" id="{own_id}"><body>{checked}</body>'
        f'<replace xmlns="{ns.CORRECTION}" id="{_id("message id", message_id)}" last="{last}"/>'
        f"{_dialog(dialog_id)}</message>"
    ).encode()


def encode_deletion(message_id: str, dialog_id: str, to: str, kind: str, own_id: str) -> bytes:
    """Write the deletion of a message that was sent before. (ConnectyCube: Delete message.)"""
    return (
        f'<message to="{attribute(to)}" type="{kind}" id="{own_id}">'
        f'<remove xmlns="{ns.DELETION}" id="{_id("message id", message_id)}"/>'
        f"{_dialog(dialog_id)}</message>"
    ).encode()


def encode_system_message(
    custom: Mapping[str, Any], to: str, own_id: str, body: str | None = None
) -> bytes:
    """Write a system message to a user's bare JID. (ConnectyCube: System messages.)"""
    written = text(check_text("body", "" if body is None else body))
    params = _params("custom", custom, frozenset({"moduleIdentifier", "attachment"}))
    return (
        f'<message to="{attribute(to)}" type="headline" id="{own_id}"><body>{written}</body>'
        f'<extraParams xmlns="{ns.CLIENT}"><moduleIdentifier>{SYSTEM_NOTIFICATIONS}</moduleIdentifier>'
        f"{params}</extraParams></message>"
    ).encode()


def encode_join(room: str, nick: int, own_id: str) -> bytes:
    """Write the presence that joins a room and asks for none of its history. (XEP-0045, 7.2.)"""
    return (
        f'<presence to="{attribute(room)}/{nick}" id="{own_id}">'
        f'<x xmlns="{ns.MUC}"><history maxstanzas="0"/></x></presence>'
    ).encode()


def encode_leave(room: str, nick: int) -> bytes:
    """Write the presence that leaves a room. (XEP-0045, 7.14.)"""
    return f'<presence to="{attribute(room)}/{nick}" type="unavailable"/>'.encode()


def encode_iq(kind: str, to: str | None, payload: str, own_id: str) -> bytes:
    """Write an IQ request of the type ``kind``; ``payload`` is checked XML. (RFC 6120, 8.2.3.)"""
    target = f' to="{attribute(to)}"' if to is not None else ""
    return f'<iq type="{kind}" id="{own_id}"{target}>{payload}</iq>'.encode()


def _id(name: str, value: object) -> str:
    return attribute(check_text(name, check_str(name, value)))


def _dialog(dialog_id: str) -> str:
    return (
        f'<extraParams xmlns="{ns.CLIENT}">'
        f"<dialog_id>{_id('dialog_id', dialog_id)}</dialog_id></extraParams>"
    )


def _seconds(moment: datetime | None) -> int:
    if not isinstance(moment, datetime):
        raise ArgumentTypeError(f"date_sent must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        raise ArgumentValueError("date_sent must be an aware datetime: it has no time zone")
    return int((moment - EPOCH).total_seconds())


def _params(name: str, values: Mapping[str, Any], reserved: frozenset[str] = frozenset()) -> str:
    if not isinstance(values, Mapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(values).__name__}")
    parts = []
    for key, value in values.items():
        tag = check_name(name, key)
        if tag in reserved:
            raise ArgumentValueError(f"{name} must not have the key {tag!r}: it is reserved")
        path = f"{name}[{tag!r}]"
        if isinstance(value, Mapping):
            inner = _params(path, value)
        else:
            inner = text(text_of(path, value, "a string, a number, a bool or a mapping"))
        parts.append(f"<{tag}>{inner}</{tag}>")
    return "".join(parts)


def _attachment(name: str, attachment: Attachment) -> str:
    if not isinstance(attachment, Attachment):
        raise ArgumentTypeError(f"{name} must be an Attachment, not {type(attachment).__name__}")
    written = [
        f' {key}="{attribute(str(value))}"' for key, value in attachment.to_json(name).items()
    ]
    return f"<attachment{''.join(written)}/>"
