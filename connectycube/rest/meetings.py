"""Meetings: create, list, change and delete them, and read their recordings; for a user, and for any host."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol, TypeVar

from .._checks import check_bool, check_id, check_int, check_json_object, check_str, check_time
from .._containers import AnyIterable, AnyMapping
from .._not_copied import NotCopied
from ..errors import ArgumentTypeError, ArgumentValueError, NotFoundError
from ..models import Attendee, Meeting, Page, Recording, User
from ..models.values import JsonValue
from ._admin_api import AdminApi
from ._api import Api
from ._arguments import check_user_id
from ._http import Response
from ._lookups import MeetingLookups
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, check_page_size, rows_of
from ._query import QueryField, QuerySchema, check_any_filter, check_time_filter
from ._response import read_list, read_object, read_record, unexpected

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["MEETINGS", "AdminMeetings", "Meetings"]

_Given = TypeVar("_Given")

_PATH = ("meetings",)
_RECORDINGS = (*_PATH, "recordings")
_BOUNDS = ("lt", "lte", "gt", "gte")

SomeAttendees = int | User | str | Attendee | Iterable[int | User | str | Attendee]
SomeTime = datetime | float


def _check_moment(name: str, value: object, operator: str) -> str:
    """Return a time as ISO 8601, as these filters take it."""
    moment = datetime.fromtimestamp(check_time_filter(name, value, operator), timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


MEETINGS = QuerySchema(
    fields={
        "start_date": QueryField("start_date", check_time_filter, _BOUNDS),
        "end_date": QueryField("end_date", check_time_filter, _BOUNDS),
        "created_at": QueryField("created_at", _check_moment, _BOUNDS),
        "updated_at": QueryField("updated_at", _check_moment, _BOUNDS),
        "scheduled": QueryField("scheduled", check_any_filter, ()),
    },
    skip_name="offset",
)


class Meetings(NotCopied):
    """The meetings of the session's user, as host or attendee; every method may be called from any thread.

    A meeting is given as its id or as a Meeting. To take part in one needs media, which this SDK has not.
    (Server API: Meetings.)

    Example:
        >>> meeting = cube.meetings.create("Sync", 1_800_000_000, 1_800_003_600, [bob_id])
        >>> [found.name for found in cube.meetings.iter()]
        ['Sync']
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        name: str,
        start: SomeTime,
        end: SomeTime,
        attendees: SomeAttendees,
        *,
        chat: bool | None = None,
        record: bool | None = None,
        public: bool | None = None,
        scheduled: bool | None = None,
        notify: bool | None = None,
        notify_before: Mapping[str, JsonValue] | None = None,
        timezone: Mapping[str, JsonValue] | None = None,
        timeout: float | None = None,
    ) -> Meeting:
        """Create a meeting; the session's user is its host. (Server API: Create meeting.)

        Args:
            name: The name.
            start: When it starts: an aware datetime or unix seconds.
            end: When it ends.
            attendees: Those invited: ids or Users, e-mail addresses as strings, or Attendees with both.
            chat: Whether a dialog is created with it.
            record: Whether it is recorded.
            public: Whether every user can get it by its id.
            scheduled: A mark to look up by.
            notify: Whether attendees and host get an e-mail.
            notify_before: When they get another one, such as ``{"metric": "minutes", "value": 10}``; the
                metric is minutes, hours, days or weeks.
            timezone: Its time zone, such as ``{"offset": 120, "name": "Europe/Riga"}``, offset in minutes.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The meeting.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
        """
        body = _body(name, start, end, attendees, record, public, scheduled, notify)
        body |= _more(chat, notify_before, timezone)
        response = self._api.call("POST", _PATH, body=body, timeout=timeout)
        return read_record(response, Meeting.from_json)

    def get(self, meeting: str | Meeting, *, timeout: float | None = None) -> Meeting:
        """Return a meeting: the user's own one, or a public one. (Server API: Retrieve meetings.)

        Args:
            meeting: The meeting, usually as its id.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The meeting.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The user has no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        meeting_id = _meeting_id(meeting)
        response = self._api.call("GET", _PATH, query=[("_id", meeting_id)], timeout=timeout)
        if isinstance(response.json(), dict):  # the JavaScript SDK expects either
            return read_record(response, Meeting.from_json)
        for found in read_list(response, Meeting.from_json):
            if found.id == meeting_id:
                return found
        raise unexpected(response, f"this user has no meeting {meeting_id}", NotFoundError)

    def list(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        timeout: float | None = None,
        **lookups: Unpack[MeetingLookups],
    ) -> Page[Meeting]:
        """Return one page of the user's meetings. (Server API: Retrieve meetings.)

        Args:
            limit: The number of meetings on the page; by default the service takes 100.
            skip: The number of meetings to leave out in front.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: start_date, end_date, created_at and updated_at, each also
                with __lt, __lte, __gt, __gte; and scheduled. Times are aware datetimes or unix seconds.

        Returns:
            The page; the service does not say how many meetings there are in all.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query = MEETINGS.query(lookups, limit=limit, skip=skip)
        response = self._api.call("GET", _PATH, query=query, timeout=timeout)
        return Page(items=read_list(response, Meeting.from_json), skip=skip, limit=limit)

    def iter(
        self,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
        **lookups: Unpack[MeetingLookups],
    ) -> Iterator[Meeting]:
        """Return an iterator over all meetings that match, each once; pages are requested as they are needed.

        Pages overlap, so no meeting is left out because others are created or deleted at the same time. After
        an error, the next step asks for the page again. (Server API: Retrieve meetings.)

        Args:
            page_size: The number of meetings on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores: start_date, end_date,
                created_at and updated_at, also with __lt, __lte, __gt, __gte; and scheduled.

        Returns:
            An iterator over the meetings; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; raised at
                once.
            ArgumentValueError: An argument has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        MEETINGS.query(lookups)

        def fetch(span: Span) -> Page[Row[Meeting]]:
            query = MEETINGS.query(lookups, limit=span.limit, skip=span.position or None)
            response = self._api.call("GET", _PATH, query=query, timeout=timeout)
            page = Page(items=read_list(response, Meeting.from_json))
            return rows_of(page, lambda meeting: meeting.id)

        url = self._api.url(_PATH)
        return Items([PageReader(fetch, check_page_size(page_size), url=url)])

    def update(
        self,
        meeting: str | Meeting,
        *,
        name: str | None = None,
        start: SomeTime | None = None,
        end: SomeTime | None = None,
        attendees: SomeAttendees | None = None,
        record: bool | None = None,
        public: bool | None = None,
        scheduled: bool | None = None,
        notify: bool | None = None,
        notify_before: Mapping[str, JsonValue] | None = None,
        timezone: Mapping[str, JsonValue] | None = None,
        timeout: float | None = None,
    ) -> Meeting:
        """Change a meeting; only its host may do that. (Server API: Update meeting.)

        The service wants name, start, end and attendees in each change. Of a Meeting those that are not given
        are sent as they are in it; of an id all four have to be given.

        Args:
            meeting: The meeting.
            name: The new name.
            start: When it starts: an aware datetime or unix seconds.
            end: When it ends.
            attendees: Those invited from now on, all of them: ids or Users, e-mail addresses as strings, or
                Attendees with both.
            record: True starts to record, False stops it.
            public: Whether every user can get it by its id.
            scheduled: A mark to look up by.
            notify: Whether attendees and host get an e-mail.
            notify_before: When they get another one, such as ``{"metric": "hours", "value": 1}``.
            timezone: Its time zone, such as ``{"offset": 120, "name": "Europe/Riga"}``, offset in minutes.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The meeting, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or one of the four is missing.
            PermissionDeniedError: The user is not the host.
            NotFoundError: There is no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        known = meeting if isinstance(meeting, Meeting) else Meeting()
        body = _body(
            _needed("name", known.name if name is None else name),
            _needed("start", known.start_date if start is None else start),
            _needed("end", known.end_date if end is None else end),
            _needed("attendees", (known.attendees or None) if attendees is None else attendees),
            record,
            public,
            scheduled,
            notify,
        )
        body |= _more(None, notify_before, timezone)
        path = (*_PATH, _meeting_id(meeting))
        response = self._api.call("PUT", path, body=body, timeout=timeout)
        return read_record(response, Meeting.from_json)

    def delete(self, meeting: str | Meeting, *, timeout: float | None = None) -> None:
        """Delete a meeting; only its host may do that. (Server API: Delete meeting.)

        Args:
            meeting: The meeting.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user is not the host.
            NotFoundError: There is no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        self._api.call("DELETE", (*_PATH, _meeting_id(meeting)), timeout=timeout)

    def recordings(
        self, meeting: str | Meeting, *, timeout: float | None = None
    ) -> tuple[Recording, ...]:
        """Return the recordings of a meeting that is over. (Server API: Meeting recordings.)

        Args:
            meeting: The meeting.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The recordings, each with a link that is valid for a while.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        return _recordings(self._api, meeting, timeout)


class AdminMeetings(NotCopied):
    """Meetings of any host, by the Administration API; every method may be called from any thread.

    A meeting is given as its id or as a Meeting. No session is needed. (Administration API: Meeting.)

    Example:
        >>> meeting = cube.admin.meetings.create(bob_id, "Sync", 1_800_000_000, 1_800_003_600, [])
        >>> meeting.host_id == bob_id
        True
    """

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def create(
        self,
        host: int | User,
        name: str,
        start: SomeTime,
        end: SomeTime,
        attendees: SomeAttendees,
        *,
        chat: bool | None = None,
        record: bool | None = None,
        public: bool | None = None,
        scheduled: bool | None = None,
        notify: bool | None = None,
        notify_before: Mapping[str, JsonValue] | None = None,
        timezone: Mapping[str, JsonValue] | None = None,
        timeout: float | None = None,
    ) -> Meeting:
        """Create a meeting for a host. (Administration API: Create Meeting.)

        Args:
            host: The user who hosts it, as an id or a User.
            name: The name.
            start: When it starts: an aware datetime or unix seconds.
            end: When it ends.
            attendees: Those invited: ids or Users, e-mail addresses as strings, or Attendees with both.
            chat: Whether a dialog is created with it.
            record: Whether it is recorded.
            public: Whether every user can get it by its id.
            scheduled: A mark to look up by.
            notify: Whether attendees and host get an e-mail.
            notify_before: When they get another one, such as ``{"metric": "minutes", "value": 10}``; the
                metric is minutes, hours, days or weeks.
            timezone: Its time zone, such as ``{"offset": 120, "name": "Europe/Riga"}``, offset in minutes.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The meeting.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such user.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
        """
        body: dict[str, object] = {"user_id": check_user_id("host", host)}
        body |= _body(name, start, end, attendees, record, public, scheduled, notify)
        body |= _more(chat, notify_before, timezone)
        response = self._api.call("POST", _PATH, body=body, timeout=timeout)
        return read_record(response, Meeting.from_json)

    def recordings(
        self, meeting: str | Meeting, *, timeout: float | None = None
    ) -> tuple[Recording, ...]:
        """Return the recordings of a meeting. (Administration API: Retrieve Meeting Recordings.)

        Args:
            meeting: The meeting.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The recordings, each with a link that is valid for a while.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        return _recordings(self._api, meeting, timeout)

    def delete_recordings(self, meeting: str | Meeting, *, timeout: float | None = None) -> None:
        """Delete all recordings of a meeting. (Administration API: Delete Meeting Recordings.)

        Args:
            meeting: The meeting.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such meeting.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_RECORDINGS, _meeting_id(meeting))
        response = self._api.call("DELETE", path, timeout=timeout)
        if response.json() is not None:
            read_object(response)


class _Caller(Protocol):
    def call(
        self, method: str, path: tuple[str, ...], *, timeout: float | None = None
    ) -> Response: ...


def _recordings(api: _Caller, meeting: object, timeout: float | None) -> tuple[Recording, ...]:
    response = api.call("GET", (*_RECORDINGS, _meeting_id(meeting)), timeout=timeout)
    return read_list(response, Recording.from_json)


def _meeting_id(value: object) -> str:
    return check_id("meeting", value.id if isinstance(value, Meeting) else value)


def _needed(name: str, value: _Given | None) -> _Given:
    if value is None:
        raise ArgumentValueError(
            f"{name} is missing: give it, or the Meeting in place of its id, whose {name} is sent then"
        )
    return value


def _body(
    name: object,
    start: object,
    end: object,
    attendees: object,
    record: object,
    public: object,
    scheduled: object,
    notify: object,
) -> dict[str, object]:
    """Return the fields that creating and changing have in common."""
    body: dict[str, object] = {
        "name": check_str("name", name),
        "start_date": check_time("start", start),
        "end_date": check_time("end", end),
        "attendees": _attendees(attendees),
    }
    marks = {"record": record, "public": public, "scheduled": scheduled, "notify": notify}
    given = {key: check_bool(key, mark) for key, mark in marks.items() if mark is not None}
    return {**body, **given}


def _more(chat: object, notify_before: object, timezone: object) -> dict[str, object]:
    body: dict[str, object] = {} if chat is None else {"chat": check_bool("chat", chat)}
    for name, value in (("notify_before", notify_before), ("timezone", timezone)):
        if value is not None:
            body[name] = check_json_object(name, value, empty=False)
    return body


def _attendees(values: object) -> builtins.list[dict[str, object]]:
    if isinstance(values, (str, int, User, Attendee)):
        values = [values]
    if isinstance(values, (bytes, AnyMapping)) or not isinstance(values, AnyIterable):
        kind = type(values).__name__
        raise ArgumentTypeError(f"attendees must be one or a list, not {kind}")
    return [_attendee(f"attendees[{n}]", value) for n, value in enumerate(values)]


def _attendee(name: str, value: object) -> dict[str, object]:
    if isinstance(value, str):
        return {"email": check_str(name, value)}
    if not isinstance(value, Attendee):
        return {"id": check_user_id(name, value)}
    found: dict[str, object] = {}
    if value.id is not None:
        found["id"] = check_int(f"{name}.id", value.id, least=1)
    if value.email is not None:
        found["email"] = check_str(f"{name}.email", value.email)
    if not found:
        raise ArgumentValueError(f"{name} has neither an id nor an email")
    return found
