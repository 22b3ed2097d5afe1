"""What the Administration API alone says: dialogs and messages of all users, and counts by day."""

from __future__ import annotations

from collections.abc import (
    Iterable,  # noqa: F401
    Mapping,
)
from datetime import date, datetime
from typing import Any

from attrs import frozen

from ._json import as_ints, as_time, read, wire

# Iterable above and some of these are used by their names alone: typing.get_type_hints looks in this module
# for the types of the fields of the bases.
# pyright: reportUnusedImport=false
from .dialogs import (
    Dialog,
    DialogRef,  # noqa: F401
    DialogType,  # noqa: F401
)
from .files import File  # noqa: F401
from .messages import (
    Attachment,  # noqa: F401
    Message,
)

__all__ = ["AdminDialog", "AdminMessage", "DailyCount"]


@frozen(kw_only=True, slots=True, repr=False)
class AdminDialog(Dialog):
    """A dialog of any users, as the Administration API describes it.

    No user asks for it, so ``peer_id``, ``is_muted`` and ``unread_messages_count`` are None. (Administration
    API: Dialogs List.)

    Args:
        silent_ids: The ids of the users who get no push notifications of the dialog.
        deleted_ids: The ids of the users who have deleted the dialog for themselves.

    Example:
        >>> cube.admin.dialogs.get(group).deleted_ids
        ()
    """

    silent_ids: tuple[int, ...] = wire("silent_ids", as_ints, default=())
    deleted_ids: tuple[int, ...] = wire("deleted_ids", as_ints, default=())

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> AdminDialog:
        """Decode the service's dialog object.

        Args:
            data: The service's object, as JSON decodes it.
            me: Without effect: no user asks for the dialog.

        Returns:
            The dialog; keys without an attribute are in ``extra``.
        """
        return read(cls, data)


@frozen(kw_only=True, slots=True, repr=False)
class AdminMessage(Message):
    """A message of any dialog, as the Administration API describes it.

    (Administration API: Messages List.)

    Args:
        edited_at: When the body was changed, an aware datetime; None if it was not changed.
        deleted_for_ids: The ids of the users who have deleted the message for themselves.

    Example:
        >>> message = AdminMessage(id="64d0a1b2c3d4e5f607182930", deleted_for_ids=(7,))
        >>> message.to_dict()["deleted_for_ids"]
        [7]
    """

    edited_at: datetime | None = wire("edited_at", as_time, repr=False)
    deleted_for_ids: tuple[int, ...] = wire("deleted_for_ids", as_ints, default=(), repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], **known: object) -> AdminMessage:
        """Decode the service's message object; keys that the service does not use itself are ``custom``.

        Args:
            data: The service's object, as JSON decodes it.
            known: Attributes that do not come from the object, such as ``dialog``.

        Returns:
            The message.
        """
        return read(cls, data, into="custom", **known)


@frozen(kw_only=True, slots=True)
class DailyCount:
    """How many messages were sent, or dialogs created, on one day. (Administration API: Statistics.)

    Args:
        day: The day, as the service counts it.
        count: The number of messages or dialogs.

    Example:
        >>> from datetime import date
        >>> DailyCount(day=date(2026, 11, 30), count=5).count
        5
    """

    day: date
    count: int = 0
