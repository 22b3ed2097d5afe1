"""Custom objects: records of the application's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from ._json import as_int, as_mapping, as_string, as_time, read, wire

__all__ = ["CustomObject"]


@frozen(kw_only=True, slots=True)
class CustomObject:
    """A record of one of the application's classes; times are aware datetimes.

    ``fields`` are the application's own, the other attributes the service's.
    """

    class_name: str | None = field(default=None)
    id: str | None = wire("_id", as_string)
    parent_id: str | None = wire("_parent_id", as_string)
    user_id: int | None = wire("user_id", as_int)
    permissions: Mapping[str, Any] | None = wire("permissions", as_mapping)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    fields: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], class_name: str | None = None) -> CustomObject:
        """Decode the service's record of a class."""
        record = read(cls, data, into="fields", class_name=class_name)
        return evolve(record, parent_id=record.parent_id or None)  # "" says the same as null
