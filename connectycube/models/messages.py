"""Chat messages and their attachments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any
from urllib.parse import quote, unquote

from attrs import evolve, field, fields, frozen

from .._checks import check_list, check_number, misspelt
from .._containers import AnyDict, AnyList, AnyMapping, AnyTuple
from .._xml import check_name, check_text, clean, is_name
from ..errors import ArgumentTypeError, ArgumentValueError
from ._dicts import Serializable
from ._json import (
    as_bool,
    as_int,
    as_ints,
    as_mapping,
    as_number,
    as_parameters,
    as_string,
    as_text,
    as_texts,
    as_time,
    has_defaults,
    made_init,
    maker_of,
    others,
    read,
    reader_of,
    wire,
)
from .dialogs import DialogRef, DialogType
from .files import File

__all__ = [
    "RESERVED_NAMES",
    "Attachment",
    "AttachmentType",
    "Message",
    "as_attachments",
    "check_content",
    "check_more",
    "complete",
    "forwarded",
    "text_of",
]

RESERVED_NAMES = frozenset(
    {
        "_id",
        "attachment",
        "attachments",
        "chat_dialog_id",
        "created_at",
        "date_sent",
        "deleted_for_ids",
        "delivered",
        "delivered_ids",
        "dialog_id",
        "edited_at",
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
        "silent",
        "updated_at",
        "views_count",
    }
)
"""Names that the service and XMPP's extraParams use themselves: no custom parameter has one of them."""


_set = object.__setattr__  # of what no other code has yet; evolve() would copy every field
_MOST_DIGITS = 15
_UNRESERVED = "-_.!~*'()"  # beside letters and digits, as encodeURIComponent has it
_PERCENT_ENCODED = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()]|%[0-9A-Fa-f]{2})*\Z")


class AttachmentType:
    """The types of attachments that ConnectyCube's clients know. (Guide: Attachments.)

    ``Attachment.type`` is any text; these are the ones that the guide names.

    Example:
        >>> photo = Attachment(type=AttachmentType.IMAGE, url="https://example.com/peak.jpg")
    """

    AUDIO = "audio"
    FILE = "file"
    IMAGE = "image"
    LOCATION = "location"
    VIDEO = "video"


_TYPES_OF_FILES = (AttachmentType.IMAGE, AttachmentType.AUDIO, AttachmentType.VIDEO)


def _measure(value: Any) -> float | None:
    if type(value) is str and value.isdigit() and value.isascii() and len(value) <= _MOST_DIGITS:
        return int(value)
    number = as_number(value)
    return None if number is None or number < 0 else number


@made_init
@frozen(kw_only=True, slots=True)
class Attachment(Serializable):
    """A file, picture, place or another thing that a message carries. (Guide: Attachments.)

    Where attachments are sent, an uploaded :class:`File` will do: :meth:`from_file` makes the attachment.

    Args:
        type: The kind, such as :attr:`AttachmentType.IMAGE`; any text will do.
        id: The name of the stored file, as older clients write it.
        uid: The name of the stored file.
        url: Where the content is, if it is no stored file.
        content_type: The media type, such as "image/png".
        name: The file name.
        data: Free text, such as a place as JSON.
        size: The size in bytes.
        width: The width in pixels.
        height: The height in pixels.
        duration: The length of a sound or a video in seconds.
        extra: Other attributes, as texts.

    Example:
        >>> place = Attachment(type=AttachmentType.LOCATION, data='{"lat": "46.5", "lng": "7.9"}')
        >>> handle = chat.send_message(group, Message(body="We are here", attachments=[place]))
    """

    type: str | None = wire("type", as_string)
    id: str | None = wire("id", as_string, empty=False)
    uid: str | None = wire("uid", as_string, empty=False)
    url: str | None = wire("url", as_string)
    content_type: str | None = wire("content-type", as_string)
    name: str | None = wire("name", as_string)
    data: str | None = wire("data", as_string)
    size: float | None = wire("size", _measure)
    width: float | None = wire("width", _measure)
    height: float | None = wire("height", _measure)
    duration: float | None = wire("duration", _measure)
    extra: Mapping[str, Any] = others(reader=as_texts)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Attachment:
        """Decode the service's attachment object, or the attributes of an attachment in a stanza.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The attachment; an attribute that cannot be read is None. ``id`` and ``uid`` stand for each other.
        """
        made = _read_attachment(data) if cls is Attachment else read(cls, data)
        if made.data is not None and "%" in made.data:
            _set(made, "data", _decoded(made.data))
        file_id, uid = made.id, made.uid
        if file_id != uid and not (file_id and uid):
            _set(made, "id", file_id or uid)
            _set(made, "uid", uid or file_id)
        return made

    @classmethod
    def from_file(cls, file: File) -> Attachment:
        """Return the attachment for an uploaded file: its ``type`` is image, audio, video or file.

        Args:
            file: The file, as ``cube.files.upload`` returned it.

        Returns:
            The attachment, with uid, name, media type and size of the file.

        Raises:
            ArgumentValueError: The file has no uid, as it has not been uploaded.
        """
        if file.uid is None:
            raise ArgumentValueError("file has no uid: it has not been uploaded")
        kind = (file.content_type or "").partition("/")[0]
        return cls(
            type=kind if kind in _TYPES_OF_FILES else AttachmentType.FILE,
            uid=file.uid,
            name=file.name,
            content_type=file.content_type,
            size=file.size,
        )

    def to_json(self, name: str = "attachment") -> dict[str, Any]:
        """Encode it for the service; ``id`` and ``uid`` stand for each other, as clients read either.

        Args:
            name: The name of the attachment in errors.

        Returns:
            The service's object, which JSON can carry.

        Raises:
            ArgumentTypeError: A field has the wrong type; the error names it.
            ArgumentValueError: A field has a wrong value, or all are empty.
        """
        # Older clients look for the file in `id`, newer ones in `uid`. An empty text names no file.
        names = {"id": self.id or self.uid or None, "uid": self.uid or self.id or None}
        values: dict[str, Any] = {}
        for attribute, key, is_text in _FIELDS:
            value = names[attribute] if attribute in names else getattr(self, attribute)
            if value is None:
                continue
            if is_text:
                check_text(f"{name}.{attribute}", value)
            else:
                check_number(f"{name}.{attribute}", value, least=0)
            values[key] = value
        if self.data is not None and "%" in self.data:
            values["data"] = quote(self.data, safe=_UNRESERVED)  # as it would be decoded
        if self.extra:
            values |= self._extra(f"{name}.extra")
        if not values:
            raise ArgumentValueError(f"{name} is empty: it names no file, has no url and no data")
        return values

    def _extra(self, name: str) -> dict[str, str]:
        if not isinstance(self.extra, Mapping):
            raise ArgumentTypeError(f"{name} must be a mapping, not {type(self.extra).__name__}")
        found: dict[str, str] = {}
        for key, value in self.extra.items():
            reader = _READERS.get(check_name(name, key))
            if reader is not None and reader(value) is not None:
                raise ArgumentValueError(f"{name} must not have the key {key!r}: it is a field")
            found[key] = text_of(f"{name}[{key!r}]", value, "a string, a number or a bool")
        return found


_FIELDS = [
    (entry.name, entry.metadata["wire"], entry.metadata["reader"] is as_string)
    for entry in fields(Attachment)
    if "wire" in entry.metadata
]
_TEXTS = [*(name for name, _, is_text in _FIELDS if is_text), "extra"]
_READERS = {
    entry.metadata["wire"]: entry.metadata["reader"]
    for entry in fields(Attachment)
    if "wire" in entry.metadata
}


def _decoded(data: str) -> str:
    """Return an attachment's data, which some clients percent-encode and others do not."""
    if not _PERCENT_ENCODED.match(data):
        return data
    try:
        decoded = unquote(data, errors="strict")
    except UnicodeDecodeError:
        return data
    return decoded if clean(decoded) == decoded else data  # so that it can be sent on


def text_of(name: str, value: object, kinds: str) -> str:
    """Return the text that stands for a string, a finite number or a bool in XML.

    Raises ArgumentTypeError, which names the ``kinds`` that are allowed, or ArgumentValueError.
    """
    if isinstance(value, str):
        return check_text(name, value)
    if not isinstance(value, (bool, int, float)):
        raise ArgumentTypeError(f"{name} must be {kinds}, not {type(value).__name__}")
    if not isinstance(value, bool):
        check_number(name, value)
    return as_text(value) or ""


def as_attachments(name: str, values: object) -> tuple[Attachment, ...]:
    """Return the attachments to send, given as a list or one alone; uploaded files may be among them."""
    if isinstance(values, (Attachment, File)):
        values = [values]
    return tuple(
        _as_attachment(f"{name}[{position}]", value)
        for position, value in enumerate(check_list(name, values, "Attachment or File"))
    )


def _as_attachment(name: str, value: object) -> Attachment:
    if isinstance(value, File):
        return Attachment.from_file(value)
    if not isinstance(value, Attachment):
        kind = type(value).__name__
        raise ArgumentTypeError(f"{name} must be an Attachment or an uploaded File, not {kind}")
    return value


_read_attachment: Callable[[Mapping[str, Any]], Attachment] = reader_of(Attachment)
KEYS_OF_ATTACHMENTS = tuple(_READERS)
"""The keys of the service's attachment object that are fields."""
_new_attachment: Callable[..., Attachment] = maker_of(
    Attachment, *[entry.name for entry in fields(Attachment)]
)


def attachment_of(
    kind: str | None,
    file_id: str | None,
    uid: str | None,
    url: str | None,
    content_type: str | None,
    name: str | None,
    data: str | None,
    size: Any,
    width: Any,
    height: Any,
    duration: Any,
) -> Attachment:
    """Return what ``Attachment.from_json`` makes of texts for ``KEYS_OF_ATTACHMENTS``; None: not given."""
    texts = (size, width, height, duration)
    if (
        file_id != uid
        or data is not None
        or (size is not None and (size := _measure(size)) is None)
        or (width is not None and (width := _measure(width)) is None)
        or (height is not None and (height := _measure(height)) is None)
        or (duration is not None and (duration := _measure(duration)) is None)
    ):
        words = (kind, file_id, uid, url, content_type, name, data)
        given = zip(KEYS_OF_ATTACHMENTS, (*words, *texts), strict=True)
        return Attachment.from_json({key: text for key, text in given if text is not None})
    uid = uid or None
    return _new_attachment(
        kind, uid, uid, url, content_type, name, None, size, width, height, duration, {}
    )


def _attachments(value: Any) -> tuple[Attachment, ...] | None:
    if not value:
        return None
    if isinstance(value, AnyDict):  # {"0": {…}, "1": {…}}, as some clients write them
        value = list(value.values())
    if not isinstance(value, AnyList):
        return None
    return tuple(Attachment.from_json(entry) for entry in value if isinstance(entry, AnyDict))


def _with_attachments(values: Iterable[Attachment | File]) -> tuple[Attachment, ...]:
    """Let the uploaded files in a new message stand for their attachments."""
    if isinstance(values, AnyTuple) and File not in map(type, values):
        return values  # as of each message that is received
    if not isinstance(values, (list, tuple)):
        return values  # type: ignore[return-value]  # what is no list is refused when it is sent
    return tuple(
        [Attachment.from_file(value) if isinstance(value, File) else value for value in values]
    )


@made_init
@frozen(kw_only=True, slots=True, repr=False)
class Message(Serializable):
    """A chat message: received, read from history, or to be sent. (Guide: Messages.)

    To send one, give a ``body`` and the attributes that differ from their defaults; the service fills in the
    others. A message from the service is sent on as a new one, with another id. Times are aware datetimes.

    Args:
        id: The id; one of your own must be 24 hexadecimal digits.
        dialog_id: The id of the dialog; None in a private message without it.
        body: The text; None if there is none.
        sender_id: The id of the user who sent it.
        recipient_id: The id of the other user, in private dialogs.
        date_sent: When it was sent; to be sent: now.
        attachments: Attachments; where messages are sent, uploaded files too.
        custom: The application's own parameters: names must be XML names, values are text on the wire.
        read: Whether a recipient has read it; of a message of another user, whether this user has.
        read_ids: The ids of the users who have read it.
        delivered_ids: The ids of the users to whom it was delivered.
        views_count: The number of users who have seen it.
        reactions: The reactions, as the service has them.
        created_at: When the service stored it.
        updated_at: When it last changed.
        silent: Whether the service makes no push notification for it.
        markable: Whether the recipients are asked to report 'delivered' and 'read'. It is not proven that the
            service keeps False in history.
        save_to_history: Whether the service stores it.
        destroy_after: Seconds after which clients remove it; None: never.
        delayed: Whether the server had stored it before it arrived.
        recovered: Whether it was read from history to fill a gap.
        redelivered: Whether receivers may have been called for it before (durable mode).
        own: Whether another device of this user sent it or, where messages were listed, this user did.
        dialog: The dialog of a received message: pass it to a send method, or the message to ``chat.reply``.

    Example:
        >>> order = Message(body="Your order is ready", custom={"order": "42"}, markable=True)
        >>> handle = chat.send_private(bob_id, order)
        >>> handle.result().custom["order"]
        '42'
    """

    id: str | None = wire("_id", as_string)
    dialog_id: str | None = wire("chat_dialog_id", as_string)
    body: str | None = wire("message", as_string, empty=False, repr=False)
    sender_id: int | None = wire("sender_id", as_int)
    recipient_id: int | None = wire("recipient_id", as_int, empty=False)
    date_sent: datetime | None = wire("date_sent", as_time)
    attachments: tuple[Attachment, ...] = field(
        default=(),
        converter=_with_attachments,
        repr=False,
        metadata={"wire": "attachments", "reader": _attachments, "empty": True},
    )
    custom: Mapping[str, Any] = others(without=RESERVED_NAMES, reader=as_parameters, repr=False)
    read: bool | None = wire("read", as_bool, repr=False)
    read_ids: tuple[int, ...] = wire("read_ids", as_ints, default=(), repr=False)
    delivered_ids: tuple[int, ...] = wire("delivered_ids", as_ints, default=(), repr=False)
    views_count: int | None = wire("views_count", as_int, repr=False)
    reactions: Mapping[str, Any] | None = wire("reactions", as_mapping, repr=False)
    created_at: datetime | None = wire("created_at", as_time, repr=False)
    updated_at: datetime | None = wire("updated_at", as_time, repr=False)
    silent: bool = wire("silent", as_bool, default=False)
    markable: bool = wire("markable", as_bool, default=True)
    save_to_history: bool = field(default=True)
    destroy_after: int | None = field(default=None)
    delayed: bool = field(default=False)
    recovered: bool = field(default=False)
    redelivered: bool = field(default=False)
    own: bool = field(default=False)
    dialog: DialogRef | None = field(default=None, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], **known: object) -> Message:
        """Decode the service's message object; keys that the service does not use itself are ``custom``.

        Args:
            data: The service's object, as JSON decodes it.
            known: Attributes that the caller knows from elsewhere, such as ``dialog``.

        Returns:
            The message; an attribute that cannot be read is None or empty.
        """
        return read(cls, data, into="custom", **known)


def complete(messages: Iterable[Message], place: DialogRef, me: int | None) -> None:
    """Let messages of a dialog that were just read say what real time says: ``own``, and the other user.

    Args:
        messages: The messages, which no other code has yet.
        place: What is known of the dialog.
        me: The id of the user who reads them; None if it is not known.
    """
    if me is None:
        return
    names_peer = place.peer_id is not None or place.type not in _MAY_BE_PRIVATE
    dialogs: dict[int | None, DialogRef] = {None: place}
    for message in messages:
        own = message.sender_id == me
        if own:
            _set(message, "own", True)
        # Only messages of a private dialog name a recipient.
        if not names_peer and message.recipient_id is not None:
            peer_id = message.recipient_id if own else message.sender_id
            if peer_id is not None and peer_id not in dialogs:
                dialogs[peer_id] = DialogRef.private(peer_id, place.id)
            _set(message, "dialog", dialogs[peer_id])


def set_dialog(message: Message, dialog: DialogRef) -> None:
    """Let a message that no other code has yet name its dialog, with all that is known of it."""
    _set(message, "dialog", dialog)


_MAY_BE_PRIVATE = (None, DialogType.PRIVATE)
_OF_SENDER = (
    "body",
    "attachments",
    "custom",
    "silent",
    "markable",
    "save_to_history",
    "destroy_after",
)
_OF_SERVICE = (
    "dialog_id",
    "sender_id",
    "recipient_id",
    "read",
    "read_ids",
    "delivered_ids",
    "views_count",
    "reactions",
    "created_at",
    "updated_at",
    "delayed",
    "recovered",
    "redelivered",
    "own",
)
_ATTACHMENT = {Attachment}
_values_of_service = attrgetter(*_OF_SERVICE)
_NOT_SET = _values_of_service(Message())
_is_new = has_defaults(Message, *_OF_SERVICE, "dialog")


def check_content(name: str, value: object) -> Message:
    """Return a message that is to be sent, if nothing is set in it that only the service can say.

    What was received, sent or read from history (``dialog`` tells) may be passed on as it is. XML may have
    carried names in it that we do not write, and JSON what no XML carries: such names and empty attachments
    are left out, and such characters are replaced by U+FFFD.
    """
    if not isinstance(value, Message):
        kind = type(value).__name__
        raise ArgumentTypeError(f"{name} must be a string or a Message, not {kind}")
    is_new = _is_new(value)  # as most are
    if not is_new and value.dialog is None and _values_of_service(value) != _NOT_SET:
        wrong = next(
            each
            for each, given, default in zip(
                _OF_SERVICE, _values_of_service(value), _NOT_SET, strict=True
            )
            if given != default
        )
        raise ArgumentValueError(
            f"{name}.{wrong} is for the service to say: leave it out of a Message that is to be sent"
        )
    if not _ATTACHMENT.issuperset(map(type, value.attachments)):
        files = as_attachments(f"{name}.attachments", value.attachments)
        value = evolve(value, attachments=files)
    return value if is_new or value.dialog is None else _passed_on(value)


def _passed_on(message: Message) -> Message:
    """Return a message of somebody with what can be written as XML; the same one if that is all of it."""
    files = [
        evolve(file, **{name: _cleaned(getattr(file, name)) for name in _TEXTS})
        for file in message.attachments
    ]
    changed = evolve(
        message,
        body=_cleaned(message.body),
        attachments=tuple([file for file in files if file != Attachment()]),
        custom=_cleaned(message.custom),
    )
    return message if changed == message else changed


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, AnyMapping):
        return {
            name: _cleaned(inner)
            for name, inner in value.items()
            if isinstance(name, str) and is_name(name)
        }
    return value


def check_more(call: str, more: Mapping[str, object], arguments: Mapping[str, str]) -> None:
    """Refuse a custom parameter, given as a keyword, whose name looks like a misspelt argument.

    Args:
        call: The call, for the error.
        more: The keywords that are no arguments of the call.
        arguments: By the words for what can be given, how it is given.
    """
    for name in more:
        meant = misspelt(name, arguments)
        if meant is not None:
            way = "" if name in RESERVED_NAMES else f"; custom={{{name!r}: …}} sends it as it is"
            raise ArgumentTypeError(
                f"{name} is no argument of {call}: did you mean {arguments[meant]}?{way}"
            )


def forwarded(message: Message) -> Message:
    """Return the content of a message that was received, sent or read from history, as a new message.

    A message that is not sent yet, so that it has no sender, is returned as it is.
    """
    if message.sender_id is None:
        return message
    return Message(**{name: getattr(message, name) for name in _OF_SENDER})
