"""Files: the service's description of each file ("blob"), and the permissions for it.

(Server documentation: Storage API.)
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ..db.database import Database, Row
from ..domain.api_error import ApiError
from ..domain.times import Clock, iso_time
from .bucket import Bucket

__all__ = ["Files"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT UNIQUE NOT NULL, user_id INTEGER NOT NULL,
    name TEXT NOT NULL, content_type TEXT NOT NULL, public INTEGER NOT NULL, size INTEGER,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, completed_at INTEGER
);
"""


class Files:
    """The rules for files. A file is complete when its bytes are uploaded and the client has declared so."""

    def __init__(self, database: Database, clock: Clock, bucket: Bucket) -> None:
        self._db = database
        self._clock = clock
        self._bucket = bucket
        database.create(_SCHEMA)

    def create(
        self, user_id: int, *, name: str, content_type: str, public: bool, scheme: str
    ) -> dict[str, Any]:
        """Create a file without bytes; return it with the form that uploads them over http or https."""
        now = int(self._clock.time())
        cursor = self._db.insert(
            "blobs",
            {
                "uid": f"{secrets.token_hex(16).upper()}00",
                "user_id": user_id,
                "name": name,
                "content_type": content_type,
                "public": public,
                "created_at": now,
                "updated_at": now,
            },
        )
        return self._with_form(self.file(int(cursor.lastrowid or 0)), scheme)

    def _with_form(self, row: Row, scheme: str) -> dict[str, Any]:
        url, expires = self._bucket.upload_url(
            row["uid"], row["content_type"], public=bool(row["public"]), scheme=scheme
        )
        access = {
            "id": row["id"],
            "blob_id": row["id"],
            "expires": iso_time(expires),
            "object_access_type": "Write",
            "params": url,
        }
        return {**self.json(row), "blob_object_access": access}

    def complete(self, user_id: int, blob_id: int, size: int) -> None:
        """Declare a file uploaded; refuse it unless the bucket has this number of bytes."""
        row = self.own_file(user_id, blob_id)
        stored = self._bucket.object(row["uid"])
        if stored is None:
            raise ApiError(422, f"File {blob_id} has not been uploaded")
        if stored.size != size:
            raise ApiError.invalid("size", f"is not that of the uploaded file, {stored.size}")
        now = int(self._clock.time())
        self._db.update("blobs", blob_id, {"size": size, "completed_at": now, "updated_at": now})

    def update(
        self, user_id: int, blob_id: int, values: Mapping[str, Any], *, new: bool, scheme: str
    ) -> Any:
        """Change a file's name or type; with ``new`` return the form that uploads new bytes."""
        self.own_file(user_id, blob_id)
        changes = {**values, "updated_at": int(self._clock.time())}
        if new:
            changes["completed_at"] = None
        self._db.update("blobs", blob_id, changes)
        row = self.file(blob_id)
        return self._with_form(row, scheme) if new else self.json(row)

    def delete(self, user_id: int, blob_id: int) -> None:
        """Delete a file and its bytes."""
        row = self.own_file(user_id, blob_id)
        self._bucket.delete(row["uid"])  # first: without its file it could not be deleted
        self._db.run("DELETE FROM blobs WHERE id = ?", blob_id)

    def file(self, blob_id: int) -> Row:
        """Return the file with this id."""
        row = self._db.one("SELECT * FROM blobs WHERE id = ?", blob_id)
        if row is None:
            raise ApiError(404, f"File {blob_id} does not exist")
        return row

    def own_file(self, user_id: int, blob_id: int) -> Row:
        """Return the file with this id; refuse the file of another user."""
        row = self.file(blob_id)
        if row["user_id"] != user_id:
            raise ApiError(403, f"File {blob_id} belongs to another user")
        return row

    def complete_file(self, uid: str) -> Row:
        """Return the file with this uid; refuse one that is not complete."""
        row = self._db.one("SELECT * FROM blobs WHERE uid = ?", uid)
        if row is None or row["completed_at"] is None:
            raise ApiError(404, f"File {uid} does not exist or is not complete")
        return row

    def of_user(self, user_id: int, *, limit: int, skip: int) -> tuple[int, list[Row]]:
        """Return the number of a user's files, and a page of them."""
        rows = self._db.all(
            "SELECT * FROM blobs WHERE user_id = ? ORDER BY id LIMIT ? OFFSET ?",
            (user_id, limit, skip),
        )
        return self._db.count("blobs", "user_id = ?", (user_id,)), rows

    def download_url(self, row: Row, *, scheme: str) -> str:
        """Return a link to a file's bytes."""
        return self._bucket.download_url(row["uid"], scheme=scheme)

    def link(self, uid: str, *, scheme: str) -> str:
        """Return a signed link to a file of another part of the service, which leads to no bytes here."""
        return self._bucket.download_url(uid, scheme=scheme)

    def json(self, row: Row) -> dict[str, Any]:
        """Write a file as the service does."""
        complete = row["completed_at"] is not None
        return {
            "id": row["id"],
            "uid": row["uid"],
            "content_type": row["content_type"],
            "name": row["name"],
            "size": row["size"],
            "created_at": iso_time(row["created_at"]),
            "updated_at": iso_time(row["updated_at"]),
            "blob_status": "complete" if complete else None,
            "set_completed_at": iso_time(row["completed_at"]),
            "public": bool(row["public"]),
        }
