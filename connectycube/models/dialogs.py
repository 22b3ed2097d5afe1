"""Dialogs, and the part of a dialog that a message needs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .._containers import AnyDict
from ._dicts import Serializable
from ._json import as_bool, as_int, as_ints, as_mapping, as_string, as_strings, as_time, read, wire

__all__ = ["Dialog", "DialogRef", "DialogType"]


class DialogType(enum.IntEnum):
    """The kinds of dialog, with the service's numbers. (Guide: Dialogs.)

    A dialog of a meeting is one of the newer SDKs; a dialog of a type that is not listed here has the type
    None, and the service's number in ``extra["type"]``.

    Example:
        >>> cube.dialogs.get(group.id).type
        <DialogType.GROUP: 2>
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
    """A reference to a dialog: all that a call needs to send a message to it.

    Args:
        id: The id of the dialog; None if a private message did not name it.
        type: The type of the dialog; None if it is not known.
        peer_id: The id of the other user of a private dialog; None for other types.

    Example:
        >>> handle = chat.send_message(DialogRef.private(bob_id), "Hello")
        >>> handle.result().body
        'Hello'
    """

    id: str | None = wire("_id", as_string)
    type: DialogType | None = wire("type", _dialog_type)
    peer_id: int | None = field(default=None)

    @classmethod
    def private(cls, user_id: int, dialog_id: str | None = None) -> DialogRef:
        """Refer to the private dialog with a user.

        Args:
            user_id: The id of the other user.
            dialog_id: The id of the dialog, if it is known.

        Returns:
            The reference; sending a message to it makes the dialog if there is none.
        """
        return DialogRef(id=dialog_id, type=DialogType.PRIVATE, peer_id=user_id)

    @classmethod
    def room(cls, dialog_id: str, type: DialogType = DialogType.GROUP) -> DialogRef:
        """Refer to a dialog that has a room: a group, public or broadcast dialog.

        Args:
            dialog_id: The id of the dialog.
            type: The type of the dialog, as far as the caller knows it; the chat treats these types alike.

        Returns:
            The reference.
        """
        return DialogRef(id=dialog_id, type=type)


@frozen(kw_only=True, slots=True, repr=False)
class Dialog(DialogRef):
    """A dialog as the service describes it; it is a :class:`DialogRef`, so messages can be sent to it.

    An attribute that the service left out is None or empty. Times are aware datetimes. (Guide: Dialogs.)

    Args:
        id: The id of the dialog.
        type: The type of the dialog.
        peer_id: The id of the other user of a private dialog.
        name: The name; of a private dialog that of the other user.
        description: A text about the dialog.
        photo: The uid of a file, or a URL.
        user_id: The id of the owner.
        xmpp_room_jid: The JID of the room, as the service has it.
        occupants_ids: The ids of the users in the dialog.
        occupants_count: The number of the users in the dialog.
        admins_ids: The ids of the administrators.
        pinned_messages_ids: The ids of the pinned messages.
        last_message: The body of the newest message, at the time of the request.
        last_message_id: The id of the newest message.
        last_message_date_sent: When the newest message was sent.
        last_message_user_id: The id of its sender.
        last_message_status: "sent", "delivered" or "read".
        unread_messages_count: The number of messages that this user has not read, at the time of the request.
        data: The application's own fields, of a class of custom objects.
        extensions: The application's own values, by their names.
        permissions: The permissions of the dialog, by their names.
        is_muted: Whether this user gets no push notifications.
        created_at: When the dialog was made.
        updated_at: When the dialog or its newest message last changed.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> hikers = cube.dialogs.create_group("Hikers", [bob_id])
        >>> hikers.name, bob_id in hikers.occupants_ids
        ('Hikers', True)
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
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> Dialog:
        """Decode the service's dialog object.

        Args:
            data: The service's object, as JSON decodes it.
            me: The id of this user, which tells the peer of a private dialog; None leaves ``peer_id`` None.

        Returns:
            The dialog; an attribute that cannot be read is None or empty.
        """
        peer: int | None = None
        if _dialog_type(data.get("type")) is DialogType.PRIVATE and me is not None:
            others = [user for user in as_ints(data.get("occupants_ids")) or () if user != me]
            peer = others[0] if len(others) == 1 else None
        return read(cls, data, peer_id=peer)
