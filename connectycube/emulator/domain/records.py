"""Records: custom objects of any class. (Server documentation: Custom objects API.)

The service knows the fields of each class from its dashboard. Here every class exists, and a field has
the type it was given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..db.database import Database, Row
from .api_error import ApiError
from .identifiers import ObjectIds
from .times import Clock

__all__ = ["Condition", "Records", "conditions_of", "may"]

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

Condition = Callable[[Mapping[str, Any]], bool]


class Records:
    """The records and who may do what with them. A record is the JSON object that clients see."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._ids = ObjectIds()
        database.create(_SCHEMA)

    def create(self, class_name: str, user_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a record of a user."""
        now = self._clock.time()
        record_id = self._ids.new(now)
        self._db.insert(
            "records",
            {
                "id": record_id,
                "class": class_name,
                "user_id": user_id,
                "parent_id": _parent(body),
                "fields": json.dumps({k: v for k, v in body.items() if k not in _RESERVED}),
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
        own = {name: value for name, value in record.items() if name not in _RESERVED}
        changes: dict[str, Any] = {
            "fields": json.dumps(_changed_fields(own, body)),
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
            return  # gone already: parents may form a circle
        for child in self._db.all("SELECT id FROM records WHERE parent_id = ?", (record_id,)):
            self._delete_tree(child["id"])


def may(action: str, record: Mapping[str, Any], user_id: int, tags: set[str]) -> bool:
    """Whether a user with these tags may read, update or delete a record."""
    permission = record["permissions"][action]
    access = permission["access"]
    if access == "open" or record["user_id"] == user_id:
        return True
    if access == "open_for_users_ids":
        return str(user_id) in permission["users_ids"]
    return access == "open_for_groups" and bool(tags & set(permission["users_groups"]))


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
    result = dict(before or {action: {"access": a} for action, a in _DEFAULT_ACCESS.items()})
    if given is None:
        return result
    if not isinstance(given, dict) or not given.keys() <= _DEFAULT_ACCESS.keys():
        raise ApiError.invalid("permissions", f"must be for {', '.join(_DEFAULT_ACCESS)}")
    for action, permission in given.items():
        access = permission.get("access") if isinstance(permission, dict) else None
        if access not in _ACCESS:
            raise ApiError.invalid("permissions", f"access must be {' or '.join(_ACCESS)}")
        result[action] = {"access": access}
        if access == "open_for_users_ids":
            result[action]["users_ids"] = [str(each) for each in _list(permission.get("ids"))]
        elif access == "open_for_groups":
            result[action]["users_groups"] = [str(each) for each in _list(permission.get("groups"))]
    return result


# --- changes --------------------------------------------------------------------------------------


def _changed_fields(fields: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields after an update by plain values and the special operators."""
    changed = dict(fields)
    for name, value in body.items():
        if name in _RESERVED or name == "search_criteria":
            continue
        if name not in _CHANGES or not isinstance(value, dict):
            changed[name] = _replaced(changed.get(name), value)
            continue
        for field, operand in value.items():
            if name == "inc":
                changed[field] = _number(field, changed.get(field) or 0) + _number(field, operand)
            else:
                changed[field] = _CHANGES[name](_list(changed.get(field)), operand)
    return changed


def _replaced(before: Any, value: Any) -> Any:
    # {"0": x} replaces the first element of a list
    if not isinstance(before, list) or not isinstance(value, dict):
        return value
    places = {int(place): each for place, each in value.items() if place.isdecimal()}
    if len(places) != len(value) or any(place >= len(before) for place in places):
        raise ApiError(422, "An array is changed by the numbers of its elements")
    return [places.get(place, each) for place, each in enumerate(before)]


def _pull(items: list[Any], operand: Any) -> list[Any]:
    if isinstance(operand, dict):  # a filter
        pulled = conditions_of([("element", name, value) for name, value in operand.items()])
        return [each for each in items if not pulled({"element": each})]
    return [each for each in items if each != operand]


def _pop(items: list[Any], operand: Any) -> list[Any]:
    return items[1:] if str(operand) == "-1" else items[:-1]


def _add_to_set(items: list[Any], operand: Any) -> list[Any]:
    for each in _list(operand):
        if each not in items:
            items = [*items, each]
    return items


_CHANGES: dict[str, Callable[[list[Any], Any], list[Any]]] = {
    "inc": lambda items, operand: items,
    "push": lambda items, operand: [*items, *_list(operand)],
    "pull": _pull,
    "pull_all": lambda items, operand: [each for each in items if each not in _list(operand)],
    "pop": _pop,
    "add_to_set": _add_to_set,
}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _number(field: str, value: Any) -> int | float:
    try:
        number = int(value) if str(value).lstrip("+-").isdigit() else float(value)
        if math.isfinite(number):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise ApiError.invalid(field, "is not a number")


# --- filters --------------------------------------------------------------------------------------


def conditions_of(filters: Sequence[tuple[str, str, Any]]) -> Condition:
    """Return the condition that all of (field, operator, value) are fulfilled."""
    tests = [_condition(field, operator, value) for field, operator, value in filters]
    return lambda record: all(test(record) for test in tests)


def _condition(field: str, operator: str, value: Any) -> Condition:
    if operator not in _OPERATORS:
        raise ApiError.invalid(field, f"has an unknown operator: {operator}")
    many = operator in ("in", "nin", "all", "or")
    operand = value.split(",") if many and isinstance(value, str) else value
    holds = _OPERATORS[operator]
    return lambda record: holds(record.get(field), _list(operand) if many else operand)


def _same(one: Any, other: Any) -> bool:
    # a query holds text only, and nobody has said which type a field has
    if isinstance(one, list):
        return any(_same(each, other) for each in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    return one == other or (one is not None and str(one) == str(other))


def _compare(holds: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def test(one: Any, other: Any) -> bool:
        try:
            return holds(float(one), float(other))
        except (TypeError, ValueError, OverflowError):
            return False

    return test


def _any(one: Any, others: list[Any]) -> bool:
    return any(_same(one, each) for each in others)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda one, other: not _same(one, other),
    "gt": _compare(lambda one, other: one > other),
    "lt": _compare(lambda one, other: one < other),
    "gte": _compare(lambda one, other: one >= other),
    "lte": _compare(lambda one, other: one <= other),
    "in": _any,
    "or": _any,
    "nin": lambda one, others: not _any(one, others),
    "all": lambda one, others: all(_same(one, each) for each in others),
    "ctn": lambda one, other: isinstance(one, str) and str(other) in one,
}
