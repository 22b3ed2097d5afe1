"""Meetings: planned calls and their recordings, without the media. (Server documentation: Meetings API.)"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from connectycube._containers import AnyDict, AnyList

from ..db.database import Database, Row
from .api_error import ApiError
from .conversations import MEETING, Conversations
from .times import iso_time
from .values import column_number, flag

__all__ = ["Meetings"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meetings (
    id TEXT PRIMARY KEY, host_id INTEGER NOT NULL,
    fields TEXT NOT NULL, -- JSON: what host and attendees see, but for ids and times
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS recordings (
    id TEXT PRIMARY KEY, meeting_id TEXT NOT NULL, file_uid TEXT NOT NULL,
    participants_ids TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS recordings_of_meeting ON recordings (meeting_id);
"""
_FLAGS = ("record", "public", "scheduled", "notify")
_KNOWN = {
    "name",
    "start_date",
    "end_date",
    "attendees",
    "chat",
    "notify_before",
    "timezone",
    *_FLAGS,
}
# The most of each metric of notify_before, and the least of it.
_METRICS = {"minutes": (0, 55), "hours": (1, 24), "days": (1, 30), "weeks": (1, 4)}
_MINE = (
    "(host_id = ? OR EXISTS (SELECT 1 FROM json_each(meetings.fields, '$.attendees') each"
    " WHERE json_extract(each.value, '$.id') = ?))"
)


class Meetings:
    """The rules for meetings. A meeting is a row with its ``fields``."""

    def __init__(self, database: Database, conversations: Conversations) -> None:
        self._db = database
        self._conversations = conversations
        database.create(_SCHEMA)

    def create(self, host_id: int, body: Mapping[str, Any]) -> Row:
        """Create a meeting; with ``chat`` a dialog of host and attendees as well."""
        fields = _fields(body)
        users = [each["id"] for each in fields["attendees"] if "id" in each]
        now, meeting_id = self._conversations.now(), self._conversations.new_id()
        fields["chat_dialog_id"] = None
        if flag(body.get("chat")):
            # Inferred: attendees that are no users of the application are left out.
            occupants = [host_id, *(each for each in users if self._conversations.is_user(each))]
            name = fields["name"]
            dialog = self._conversations.add_dialog(MEETING, host_id, occupants, name=name)
            fields["chat_dialog_id"] = dialog["id"]
        self._db.insert(
            "meetings",
            {
                "id": meeting_id,
                "host_id": host_id,
                "fields": json.dumps(fields),
                "created_at": now,
                "updated_at": now,
            },
        )
        return self.meeting(meeting_id)

    def update(self, user_id: int, meeting_id: str, body: Mapping[str, Any]) -> Row:
        """Change a meeting; its host alone may do that. The end of ``record`` makes a recording."""
        meeting = self._own(user_id, meeting_id)
        before = json.loads(meeting["fields"])
        fields = {**before, **_fields(body, before)}
        values = {"fields": json.dumps(fields), "updated_at": self._conversations.now()}
        self._db.update("meetings", meeting_id, values)
        if before["record"] and not fields["record"]:
            self._add_recording(meeting)
        return self.meeting(meeting_id)

    def delete(self, user_id: int, meeting_id: str) -> None:
        """Delete a meeting; its host alone may do that."""
        self._own(user_id, meeting_id)
        self._db.run("DELETE FROM meetings WHERE id = ?", meeting_id)

    def meeting(self, meeting_id: str) -> Row:
        """Return the meeting with this id, without a check of permissions."""
        row = self._db.one("SELECT * FROM meetings WHERE id = ?", meeting_id)
        if row is None:
            raise ApiError(404, f"Meeting {meeting_id} does not exist")
        return row

    def _own(self, user_id: int, meeting_id: str) -> Row:
        meeting = self.meeting(meeting_id)
        if meeting["host_id"] != user_id:
            raise ApiError(403, "Only the host of a meeting may change it")
        return meeting

    def of_user(
        self, user_id: int, where: str, values: Sequence[Any], *, limit: int, skip: int
    ) -> list[Row]:
        """Return a page of the meetings that a user hosts or is invited to."""
        return self._db.all(
            f"SELECT * FROM meetings WHERE {_MINE} AND {where} ORDER BY id LIMIT ? OFFSET ?",
            (user_id, user_id, *values, limit, skip),
        )

    def is_visible(self, user_id: int, meeting: Row) -> bool:
        """Whether a user may read a meeting: the host, an attendee, or anybody if it is public."""
        fields = json.loads(meeting["fields"])
        invited = {each.get("id") for each in fields["attendees"]}
        return user_id == meeting["host_id"] or user_id in invited or bool(fields["public"])

    def json(self, meeting: Row) -> dict[str, Any]:
        """Write a meeting as the service does."""
        return {
            "_id": meeting["id"],
            **json.loads(meeting["fields"]),
            "host_id": meeting["host_id"],
            "created_at": iso_time(meeting["created_at"]),
            "updated_at": iso_time(meeting["updated_at"]),
        }

    # --- recordings -----------------------------------------------------------------------------

    def _add_recording(self, meeting: Row) -> None:
        """Add a recording in which the host is alone: nobody meets in the emulator."""
        self._db.insert(
            "recordings",
            {
                "id": self._conversations.new_id(),
                "meeting_id": meeting["id"],
                "file_uid": secrets.token_urlsafe(18),
                "participants_ids": json.dumps([meeting["host_id"]]),
                "created_at": self._conversations.now(),
            },
        )

    def recordings(self, meeting_id: str) -> list[dict[str, Any]]:
        """Return the recordings of a meeting as the service writes them, but for their links."""
        rows = self._db.all(
            "SELECT * FROM recordings WHERE meeting_id = ? ORDER BY id", (meeting_id,)
        )
        return [_recording_json(row) for row in rows]

    def delete_recordings(self, meeting_id: str) -> None:
        """Delete all recordings of a meeting."""
        self._db.run("DELETE FROM recordings WHERE meeting_id = ?", meeting_id)


def _recording_json(row: Row) -> dict[str, Any]:
    participants_ids = json.loads(row["participants_ids"])
    return {
        "_id": row["id"],
        "room_id": row["meeting_id"],
        "participants_count": len(participants_ids),
        "participants_ids": participants_ids,
        "file_uid": row["file_uid"],
        "duration": 60.0,
        "size": 1.0,
        "updated_at": iso_time(row["created_at"]),
        "created_at": iso_time(row["created_at"]),
    }


def _fields(body: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the fields of a request; flags and objects that it leaves out stay as they are."""
    unknown = [name for name in body if name not in _KNOWN]
    if unknown:
        raise ApiError(422, errors={name: ["is not a field of a meeting"] for name in unknown})
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise ApiError.invalid("name", "is required and must be a string")
    before = known or {}
    return {
        "name": name,
        "start_date": _moment(body, "start_date"),
        "end_date": _moment(body, "end_date"),
        "attendees": _attendees(body.get("attendees")),
        **{each: flag(body[each]) if each in body else before.get(each, False) for each in _FLAGS},
        "notify_before": _notify_before(body.get("notify_before", before.get("notify_before"))),
        "timezone": _timezone(body.get("timezone", before.get("timezone"))),
    }


def _moment(body: Mapping[str, Any], name: str) -> int:
    seconds = column_number(body.get(name))
    if seconds is None or isinstance(body.get(name), bool):
        raise ApiError.invalid(name, "is required and must be a timestamp")
    return seconds


def _attendees(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, AnyList):
        raise ApiError.invalid("attendees", "is required and must be a list")
    for each in value:
        is_known = isinstance(each, AnyDict) and bool(each) and each.keys() <= {"id", "email"}
        if not is_known or not isinstance(each.get("email", ""), str):
            raise ApiError.invalid("attendees", "must hold objects with id or email")
        if "id" in each and type(each["id"]) is not int:
            raise ApiError.invalid("attendees", "has an id that is no number")
    return list(value)


def _notify_before(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    metric = value.get("metric") if isinstance(value, AnyDict) else None
    if metric not in _METRICS:
        raise ApiError.invalid("notify_before", f"needs a metric: {', '.join(_METRICS)}")
    least, most = _METRICS[metric]
    if type(value.get("value")) is not int or not least <= value["value"] <= most:
        raise ApiError.invalid("notify_before", f"needs a value from {least} to {most}")
    return {"metric": metric, "value": value["value"]}


def _timezone(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, AnyDict) or type(value.get("offset")) is not int:
        raise ApiError.invalid("timezone", "needs an offset in minutes, and a name")
    return {"offset": value["offset"], "name": value.get("name")}
