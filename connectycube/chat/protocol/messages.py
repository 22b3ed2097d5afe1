"""The codec of chat messages: :class:`Message` to stanza, stanza to event.

What we send is checked before a byte of it exists; what we read is taken as it comes. (ConnectyCube's
real-time documentation; XEP-0333 markers, XEP-0085 chat states, XEP-0203 delay.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from attrs import evolve, field, frozen

from ... import checks
from ...errors import ArgumentTypeError, ArgumentValueError
from ...models import (
    Attachment,
    DialogRef,
    Message,
    MessageFailure,
    MessageStatus,
    Typing,
)
from ...models.fields import EPOCH, as_int, as_time
from . import namespaces as ns
from .addresses import Addresses, bare
from .markup import attribute, check_name, check_text, text
from .parser import MessageStanza
from .requests import error_of

__all__ = ["Delivery", "decode", "encode_chat_state", "encode_marker", "encode_message"]

RESERVED = frozenset(
    {
        "attachment",
        "date_sent",
        "dialog_id",
        "message_id",
        "moduleIdentifier",
        "save_to_history",
        "silent",
    }
)
"""Names in extraParams that have a meaning of their own and cannot be custom parameters."""

_CLEAN = " (clean=True replaces such characters)"
_DELIVERED = f"{ns.CHAT_MARKERS} received"
_READ = f"{ns.CHAT_MARKERS} displayed"
_MARKABLE = f"{ns.CHAT_MARKERS} markable"
_COMPOSING = f"{ns.CHAT_STATES} composing"
_PAUSED = f"{ns.CHAT_STATES} paused"
_DESTROY = f"{ns.DESTROY_AFTER} destroy"
_ERROR = f"{ns.CLIENT} error"
_DELAYS = (f"{ns.DELAY} delay", f"{ns.DELAY_LEGACY} x")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")
_PERCENT_ENCODED = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()]|%[0-9A-Fa-f]{2})*\Z")


# --- out ----------------------------------------------------------------------------------------


def encode_message(message: Message, to: str) -> bytes:
    """Write ``message`` (with id and date_sent) as a chat stanza to the bare JID ``to``.

    Raises ArgumentTypeError or ArgumentValueError that names the field which cannot be sent.
    """
    parts = [
        f'<message to="{attribute(to)}" type="chat" id="{_id("id", message.id)}">',
        f"<body>{text(check_text('body', message.body or '', remedy=_CLEAN))}</body>",
        f'<extraParams xmlns="{ns.CLIENT}">',
        f"<date_sent>{_seconds(message.date_sent)}</date_sent>",
    ]
    if message.destroy_after is None and checks.a_bool("save_to_history", message.save_to_history):
        parts.append("<save_to_history>1</save_to_history>")
    if checks.a_bool("silent", message.silent):
        parts.append("<silent>1</silent>")
    parts.append(_params("custom", message.custom))
    if message.dialog_id is not None:
        parts.append(f"<dialog_id>{_id('dialog_id', message.dialog_id)}</dialog_id>")
    for position, attachment in enumerate(message.attachments):
        parts.append(_attachment(f"attachments[{position}]", attachment))
    parts.append("</extraParams>")
    if message.destroy_after is not None:
        seconds = checks.an_integer("destroy_after", message.destroy_after, least=1)
        parts.append(f'<destroy xmlns="{ns.DESTROY_AFTER}" after="{seconds}"/>')
    if checks.a_bool("markable", message.markable):
        parts.append(f'<markable xmlns="{ns.CHAT_MARKERS}"/>')
    parts.append("</message>")
    return "".join(parts).encode()


def encode_marker(name: str, message_id: str, dialog_id: str | None, to: str, own_id: str) -> bytes:
    """Write a 'received' or 'displayed' marker for a message to its sender's bare JID. (XEP-0333.)"""
    params = ""
    if dialog_id is not None:
        params = (
            f'<extraParams xmlns="{ns.CLIENT}">'
            f"<dialog_id>{_id('dialog_id', dialog_id)}</dialog_id></extraParams>"
        )
    return (
        f'<message to="{attribute(to)}" type="chat" id="{own_id}">'
        f'<{name} xmlns="{ns.CHAT_MARKERS}" id="{_id("message id", message_id)}"/>{params}</message>'
    ).encode()


def encode_chat_state(name: str, to: str) -> bytes:
    """Write 'composing' or 'paused' to a bare JID. (XEP-0085.)"""
    return (
        f'<message to="{attribute(to)}" type="chat"><{name} xmlns="{ns.CHAT_STATES}"/></message>'
    ).encode()


def _id(name: str, value: object) -> str:
    return attribute(check_text(name, checks.a_string(name, value)))


def _seconds(moment: datetime | None) -> int:
    if not isinstance(moment, datetime):
        raise ArgumentTypeError(f"date_sent must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        raise ArgumentValueError("date_sent must be an aware datetime: it has no time zone")
    return int((moment - EPOCH).total_seconds())


def _params(name: str, values: Mapping[str, Any]) -> str:
    if not isinstance(values, Mapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(values).__name__}")
    parts = []
    for key, value in values.items():
        tag = check_name(name, key)
        if name == "custom" and tag in RESERVED:
            raise ArgumentValueError(f"custom must not have the key {tag!r}: it is reserved")
        path = f"{name}[{tag!r}]"
        inner = _params(path, value) if isinstance(value, Mapping) else text(_scalar(path, value))
        parts.append(f"<{tag}>{inner}</{tag}>")
    return "".join(parts)


def _scalar(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"{name} must be a string, a number, a bool or a mapping, not {type(value).__name__}"
        )
    return check_text(name, value)


def _attachment(name: str, attachment: Attachment) -> str:
    if not isinstance(attachment, Attachment):
        raise ArgumentTypeError(f"{name} must be an Attachment, not {type(attachment).__name__}")
    values: dict[str, object] = {
        # Older clients look for the file in `id`, newer ones in `uid`.
        "id": attachment.id or attachment.uid,
        "uid": attachment.uid or attachment.id,
        "type": attachment.type,
        "url": attachment.url,
        "content-type": attachment.content_type,
        "size": attachment.size,
        "name": attachment.name,
        "data": attachment.data,
        "width": attachment.width,
        "height": attachment.height,
        "duration": attachment.duration,
    }
    written = [
        f' {key}="{attribute(_scalar(f"{name}.{key}", value))}"'
        for key, value in values.items()
        if value is not None
    ]
    return f"<attachment{''.join(written)}/>"


# --- in -----------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Delivery:
    """One event on its way to the receivers of one signal.

    ``conversation`` is the lane that keeps its order (None: the lane of what has none), ``size`` its
    bytes on the wire. Of events with the same ``merge_key`` only the newest matters, so they may be
    merged when receivers are slow; without a key an event must be delivered.
    ``sequence`` is the stanza's place in the session (None for what did not come from a stanza) and
    ``key`` tells repetitions apart.
    """

    signal: str
    event: Any
    conversation: str | None = field(default=None)
    size: int = field(default=0)
    merge_key: tuple[str, ...] | None = field(default=None)
    sequence: int | None = field(default=None)
    key: tuple[str, int, str] | None = field(default=None)


Decoder = Callable[[MessageStanza, Addresses, int], "Delivery | None"]


def decode(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | None:
    """Classify and decode a message stanza to user ``me``; None for what means nothing to us."""
    for matches, decoder in KINDS:
        if matches(stanza):
            return decoder(stanza, addresses, me)
    return None


def _failure(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery:
    error = error_of(stanza.others.get(_ERROR))
    sender = stanza.attributes.get("from")
    return Delivery(
        signal="message_failed",
        event=MessageFailure(
            message_id=stanza.attributes.get("id"),
            dialog_id=_text_param(stanza, "dialog_id"),
            user_id=addresses.user_id(sender),
            error=error,
            condition=error.condition,
            text=error.text,
        ),
        conversation=bare(sender) if sender else None,
        size=stanza.size,
    )


def _status(signal: str, marker: str) -> Decoder:
    def decode_status(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | None:
        sender = stanza.attributes.get("from", "")
        user_id = addresses.user_id(sender)
        message_id = stanza.others[marker].attrs.get("id")
        if user_id is None or not message_id:
            return None
        return Delivery(
            signal=signal,
            event=MessageStatus(
                user_id=user_id,
                message_id=message_id,
                dialog_id=_text_param(stanza, "dialog_id"),
            ),
            conversation=bare(sender),
            size=stanza.size,
        )

    return decode_status


def _typing(signal: str) -> Decoder:
    def decode_typing(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | None:
        sender = stanza.attributes.get("from", "")
        user_id = addresses.user_id(sender)
        if user_id is None or user_id == me:
            return None
        return Delivery(
            signal=signal,
            event=Typing(user_id=user_id),
            conversation=bare(sender),
            size=stanza.size,
            merge_key=("typing", bare(sender)),
        )

    return decode_typing


def _message(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | None:
    sender = stanza.attributes.get("from") or addresses.user(me)
    sender_id = addresses.user_id(sender)
    if sender_id is None:
        return None
    own = sender_id == me
    recipient_id = addresses.user_id(stanza.attributes.get("to")) if own else me
    peer_id = recipient_id if own else sender_id
    if peer_id is None:
        return None
    params = stanza.params
    dialog_id = _text_param(stanza, "dialog_id")
    message_id = stanza.attributes.get("id")
    if message_id is None or not _OBJECT_ID.match(message_id):
        # History knows a message without an id of its own kind by the server's.
        message_id = _text_param(stanza, "message_id") or message_id
    destroy = stanza.others.get(_DESTROY)
    conversation = addresses.user(peer_id)
    message = Message(
        id=message_id,
        dialog_id=dialog_id,
        body=stanza.body,
        sender_id=sender_id,
        recipient_id=recipient_id,
        date_sent=as_time(params.get("date_sent")),
        attachments=tuple(map(_read_attachment, stanza.attachments)),
        custom={key: value for key, value in params.items() if key not in RESERVED},
        markable=_MARKABLE in stanza.others,
        save_to_history=params.get("save_to_history") in ("1", "true"),
        silent=params.get("silent") in ("1", "true"),
        destroy_after=as_int(destroy.attrs.get("after")) if destroy is not None else None,
        delayed=any(delay in stanza.others for delay in _DELAYS),
        own=own,
        dialog=DialogRef.private(peer_id, dialog_id),
    )
    return Delivery(
        signal="message_received",
        event=message,
        conversation=conversation,
        size=stanza.size,
        key=(conversation, sender_id, message_id) if message_id else None,
    )


def _read_attachment(attributes: dict[str, str]) -> Attachment:
    attachment = Attachment.from_json(attributes)
    data = attachment.data
    if data and "%" in data and _PERCENT_ENCODED.match(data):
        attachment = evolve(attachment, data=unquote(data, errors="replace"))
    if attachment.id and attachment.uid:
        return attachment
    return evolve(
        attachment, id=attachment.id or attachment.uid, uid=attachment.uid or attachment.id
    )


def _text_param(stanza: MessageStanza, name: str) -> str | None:
    value = stanza.params.get(name)
    return value if isinstance(value, str) and value else None


def _has(name: str) -> Callable[[MessageStanza], bool]:
    return lambda stanza: name in stanza.others


def _is_error(stanza: MessageStanza) -> bool:
    return stanza.attributes.get("type") == "error"


def _is_chat(stanza: MessageStanza) -> bool:
    return stanza.attributes.get("type") == "chat"


def _has_content(stanza: MessageStanza) -> bool:
    return _is_chat(stanza) and bool(stanza.body or stanza.attachments)


KINDS: tuple[tuple[Callable[[MessageStanza], bool], Decoder], ...] = (
    # The first that matches decides. Content comes before chat states: other XMPP clients
    # send both in one stanza.
    (_is_error, _failure),
    (_has_content, _message),
    (_has(_DELIVERED), _status("message_delivered", _DELIVERED)),
    (_has(_READ), _status("message_read", _READ)),
    (_has(_COMPOSING), _typing("typing_started")),
    (_has(_PAUSED), _typing("typing_stopped")),
    (lambda stanza: _is_chat(stanza) and bool(stanza.params), _message),
)
"""What a message stanza can be, and who decodes it; read from top to bottom."""
