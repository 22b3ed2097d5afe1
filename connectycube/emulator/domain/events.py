"""Events: push notifications that a user sends to users. (Server documentation: Create event.)"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ..db.database import Database, Row
from .api_error import ApiError
from .pushes import Pushes
from .times import Clock, iso_time

__all__ = ["CHANNELS", "ENVIRONMENTS", "Events"]

CHANNELS = ("apns", "apns_voip", "gcm", "web")
ENVIRONMENTS = ("development", "production")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, fields TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
"""


class Events:
    """Stores events and sends their pushes at once."""

    def __init__(self, database: Database, clock: Clock, pushes: Pushes, app_id: int) -> None:
        self._db = database
        self._clock = clock
        self._pushes = pushes
        self._app_id = app_id
        database.create(_SCHEMA)

    def create(self, user_id: int, fields: Mapping[str, Any], recipients: list[int]) -> Row:
        """Store an event of a user and send it to the recipients; return the event.

        ``fields`` are checked: environment, push_type (or None), event_type, message, name, tag_query.
        """
        payload = read_message(fields["message"], fields["push_type"])
        now = int(self._clock.time())
        cursor = self._db.insert(
            "events", {"user_id": user_id, "fields": json.dumps(dict(fields)), "created_at": now}
        )
        for recipient in recipients:
            self._pushes.record(
                recipient,
                payload,
                cause="event",
                environment=fields["environment"],
                channel=fields["push_type"],
            )
        row = self._db.one("SELECT * FROM events WHERE id = ?", cursor.lastrowid)
        assert row is not None
        return row

    def of_user(self, user_id: int) -> list[Row]:
        """Return the events a user has created, oldest first."""
        return self._db.all("SELECT * FROM events WHERE user_id = ? ORDER BY id", (user_id,))

    def json(self, row: Row) -> dict[str, Any]:
        """Write an event as the service does."""
        fields = json.loads(row["fields"])
        channel = fields["push_type"]
        return {
            "id": row["id"],
            "event_type": fields["event_type"],
            "message": fields["message"],
            "date": None,
            "period": None,
            "name": fields["name"],
            "occured_count": 0,
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["created_at"]),
            "end_date": None,
            "active": True,
            "application_id": self._app_id,
            "user_id": row["user_id"],
            "kind": "API",
            "environment": fields["environment"],
            "tag_query": fields["tag_query"],
            "notification_channel": {"name": channel} if channel else None,
        }


def read_message(message: str, push_type: str | None) -> Any:
    """Return the payload of an event's message: JSON, or the text if it is not JSON.

    For every platform the message is base64; for one platform it is ``payload=`` and base64, as in
    a query string.
    """
    encoded = message
    if push_type is not None:
        # A plus sign of base64 does not stand for a space.
        pairs = dict(parse_qsl(message.replace("+", "%2B"), keep_blank_values=True))
        if "payload" not in pairs:
            raise ApiError.invalid("message", "for one push_type must be payload=<base64>")
        encoded = pairs["payload"]
    try:
        text = base64.b64decode("".join(encoded.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ApiError.invalid("message", "is not text encoded as base64") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
