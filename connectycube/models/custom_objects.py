"""Custom objects: records of the application's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from .._containers import AnyDict
from ._json import as_int, as_mapping, as_string, as_time, read, wire

__all__ = ["CustomObject"]


@frozen(kw_only=True, slots=True)
class CustomObject:
    """A record of one of the application's classes; times are aware datetimes. (Guide: Custom data.)

    Args:
        class_name: The name of the class.
        id: The id of the record.
        parent_id: The id of another record, or None.
        user_id: The id of the owner.
        permissions: The rights of others, if the service was asked for them.
        created_at: When the record was made.
        updated_at: When the record last changed.
        fields: The application's own fields.

    Example:
        >>> record = cube.custom_objects.create("Movie", {"title": "Alien", "year": 1979})
        >>> record.fields["title"]
        'Alien'
    """

    class_name: str | None = field(default=None)
    id: str | None = wire("_id", as_string)
    parent_id: str | None = wire("_parent_id", as_string)
    user_id: int | None = wire("user_id", as_int)
    permissions: Mapping[str, Any] | None = wire("permissions", as_mapping)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    fields: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], class_name: str | None = None) -> CustomObject:
        """Decode the service's record of a class.

        Args:
            data: The service's object, as JSON decodes it.
            class_name: The name of the class, which the record does not hold.

        Returns:
            The record; its keys that are not the service's own are ``fields``.
        """
        record = read(cls, data, into="fields", class_name=class_name)
        return evolve(record, parent_id=record.parent_id or None)  # "" says the same as null
