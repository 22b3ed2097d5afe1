"""Files, which the service calls blobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from ._json import as_bool, as_int, as_mapping, as_string, as_time, read, wire

__all__ = ["File"]


@frozen(kw_only=True, slots=True)
class File:
    """A file in the service's storage. (Guide: Attachments.)

    Attachments and avatars hold the ``uid``, which names the content; ``id`` names the record. ``size`` is
    bytes, times are aware datetimes. ``access`` says how to reach the content while access is granted.
    """

    id: int | None = wire("id", as_int)
    uid: str | None = wire("uid", as_string)
    name: str | None = wire("name", as_string)
    content_type: str | None = wire("content_type", as_string)
    size: int | None = wire("size", as_int)
    public: bool | None = wire("public", as_bool)
    status: str | None = wire("blob_status", as_string)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    completed_at: datetime | None = wire("set_completed_at", as_time)
    access: Mapping[str, Any] | None = wire("blob_object_access", as_mapping, repr=False)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> File:
        """Decode the service's file object, bare or wrapped in ``{"blob": …}``."""
        return read(cls, as_mapping(data.get("blob")) or data)

    @property
    def download_url(self) -> str | None:
        """The URL at which the content can be downloaded for a while, if the service was asked for it."""
        access = self.access or {}
        return as_string(access.get("download_url", access.get("dowload_url")))  # as documented
