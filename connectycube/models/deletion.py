"""What became of several things that were to be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .fields import as_mapping, as_strings, read, wire

__all__ = ["DeleteResult"]


def _ids(value: Any) -> tuple[str, ...] | None:
    """Read ``{"ids": […]}``, or the bare list."""
    return as_strings(value.get("ids") if as_mapping(value) is not None else value)


@frozen(kw_only=True, slots=True)
class DeleteResult:
    """The ids that were ``deleted``, that do not exist, and that this user may not delete."""

    deleted: tuple[str, ...] = wire("SuccessfullyDeleted", _ids, default=())
    not_found: tuple[str, ...] = wire("NotFound", _ids, default=())
    not_permitted: tuple[str, ...] = wire("WrongPermissions", _ids, default=())
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeleteResult:
        """Decode the service's answer to a deletion of several."""
        return read(cls, data)
