"""Files, which the service calls blobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .._containers import AnyDict
from ._json import as_bool, as_int, as_mapping, as_string, as_time, read, wire

__all__ = ["File"]


@frozen(kw_only=True, slots=True)
class File:
    """A file in the service's storage, which the service calls a blob. (Guide: Attachments.)

    Times are aware datetimes.

    Args:
        id: The id of the record.
        uid: The id of the content; attachments and avatars hold it.
        name: The file name.
        content_type: The media type, such as "image/png".
        size: The size in bytes.
        public: Whether everybody can read the content without a token.
        status: "complete" once the content is uploaded.
        created_at: When the record was made.
        updated_at: When the record last changed.
        completed_at: When the upload was completed.
        access: How to reach the content for a while, if the service was asked for it.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> file = cube.files.upload(b"three apples", name="note.txt", content_type="text/plain")
        >>> handle = chat.send_private(bob_id, Message(attachments=[file]))
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
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> File:
        """Decode the service's file object, bare or wrapped in ``{"blob": …}``.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The file; an attribute that cannot be read is None.
        """
        return read(cls, as_mapping(data.get("blob")) or data)

    @property
    def download_url(self) -> str | None:
        """The URL at which the content can be downloaded for a while, if the service was asked for it."""
        access = self.access or {}
        return as_string(access.get("download_url", access.get("dowload_url")))  # as documented
