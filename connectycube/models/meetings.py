"""Meetings: conference calls that are planned, their attendees and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .._containers import AnyDict, AnyList
from ._json import as_bool, as_float, as_int, as_ints, as_mapping, as_string, as_time, read, wire

__all__ = ["Attendee", "Meeting", "Recording"]


@frozen(kw_only=True, slots=True)
class Attendee:
    """An invitation to a meeting: of a user by the id, of anybody by an e-mail address, or both.

    Args:
        id: The id of the user.
        email: The e-mail address.
        extra: The keys of the service's object without an attribute.

    Example:
        >>> Attendee(id=7, email="ines@example.org").email
        'ines@example.org'
    """

    id: int | None = wire("id", as_int)
    email: str | None = wire("email", as_string)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Attendee:
        """Decode the service's attendee.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The attendee; keys without an attribute are in ``extra``.
        """
        return read(cls, data)


def _attendees(value: Any) -> tuple[Attendee, ...] | None:
    if not isinstance(value, AnyList):
        return None
    return tuple(Attendee.from_json(entry) for entry in value if isinstance(entry, AnyDict))


@frozen(kw_only=True, slots=True)
class Meeting:
    """A meeting as the service describes it; times are aware datetimes. (Server API: Meetings.)

    Args:
        id: The id of the meeting.
        name: The name.
        host_id: The id of the user who owns the meeting.
        start_date: When it starts.
        end_date: When it ends.
        attendees: Those invited.
        chat_dialog_id: The id of the dialog that was created with it.
        record: Whether it is recorded.
        public: Whether every user can get it by its id.
        scheduled: A mark to look up by.
        notify: Whether attendees and host get an e-mail.
        notify_before: When they get another one, such as ``{"metric": "minutes", "value": 10}``.
        timezone: Its time zone, such as ``{"offset": 120, "name": "Europe/Riga"}``, offset in minutes.
        created_at: When it was created.
        updated_at: When it was changed last.
        extra: The keys of the service's object without an attribute.

    Example:
        >>> meeting = cube.meetings.create("Sync", 1_800_000_000, 1_800_003_600, [bob_id])
        >>> meeting.start_date.year
        2027
    """

    id: str | None = wire("_id", as_string)
    name: str | None = wire("name", as_string)
    host_id: int | None = wire("host_id", as_int)
    start_date: datetime | None = wire("start_date", as_time)
    end_date: datetime | None = wire("end_date", as_time)
    attendees: tuple[Attendee, ...] = wire("attendees", _attendees, default=())
    chat_dialog_id: str | None = wire("chat_dialog_id", as_string)
    record: bool | None = wire("record", as_bool)
    public: bool | None = wire("public", as_bool)
    scheduled: bool | None = wire("scheduled", as_bool)
    notify: bool | None = wire("notify", as_bool)
    notify_before: Mapping[str, Any] | None = wire("notify_before", as_mapping)
    timezone: Mapping[str, Any] | None = wire("timezone", as_mapping)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Meeting:
        """Decode the service's meeting.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The meeting; keys without an attribute are in ``extra``.
        """
        return read(cls, data)


@frozen(kw_only=True, slots=True)
class Recording:
    """One recording of a meeting. (Server API: Meeting recordings.)

    ``duration`` and ``size`` are as the service writes them: by its documentation seconds and megabytes,
    but its examples of the Administration API show much larger numbers.

    Args:
        id: The id of the recording.
        meeting_id: The id of the meeting.
        file_uid: The uid of the file.
        participants_ids: The ids of the users in it.
        participants_count: The number of these users.
        duration: How long it is.
        size: How large the file is.
        download_url: A signed link to the file. The link lets everybody read the file until it expires, so
            no repr shows it.
        created_at: When it was made.
        updated_at: When it was changed last.
        extra: The keys of the service's object without an attribute.

    Example:
        >>> recording = Recording(id="r1", download_url="https://storage.example/a?signature=b")
        >>> "signature" in repr(recording)
        False
    """

    id: str | None = wire("_id", as_string)
    meeting_id: str | None = wire("room_id", as_string)
    file_uid: str | None = wire("file_uid", as_string)
    participants_ids: tuple[int, ...] = wire("participants_ids", as_ints, default=())
    participants_count: int | None = wire("participants_count", as_int)
    duration: float | None = wire("duration", as_float)
    size: float | None = wire("size", as_float)
    download_url: str | None = wire("download_url", as_string, repr=False)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recording:
        """Decode the service's recording.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The recording; keys without an attribute are in ``extra``.
        """
        return read(cls, data)
