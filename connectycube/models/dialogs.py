"""Dialogs, and the part of a dialog that a message needs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from ._dicts import Serializable
from ._json import as_bool, as_int, as_ints, as_mapping, as_string, as_strings, as_time, read, wire

__all__ = ["Dialog", "DialogRef", "DialogType"]


class DialogType(enum.IntEnum):
    """The kinds of dialog, with the service's numbers. (Guide: Dialogs.)

    A dialog of a meeting is one of the newer SDKs; a dialog of a type that is not listed here has the type
    None, and the service's number in ``extra["type"]``.
    """

    BROADCAST = 1
    GROUP = 2
    PRIVATE = 3
    PUBLIC = 4
    MEETING = 5


def _dialog_type(value: Any) -> DialogType | None:
    number = as_int(value)
    return DialogType(number) if number in tuple(DialogType) else None


@frozen(kw_only=True, slots=True, repr=False)
class DialogRef(Serializable):
    """A reference to a dialog: all that sending a message needs.

    ``id`` is the dialog's id (None if a private message did not name it), ``type`` its type, and ``peer_id``
    the other user of a private dialog (None for other types).
    """

    id: str | None = wire("_id", as_string)
    type: DialogType | None = wire("type", _dialog_type)
    peer_id: int | None = field(default=None)

    @classmethod
    def private(cls, user_id: int, dialog_id: str | None = None) -> DialogRef:
        """Refer to the private dialog with a user."""
        return DialogRef(id=dialog_id, type=DialogType.PRIVATE, peer_id=user_id)

    @classmethod
    def room(cls, dialog_id: str, type: DialogType = DialogType.GROUP) -> DialogRef:
        """Refer to a dialog with a room; the chat does not tell group, public and broadcast dialogs apart."""
        return DialogRef(id=dialog_id, type=type)


@frozen(kw_only=True, slots=True, repr=False)
class Dialog(DialogRef):
    """A dialog as the service describes it; it is a :class:`DialogRef`, so messages can be sent to it.

    ``user_id`` is the owner. ``unread_messages_count`` and the ``last_message…`` attributes are as of the
    request. Times are aware datetimes.
    """

    name: str | None = wire("name", as_string)
    description: str | None = wire("description", as_string)
    photo: str | None = wire("photo", as_string)
    user_id: int | None = wire("user_id", as_int)
    xmpp_room_jid: str | None = wire("xmpp_room_jid", as_string)
    occupants_ids: tuple[int, ...] = wire("occupants_ids", as_ints, default=())
    occupants_count: int | None = wire("occupants_count", as_int)
    admins_ids: tuple[int, ...] = wire("admins_ids", as_ints, default=())
    pinned_messages_ids: tuple[str, ...] = wire("pinned_messages_ids", as_strings, default=())
    last_message: str | None = wire("last_message", as_string, repr=False)
    last_message_id: str | None = wire("last_message_id", as_string)
    last_message_date_sent: datetime | None = wire("last_message_date_sent", as_time)
    last_message_user_id: int | None = wire("last_message_user_id", as_int)
    last_message_status: str | None = wire("last_message_status", as_string)
    unread_messages_count: int | None = wire("unread_messages_count", as_int)
    data: Mapping[str, Any] | None = wire("data", as_mapping)
    extensions: Mapping[str, Any] | None = wire("extensions", as_mapping)
    permissions: Mapping[str, Any] | None = wire("permissions", as_mapping)
    is_muted: bool | None = wire("is_muted", as_bool)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> Dialog:
        """Decode the service's dialog object; ``me`` (this user's id) tells which occupant is the peer."""
        peer: int | None = None
        if _dialog_type(data.get("type")) is DialogType.PRIVATE and me is not None:
            others = [user for user in as_ints(data.get("occupants_ids")) or () if user != me]
            peer = others[0] if len(others) == 1 else None
        return read(cls, data, peer_id=peer)
