"""The look-ups of lists as types: each field of a resource with each of its operators.

A test compares them with the tables of the resources, which check the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from ..models import DialogRef, DialogType, Message, User

__all__ = [
    "AdminDialogLookups",
    "AdminMessageLookups",
    "DialogLookups",
    "MeetingLookups",
    "MessageLookups",
    "RecordLookup",
    "UserLookups",
]

SomeTime = float | datetime
"""Unix seconds, or an aware datetime."""

RecordLookup = str | float | bool | datetime | Iterable[str | float | bool | datetime]
"""What a field of a custom object is compared with: its type is known to the application alone."""


class _DateLookups(TypedDict, total=False):
    """The look-ups of the dates of users, of meetings, and of the Administration API."""

    created_at: SomeTime
    created_at__lt: SomeTime
    created_at__lte: SomeTime
    created_at__gt: SomeTime
    created_at__gte: SomeTime
    updated_at: SomeTime
    updated_at__lt: SomeTime
    updated_at__lte: SomeTime
    updated_at__gt: SomeTime
    updated_at__gte: SomeTime


class AdminDialogLookups(_DateLookups, total=False):
    """The look-ups of ``cube.admin.dialogs.list``, ``iter`` and ``count``."""

    id: str | DialogRef
    id__lt: str | DialogRef
    id__lte: str | DialogRef
    id__gt: str | DialogRef
    id__gte: str | DialogRef
    type: DialogType | int
    type__lt: DialogType | int
    type__lte: DialogType | int
    type__gt: DialogType | int
    type__gte: DialogType | int
    type__ne: DialogType | int
    type__in: Iterable[DialogType | int]
    type__nin: Iterable[DialogType | int]
    type__all: Iterable[DialogType | int]
    type__contains: DialogType | int
    name: str
    name__lt: str
    name__lte: str
    name__gt: str
    name__gte: str
    name__ne: str
    name__in: Iterable[str]
    name__nin: Iterable[str]
    name__all: Iterable[str]
    name__contains: str
    last_message_date_sent: SomeTime
    last_message_date_sent__lt: SomeTime
    last_message_date_sent__lte: SomeTime
    last_message_date_sent__gt: SomeTime
    last_message_date_sent__gte: SomeTime
    last_message_date_sent__ne: SomeTime
    last_message_date_sent__in: Iterable[SomeTime]
    last_message_date_sent__nin: Iterable[SomeTime]
    last_message_date_sent__all: Iterable[SomeTime]
    last_message_date_sent__contains: SomeTime
    extensions: Mapping[str, str | Iterable[str]]


class DialogLookups(AdminDialogLookups, total=False):
    """The look-ups of ``cube.dialogs.list``, ``iter`` and ``count``: more than those of all dialogs."""

    id__ne: str | DialogRef
    id__in: Iterable[str | DialogRef]
    id__nin: Iterable[str | DialogRef]
    id__all: Iterable[str | DialogRef]
    id__contains: str | DialogRef
    created_at__ne: SomeTime
    created_at__in: Iterable[SomeTime]
    created_at__nin: Iterable[SomeTime]
    created_at__all: Iterable[SomeTime]
    created_at__contains: SomeTime
    updated_at__ne: SomeTime
    updated_at__in: Iterable[SomeTime]
    updated_at__nin: Iterable[SomeTime]
    updated_at__all: Iterable[SomeTime]
    updated_at__contains: SomeTime


class MessageLookups(TypedDict, total=False):
    """The look-ups of ``cube.messages.list``, ``iter`` and ``count``."""

    id: str | Message
    id__lt: str | Message
    id__lte: str | Message
    id__gt: str | Message
    id__gte: str | Message
    id__ne: str | Message
    id__in: Iterable[str | Message]
    id__nin: Iterable[str | Message]
    id__all: Iterable[str | Message]
    id__contains: str | Message
    body: str
    body__lt: str
    body__lte: str
    body__gt: str
    body__gte: str
    body__ne: str
    body__in: Iterable[str]
    body__nin: Iterable[str]
    body__all: Iterable[str]
    body__contains: str
    date_sent: SomeTime
    date_sent__lt: SomeTime
    date_sent__lte: SomeTime
    date_sent__gt: SomeTime
    date_sent__gte: SomeTime
    date_sent__ne: SomeTime
    date_sent__in: Iterable[SomeTime]
    date_sent__nin: Iterable[SomeTime]
    date_sent__all: Iterable[SomeTime]
    date_sent__contains: SomeTime
    sender_id: int | User
    sender_id__lt: int | User
    sender_id__lte: int | User
    sender_id__gt: int | User
    sender_id__gte: int | User
    sender_id__ne: int | User
    sender_id__in: Iterable[int | User]
    sender_id__nin: Iterable[int | User]
    sender_id__all: Iterable[int | User]
    sender_id__contains: int | User
    recipient_id: int | User
    recipient_id__lt: int | User
    recipient_id__lte: int | User
    recipient_id__gt: int | User
    recipient_id__gte: int | User
    recipient_id__ne: int | User
    recipient_id__in: Iterable[int | User]
    recipient_id__nin: Iterable[int | User]
    recipient_id__all: Iterable[int | User]
    recipient_id__contains: int | User
    attachments_type: str
    attachments_type__lt: str
    attachments_type__lte: str
    attachments_type__gt: str
    attachments_type__gte: str
    attachments_type__ne: str
    attachments_type__in: Iterable[str]
    attachments_type__nin: Iterable[str]
    attachments_type__all: Iterable[str]
    attachments_type__contains: str
    updated_at: SomeTime
    updated_at__lt: SomeTime
    updated_at__lte: SomeTime
    updated_at__gt: SomeTime
    updated_at__gte: SomeTime
    updated_at__ne: SomeTime
    updated_at__in: Iterable[SomeTime]
    updated_at__nin: Iterable[SomeTime]
    updated_at__all: Iterable[SomeTime]
    updated_at__contains: SomeTime


class AdminMessageLookups(_DateLookups, total=False):
    """The look-ups of ``cube.admin.messages.list``, ``iter`` and ``count``."""

    id: str | Message
    id__lt: str | Message
    id__lte: str | Message
    id__gt: str | Message
    id__gte: str | Message
    dialog: str | DialogRef | Message


class UserLookups(_DateLookups, total=False):
    """The look-ups of ``cube.users.list`` and ``iter``."""

    id: int | User
    id__in: Iterable[int | User]
    id__nin: Iterable[int | User]
    login: str
    login__in: Iterable[str]
    login__nin: Iterable[str]
    login__startswith: str
    email: str
    email__in: Iterable[str]
    email__nin: Iterable[str]
    email__startswith: str
    full_name: str
    full_name__in: Iterable[str]
    full_name__nin: Iterable[str]
    full_name__startswith: str
    phone: str
    phone__in: Iterable[str]
    phone__nin: Iterable[str]
    phone__startswith: str
    external_id: str
    external_id__in: Iterable[str]
    external_id__nin: Iterable[str]
    external_id__startswith: str
    facebook_id: str
    facebook_id__in: Iterable[str]
    facebook_id__nin: Iterable[str]
    facebook_id__startswith: str
    twitter_id: str
    twitter_id__in: Iterable[str]
    twitter_id__nin: Iterable[str]
    twitter_id__startswith: str
    tags: str
    tags__in: Iterable[str]
    tags__nin: Iterable[str]
    tags__startswith: str
    last_request_at: SomeTime
    last_request_at__gt: SomeTime
    last_request_at__gte: SomeTime
    last_request_at__lt: SomeTime
    last_request_at__lte: SomeTime


class MeetingLookups(_DateLookups, total=False):
    """The look-ups of ``cube.meetings.list`` and ``iter``."""

    start_date: SomeTime
    start_date__lt: SomeTime
    start_date__lte: SomeTime
    start_date__gt: SomeTime
    start_date__gte: SomeTime
    end_date: SomeTime
    end_date__lt: SomeTime
    end_date__lte: SomeTime
    end_date__gt: SomeTime
    end_date__gte: SomeTime
    scheduled: bool
