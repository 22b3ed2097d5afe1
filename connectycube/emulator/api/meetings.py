"""REST: meetings, for their users and for the Administration API.

(Server documentation: Meetings API; Administration documentation: Meeting.)
"""

from __future__ import annotations

from typing import Any

from ..domain.api_error import ApiError
from ..domain.values import natural
from .query import Column, ListQuery, time
from .request import Response
from .routing import Auth, Call, route


def _flag(value: str) -> int:
    if value not in ("true", "false", "1", "0"):
        raise ValueError("no flag")
    return int(value in ("true", "1"))


_COLUMNS = {
    **{
        name: Column(f"json_extract(fields, '$.{name}')", time)
        for name in ("start_date", "end_date")
    },
    "created_at": Column("created_at", time),
    "updated_at": Column("updated_at", time),
    "scheduled": Column("json_extract(fields, '$.scheduled')", _flag),
}


@route("POST", "meetings", Auth.USER, inferred="status 201; no e-mails are sent")
def create_meeting(call: Call) -> Response:
    """Create a meeting that the user hosts."""
    meetings = call.api.meetings
    meeting = meetings.create(call.user_id, call.request.json())
    return Response(status=201, content=meetings.json(meeting))


@route(
    "GET",
    "meetings",
    Auth.USER,
    inferred="order: oldest first; with _id a list as well, perhaps empty",
)
def list_meetings(call: Call) -> Response:
    """List the meetings that the user hosts or is invited to; or one of them, or a public one, by its id."""
    meetings, parameters = call.api.meetings, call.request.parameters()
    wanted = dict(parameters).get("_id")
    if wanted is not None:
        return Response(content=_with_id(call, wanted))
    query = ListQuery.parse(
        [("skip" if name == "offset" else name, value) for name, value in parameters],
        columns=_COLUMNS,
        sortable={},
        default_order="id",
    )
    rows = meetings.of_user(
        call.user_id, query.where, query.values, limit=query.limit, skip=query.skip
    )
    return Response(content=[meetings.json(row) for row in rows])


def _with_id(call: Call, meeting_id: str) -> list[dict[str, Any]]:
    meetings = call.api.meetings
    try:
        meeting = meetings.meeting(meeting_id)
    except ApiError:
        return []
    return [meetings.json(meeting)] if meetings.is_visible(call.user_id, meeting) else []


@route(
    "PUT",
    "meetings/{id}",
    Auth.USER,
    inferred="the end of record makes a recording of the host; no e-mails",
)
def update_meeting(call: Call) -> Response:
    """Change a meeting of the user."""
    meetings = call.api.meetings
    body = call.request.json()
    body.pop("chat", None)  # an example of the documentation has it
    meeting = meetings.update(call.user_id, call.arguments["id"], body)
    return Response(content=meetings.json(meeting))


@route("DELETE", "meetings/{id}", Auth.USER, inferred="the dialog stays")
def delete_meeting(call: Call) -> Response:
    """Delete a meeting of the user."""
    call.api.meetings.delete(call.user_id, call.arguments["id"])
    return Response()


@route(
    "GET",
    "meetings/recordings/{id}",
    Auth.USER,
    inferred="403 for others; the links lead to no bytes",
)
def list_recordings(call: Call) -> Response:
    """List the recordings of a meeting."""
    meetings = call.api.meetings
    meeting = meetings.meeting(call.arguments["id"])
    if not meetings.is_visible(call.user_id, meeting):
        raise ApiError(403, "You are not in this meeting")
    return _recordings(call)


def _recordings(call: Call) -> Response:
    """Answer with the recordings of a meeting and their links."""
    found = call.api.meetings.recordings(call.arguments["id"])
    scheme = call.request.scheme
    for each in found:
        each["download_url"] = call.api.files.link(each["file_uid"], scheme=scheme)
    return Response(content=found)


# --- the Administration API -----------------------------------------------------------------------


@route("POST", "admin/meetings", Auth.ADMIN, inferred="status 201; no e-mails are sent")
def create_meeting_of(call: Call) -> Response:
    """Create a meeting that any user hosts."""
    body = call.request.json()
    host_id = natural(str(body.pop("user_id", "")))
    if host_id is None:
        raise ApiError.invalid("user_id", "is required and must be a user id")
    call.api.conversations.check_users([host_id])
    meetings = call.api.meetings
    return Response(status=201, content=meetings.json(meetings.create(host_id, body)))


@route("GET", "admin/meetings/recordings/{id}", Auth.ADMIN, inferred="404 for an unknown meeting")
def list_recordings_of(call: Call) -> Response:
    """List the recordings of any meeting."""
    call.api.meetings.meeting(call.arguments["id"])
    return _recordings(call)


@route(
    "DELETE", "admin/meetings/recordings/{id}", Auth.ADMIN, inferred="404 for an unknown meeting"
)
def delete_recordings_of(call: Call) -> Response:
    """Delete the recordings of any meeting."""
    meetings = call.api.meetings
    meetings.meeting(call.arguments["id"])
    meetings.delete_recordings(call.arguments["id"])
    return Response(content={})
