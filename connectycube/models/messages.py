"""Chat messages and their attachments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, fields, frozen

from ._json import (
    as_bool,
    as_float,
    as_int,
    as_ints,
    as_mapping,
    as_string,
    as_time,
    read,
    wire,
)
from .dialogs import DialogRef

__all__ = ["Attachment", "Message"]


@frozen(kw_only=True, slots=True)
class Attachment:
    """A file, picture, place … that a message carries. (Guide: Attachments.)

    ``uid`` (or ``id``, as older clients write it) names the stored file, ``size`` is bytes,
    ``width`` and ``height`` pixels, ``duration`` seconds, ``data`` free text.
    """

    type: str | None = wire("type", as_string)
    id: str | None = wire("id", as_string)
    uid: str | None = wire("uid", as_string)
    url: str | None = wire("url", as_string)
    content_type: str | None = wire("content-type", as_string)
    name: str | None = wire("name", as_string)
    data: str | None = wire("data", as_string)
    size: float | None = wire("size", as_float)
    width: int | None = wire("width", as_int)
    height: int | None = wire("height", as_int)
    duration: int | None = wire("duration", as_int)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Attachment:
        """Decode the service's attachment object."""
        return read(cls, data)

    def to_json(self) -> dict[str, Any]:
        """Encode it for the service; ``id`` and ``uid`` stand for each other, as clients read either."""
        data = {
            entry.metadata["wire"]: getattr(self, entry.name)
            for entry in fields(type(self))
            if "wire" in entry.metadata
        }
        data["id"], data["uid"] = self.id or self.uid, self.uid or self.id
        return {name: value for name, value in data.items() if value is not None}


def _attachments(value: Any) -> tuple[Attachment, ...] | None:
    if not value:
        return None
    if isinstance(value, dict):  # {"0": {…}, "1": {…}}, as some clients write them
        value = list(value.values())
    if not isinstance(value, list):
        return None
    return tuple(Attachment.from_json(entry) for entry in value if isinstance(entry, dict))


@frozen(kw_only=True, slots=True)
class Message:
    """A chat message: received, read from history, or to be sent. (Guide: Messages.)

    To send one, give a ``body`` and the attributes that differ from their defaults: ``markable`` asks the
    recipients to report 'delivered' and 'read', ``save_to_history`` stores the message, ``date_sent`` is
    now, a ``silent`` message makes no push notification. ``custom`` holds the application's own parameters:
    names must be XML names, values are text on the wire. ``destroy_after`` is seconds. The service fills in
    the other attributes.

    On a received message ``dialog`` says where it belongs (pass it to a send method, or the message itself
    to ``chat.reply``); ``delayed`` that the server had stored it; ``recovered`` that it was read from
    history to fill a gap; ``redelivered`` that receivers may have been called for it before (durable mode);
    ``own`` that another device of this user sent it.
    """

    id: str | None = wire("_id", as_string)
    dialog_id: str | None = wire("chat_dialog_id", as_string)
    body: str | None = wire("message", as_string)
    sender_id: int | None = wire("sender_id", as_int)
    recipient_id: int | None = wire("recipient_id", as_int)
    date_sent: datetime | None = wire("date_sent", as_time)
    attachments: tuple[Attachment, ...] = wire("attachments", _attachments, default=())
    custom: Mapping[str, Any] = field(factory=dict)
    read: bool | None = wire("read", as_bool)
    read_ids: tuple[int, ...] = wire("read_ids", as_ints, default=())
    delivered_ids: tuple[int, ...] = wire("delivered_ids", as_ints, default=())
    views_count: int | None = wire("views_count", as_int)
    reactions: Mapping[str, Any] | None = wire("reactions", as_mapping)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    silent: bool = wire("silent", as_bool, default=False)
    markable: bool = field(default=True)
    save_to_history: bool = field(default=True)
    destroy_after: int | None = field(default=None)
    delayed: bool = field(default=False)
    recovered: bool = field(default=False)
    redelivered: bool = field(default=False)
    own: bool = field(default=False)
    dialog: DialogRef | None = field(default=None)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], **known: Any) -> Message:
        """Decode the service's message object; keys that it does not define are ``custom``."""
        return read(cls, data, into="custom", **known)
