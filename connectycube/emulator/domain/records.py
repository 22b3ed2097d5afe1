"""Records: custom objects of any class. (Server documentation: Custom objects API.)

On the service the dashboard defines the fields of each class. Here every class exists, and a field has the
type of its value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectycube._containers import AnyDict

from ..db.database import Database, Row
from .api_error import ApiError
from .identifiers import ObjectIds
from .record_changes import changed_fields
from .times import Clock
from .values import as_list

__all__ = ["Records", "allows"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id TEXT PRIMARY KEY, class TEXT NOT NULL, user_id INTEGER NOT NULL, parent_id TEXT,
    fields TEXT NOT NULL, permissions TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of_class ON records (class);
"""
_RESERVED = frozenset(("_id", "created_at", "updated_at", "user_id", "permissions", "_parent_id"))
_DEFAULT_ACCESS = {"read": "open", "update": "owner", "delete": "owner"}
_ACCESS = ("open", "owner", "open_for_users_ids", "open_for_groups")


class Records:
    """The records and their permissions. A record is the JSON object that clients see."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._ids = ObjectIds()
        database.create(_SCHEMA)

    def create(self, class_name: str, user_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a record of a user."""
        now = self._clock.time()
        record_id = self._ids.new(now)
        self._db.insert(
            "records",
            {
                "id": record_id,
                "class": class_name,
                "user_id": user_id,
                "parent_id": _parent(body),
                "fields": json.dumps(_own_fields(body)),
                "permissions": json.dumps(_permissions(body.get("permissions"))),
                "created_at": int(now),
                "updated_at": int(now),
            },
        )
        return self.with_ids(class_name, [record_id])[0]

    def with_ids(self, class_name: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the records of a class that have these ids, in their order."""
        found = [
            self._db.one("SELECT * FROM records WHERE class = ? AND id = ?", class_name, record_id)
            for record_id in dict.fromkeys(ids)
        ]
        return [_record(row) for row in found if row is not None]

    def of_class(self, class_name: str) -> list[dict[str, Any]]:
        """Return all records of a class, oldest first."""
        rows = self._db.all(
            "SELECT * FROM records WHERE class = ? ORDER BY created_at, id", (class_name,)
        )
        return [_record(row) for row in rows]

    def update(self, record: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Change a record's fields; return it."""
        changes: dict[str, Any] = {
            "fields": json.dumps(changed_fields(_own_fields(record), body, _RESERVED)),
            "updated_at": int(self._clock.time()),
        }
        if "_parent_id" in body:
            changes["parent_id"] = _parent(body)
        if "permissions" in body:
            changes["permissions"] = json.dumps(
                _permissions(body["permissions"], record["permissions"])
            )
        self._db.update("records", record["_id"], changes)
        row = self._db.one("SELECT * FROM records WHERE id = ?", record["_id"])
        assert row is not None
        return _record(row)

    def delete(self, record_id: str) -> None:
        """Delete a record and its children."""
        with self._db.transaction():
            self._delete_tree(record_id)

    def _delete_tree(self, record_id: str) -> None:
        if not self._db.run("DELETE FROM records WHERE id = ?", record_id):
            return  # it is deleted already: parents may form a circle
        for child in self._db.all("SELECT id FROM records WHERE parent_id = ?", (record_id,)):
            self._delete_tree(child["id"])


def allows(record: Mapping[str, Any], action: str, user_id: int, tags: set[str]) -> bool:
    """Whether a record allows a user with these tags to read, update or delete it."""
    permission = record["permissions"][action]
    access = permission["access"]
    if access == "open" or record["user_id"] == user_id:
        return True
    if access == "open_for_users_ids":
        return str(user_id) in permission["users_ids"]
    return access == "open_for_groups" and bool(tags & set(permission["users_groups"]))


def _own_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _RESERVED}


def _record(row: Row) -> dict[str, Any]:
    return {
        **json.loads(row["fields"]),
        "_id": row["id"],
        "_parent_id": row["parent_id"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_id": row["user_id"],
        "permissions": json.loads(row["permissions"]),
    }


def _parent(body: Mapping[str, Any]) -> str | None:
    value = body.get("_parent_id")
    if value is not None and not isinstance(value, str):
        raise ApiError.invalid("_parent_id", "must be a record's id")
    return value or None


def _permissions(given: Any, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    default = {action: {"access": access} for action, access in _DEFAULT_ACCESS.items()}
    result = dict(before or default)
    if given is None:
        return result
    if not isinstance(given, AnyDict) or not given.keys() <= _DEFAULT_ACCESS.keys():
        raise ApiError.invalid("permissions", f"must be for {', '.join(_DEFAULT_ACCESS)}")
    for action, permission in given.items():
        access = permission.get("access") if isinstance(permission, AnyDict) else None
        if access not in _ACCESS:
            raise ApiError.invalid("permissions", f"access must be {' or '.join(_ACCESS)}")
        result[action] = {"access": access}
        if access == "open_for_users_ids":
            result[action]["users_ids"] = [str(each) for each in as_list(permission.get("ids"))]
        elif access == "open_for_groups":
            result[action]["users_groups"] = [
                str(each) for each in as_list(permission.get("groups"))
            ]
    return result
