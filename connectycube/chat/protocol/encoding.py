"""Encodes the stanzas that we send; all arguments are checked before the first byte is written.

ConnectyCube's real-time documentation; XEP-0333 markers, XEP-0085 chat states, XEP-0308 corrections,
XEP-0045 rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..._checks import check_bool, check_int, check_str
from ..._containers import AnyDict, AnyMapping
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

_SAVED = "<save_to_history>1</save_to_history>"
_MARKABLE = f'<markable xmlns="{ns.CHAT_MARKERS}"/>'
_LARGE = 2**53  # a larger number is not written in one step
_MOST_REMEMBERED = 1_024
_LONGEST_REMEMBERED = 256  # characters


def encode_message(message: Message, to: str, kind: str = "chat") -> bytes:
    """Write ``message``, which has an id and a date_sent, to the bare JID ``to``.

    The JID is that of a user or, with kind "groupchat", of a room. Raises ArgumentTypeError or
    ArgumentValueError, which names the field that cannot be sent.
    """
    # Whoever sends many messages waits for this function. What is usual is looked for first, without a call:
    # a bool where a bool belongs, and a printable text, which XML can carry and which holds no CR.
    own_id, body = message.id, message.body or ""
    if type(own_id) is not str or not own_id.isalnum():
        own_id = _id("id", own_id)
    if type(body) is not str or not body.isprintable():
        check_text("body", body, remedy=_CLEAN)
    date = _date(message.date_sent)
    if (
        message.save_to_history is True
        and message.markable is True
        and message.silent is False
        and message.destroy_after is None
    ):
        settings, end = _SAVED, _MARKABLE
    else:
        settings, end = _settings(message)
    custom, dialog_id, attachments = message.custom, message.dialog_id, ""
    params = _params("custom", custom, RESERVED_NAMES) if custom or type(custom) is not dict else ""
    is_remembered = len(to) <= _LONGEST_REMEMBERED and (
        dialog_id is None or (type(dialog_id) is str and len(dialog_id) <= _LONGEST_REMEMBERED)
    )
    begin, dialog = (_around if is_remembered else _around.__wrapped__)(to, kind, dialog_id)
    for position, attachment in enumerate(message.attachments):
        attachments += _plain_attachment(attachment) or _attachment(
            f"attachments[{position}]", attachment
        )
    rest = f"{date}{settings}{params}{dialog}{attachments}</extraParams>{end}</message>"
    # Each part by itself: one emoji in the body would make each character of the others four bytes wide.
    return f'{begin}{own_id}"><body>'.encode() + text(body).encode() + rest.encode()


@lru_cache(_MOST_REMEMBERED)
def _around(to: str, kind: str, dialog_id: str | None) -> tuple[str, str]:
    """Return what each message to a dialog has: how it begins, and the parameter with the dialog's id."""
    dialog = "" if dialog_id is None else _dialog_param(dialog_id)
    return f'<message to="{attribute(to)}" type="{kind}" id="', dialog


def _settings(message: Message) -> tuple[str, str]:
    """Return the parameters for the settings of a message, and the elements that follow the parameters."""
    settings = end = ""
    destroy_after = message.destroy_after
    if destroy_after is not None:
        seconds = check_int("destroy_after", destroy_after, least=1)
        end = f'<destroy xmlns="{ns.DESTROY_AFTER}" after="{seconds}"/>'
    elif check_bool("save_to_history", message.save_to_history):
        settings = _SAVED
    if check_bool("silent", message.silent):
        settings += "<silent>1</silent>"
    if check_bool("markable", message.markable):
        return settings, end + _MARKABLE
    # History keeps parameters, and no other elements.
    return f"{settings}<markable>0</markable>", end


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
    custom: Mapping[str, object], to: str, own_id: str, body: str | None = None
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
    if type(value) is str and value.isalnum():
        return value  # as the service makes ids: there is nothing to refuse or to escape
    return attribute(check_text(name, check_str(name, value)))


def _dialog(dialog_id: str) -> str:
    return f'<extraParams xmlns="{ns.CLIENT}">{_dialog_param(dialog_id)}</extraParams>'


def _dialog_param(dialog_id: str) -> str:
    if type(dialog_id) is str and len(dialog_id) <= _LONGEST_REMEMBERED:
        return _usual_dialog_param(dialog_id)
    return _usual_dialog_param.__wrapped__(dialog_id)


@lru_cache(_MOST_REMEMBERED)
def _usual_dialog_param(dialog_id: str) -> str:
    return f"<dialog_id>{_id('dialog_id', dialog_id)}</dialog_id>"


_last_date: tuple[datetime | None, str] = (None, "")  # the moment, and how it is written


def _date(moment: datetime | None) -> str:
    """Return the end of a message's body and its first parameter, the date."""
    global _last_date  # noqa: PLW0603 - the messages of one second have the same moment
    last, written = _last_date
    if moment is last and moment is not None:
        return written
    if not isinstance(moment, datetime):
        raise ArgumentTypeError(f"date_sent must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        raise ArgumentValueError("date_sent must be an aware datetime: it has no time zone")
    seconds = int((moment - EPOCH).total_seconds())
    written = f'</body><extraParams xmlns="{ns.CLIENT}"><date_sent>{seconds}</date_sent>'
    _last_date = moment, written
    return written


def _params(name: str, values: Mapping[str, object], reserved: frozenset[str] = frozenset()) -> str:
    if type(values) is not AnyDict and not isinstance(values, Mapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(values).__name__}")
    written = ""
    for key, value in values.items():
        tag = check_name(name, key)
        if tag in reserved:
            raise ArgumentValueError(f"{name} must not have the key {tag!r}: it is reserved")
        if type(value) is str and value.isalnum():
            inner = value  # as most are: there is nothing to refuse or to escape
        elif type(value) is str and value.isprintable():
            inner = text(value)
        elif isinstance(value, AnyMapping):
            inner = _params(f"{name}[{tag!r}]", value)
        else:
            kinds = "a string, a number, a bool or a mapping"
            inner = text(text_of(f"{name}[{tag!r}]", value, kinds))
        written += f"<{tag}>{inner}</{tag}>"
    return written


_Form = tuple[Callable[[Any], str], int, tuple[int, ...]]

_FIELDS = (
    *("type", "id", "uid", "url", "content-type", "name"),
    *("size", "width", "height", "duration"),
)
_FIRST_NUMBER = 6
# How attachments are written whose values have these types, one form for each set of fields that are given:
# what writes the values, unescaped, the number of the quotes around them, and the places of the numbers.
_forms: dict[tuple[type, ...], _Form] = {}
# The bytes of printable text that no attribute must escape.
_UNESCAPED = bytes(byte for byte in range(0x20, 0x100) if byte not in b'"&<>\x7f')


def _plain_attachment(attachment: Attachment) -> str | None:
    """Write an attachment as :func:`_attachment` does, if all in it is usual and needs no escape; or None."""
    if not isinstance(attachment, Attachment) or attachment.data is not None or attachment.extra:
        return None
    own_id, uid = attachment.id, attachment.uid
    # Id and uid stand for each other, as clients read either. An empty text names no file.
    values: tuple[Any, ...] = (
        attachment.type,
        own_id or uid or None,
        uid or own_id or None,
        attachment.url,
        attachment.content_type,
        attachment.name,
        attachment.size,
        attachment.width,
        attachment.height,
        attachment.duration,
    )
    kinds = tuple(map(type, values))
    form = _forms.get(kinds) or _new_form(kinds)
    if form is None:
        return None
    write, quotes, numbers = form
    for place in numbers:
        if not 0 <= values[place] < _LARGE:
            return None
    written = write(values)
    if not written.isascii() and not written.isprintable():
        return None
    if len(written.encode().translate(None, _UNESCAPED)) != quotes:
        return None
    return f"<attachment{written}/>"


def _new_form(kinds: tuple[type, ...]) -> _Form | None:
    """Return the form for values of these types; None if one of them is unusual, or all are missing."""
    places = [place for place, kind in enumerate(kinds) if kind is not type(None)]
    texts = [place for place in places if place < _FIRST_NUMBER and kinds[place] is str]
    numbers = [place for place in places if place >= _FIRST_NUMBER and kinds[place] is int]
    if not places or texts + numbers != places:
        return None
    text = "".join(f' {_FIELDS[place]}="{{values[{place}]}}"' for place in places)
    # Only names of fields, which are ours, become code.
    form = (eval(f"lambda values: f'{text}'"), 2 * len(places), tuple(numbers))
    _forms[kinds] = form
    return form


def _attachment(name: str, attachment: Attachment) -> str:
    if not isinstance(attachment, Attachment):
        raise ArgumentTypeError(f"{name} must be an Attachment, not {type(attachment).__name__}")
    written = [
        f' {key}="{attribute(str(value))}"' for key, value in attachment.to_json(name).items()
    ]
    return f"<attachment{''.join(written)}/>"
