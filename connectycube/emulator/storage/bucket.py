"""Bucket: objects in a folder, and the signed forms and links with which clients use them.

The bucket stands for Amazon S3: a form with a policy uploads one object, and a signed link downloads one.
The signatures have a form of their own, because a client passes them on unchanged.

(Server documentation: Storage API; Amazon S3: "Browser-Based Uploads Using POST", "Authenticating Requests:
Using Query Parameters".)
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from attrs import frozen

from connectycube._containers import AnyDict

from ..db.database import Database, Row
from ..domain.times import Clock, http_date, iso_time
from .object_files import ObjectFiles

__all__ = ["MOST_BYTES", "Bucket", "S3Error", "StoredObject"]

MOST_BYTES = 100 * 1024 * 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, file TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    content_type TEXT NOT NULL, public INTEGER NOT NULL
);
"""
_NAME = "cb-shared-s3"
_UPLOAD_SECONDS = 3600
_DOWNLOAD_SECONDS = 604_800
_NOT_IN_POLICY = frozenset(("policy", "x-amz-signature", "file"))


class S3Error(Exception):
    """The bucket refuses a request; ``code`` is the error code of S3."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@frozen(kw_only=True)
class StoredObject:
    """An object: the name of the file with its bytes, and the fields that it was uploaded with."""

    file: str
    size: int
    etag: str
    content_type: str
    public: bool


class Bucket:
    """The objects by key: bytes in a folder, the rest in a table.

    All objects together have at most ``most_bytes()``. ``urls`` are its addresses by scheme. They are set
    when the servers listen.
    """

    def __init__(
        self,
        directory: str,
        clock: Clock,
        database: Database,
        most_bytes: Callable[[], int] = lambda: 2**63,
    ) -> None:
        self.files: ObjectFiles = ObjectFiles(directory)
        self._clock = clock
        self._db = database
        self._db.create(_SCHEMA)
        self._secret = database.fact("bucket secret", secrets.token_hex(32)).encode()
        self.name = _NAME
        self.urls: dict[str, str] = {}
        self._most_bytes = most_bytes
        self._receiving = 0  # bytes of uploads that are not finished
        # Uploads that were not finished when the emulator ended are in no row.
        self.files.keep_only({row["file"] for row in database.all("SELECT file FROM objects")})

    # --- signed addresses ---------------------------------------------------------------------------

    def upload_url(
        self, key: str, content_type: str, *, public: bool, scheme: str
    ) -> tuple[str, float]:
        """Return the address of the upload form, with its fields as the query, and the time it expires."""
        now = self._clock.time()
        expires = now + _UPLOAD_SECONDS
        day = _moment(now)
        fields = {
            "Content-Type": content_type,
            "Expires": http_date(expires),
            "acl": "public-read" if public else "authenticated-read",
            "key": key,
            "success_action_status": "201",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"EMULATOR/{day[:8]}/us-east-1/s3/aws4_request",
            "x-amz-date": day,
        }
        policy = base64.b64encode(
            json.dumps(
                {
                    "expiration": iso_time(expires),
                    "conditions": [
                        {"bucket": self.name},
                        *({name: value} for name, value in fields.items()),
                        ["content-length-range", 0, MOST_BYTES],
                    ],
                }
            ).encode()
        ).decode()
        signed = {**fields, "policy": policy, "x-amz-signature": self._sign(policy)}
        return (
            f"{self._address(scheme)}?{urlencode(sorted(signed.items()), quote_via=quote)}",
            expires,
        )

    def download_url(self, key: str, *, scheme: str) -> str:
        """Return a link to an object that needs no other credentials and is valid for a week."""
        day = _moment(self._clock.time())
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": day,
            "X-Amz-Expires": str(_DOWNLOAD_SECONDS),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": self._sign(f"GET {key} {day} {_DOWNLOAD_SECONDS}"),
        }
        return f"{self._address(scheme)}/{key}?{urlencode(query, quote_via=quote)}"

    def _address(self, scheme: str) -> str:
        return f"{self.urls[scheme]}/{self.name}"

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    # --- uploads ------------------------------------------------------------------------------------

    def check_form(self, fields: Mapping[str, str]) -> int:
        """Check the fields of an upload against their policy; return the largest size it allows."""
        for name in ("key", "policy", "x-amz-signature"):
            if name not in fields:
                raise S3Error(403, "AccessDenied", f"The form has no field {name}")
        if not hmac.compare_digest(
            self._sign(fields["policy"]).encode(),
            fields["x-amz-signature"].encode("utf-8", "surrogatepass"),
        ):
            raise S3Error(403, "SignatureDoesNotMatch", "The policy's signature is wrong")
        policy = _read_policy(fields["policy"])
        expires = datetime.fromisoformat(policy["expiration"].replace("Z", "+00:00")).timestamp()
        if expires <= self._clock.time():
            raise _against_policy("Policy expired.")
        return self._check_conditions(policy["conditions"], fields)

    def _check_conditions(self, conditions: list[Any], fields: Mapping[str, str]) -> int:
        most = MOST_BYTES
        expected: dict[str, Any] = {}
        for condition in conditions:
            if isinstance(condition, AnyDict):
                expected.update(condition)
            else:
                most = int(condition[2])
        expected.pop("bucket")
        for name, value in expected.items():
            if fields.get(name) != value:
                raise _against_policy(f"Policy Condition failed: {name} must be {value!r}")
        for name in fields.keys() - expected.keys() - _NOT_IN_POLICY:
            if not name.startswith("x-ignore-"):
                raise _against_policy(f"Extra input fields: {name}")
        return most

    def reserve(self, size: int) -> None:
        """Count bytes of an upload, or with a negative size forget them; refuse it if no room is left."""
        self._receiving += size
        row = self._db.one("SELECT coalesce(sum(size), 0) AS total FROM objects")
        if size > 0 and row is not None and row["total"] + self._receiving > self._most_bytes():
            raise S3Error(
                507, "InsufficientStorage", "No room for more: see the switch files_bytes"
            )

    def keep(self, key: str, stored: StoredObject) -> None:
        """Make a written file the object of a key, in place of an older object."""
        # The row first, then the old bytes: a kill between the two leaves a file that no row names, and
        # the next start removes it.
        before = self.object(key)
        values = {
            "key": key,
            "file": stored.file,
            "size": stored.size,
            "etag": stored.etag,
            "content_type": stored.content_type,
            "public": stored.public,
        }
        self._db.insert("objects", values, verb="INSERT OR REPLACE")
        if before is not None:
            self.files.delete(before.file)

    def location(self, key: str, *, scheme: str) -> str:
        """Return the address of an object."""
        return f"{self._address(scheme)}/{key}"

    # --- objects ------------------------------------------------------------------------------------

    def object(self, key: str) -> StoredObject | None:
        """Return the object of a key."""
        row = self._db.one("SELECT * FROM objects WHERE key = ?", key)
        return None if row is None else self._stored(row)

    def _stored(self, row: Row) -> StoredObject:
        return StoredObject(
            file=row["file"],
            size=row["size"],
            etag=row["etag"],
            content_type=row["content_type"],
            public=bool(row["public"]),
        )

    def delete(self, key: str) -> None:
        """Delete the object of a key, if there is one."""
        stored = self.object(key)
        if stored is not None:  # in the same order as in ``keep``
            self._db.run("DELETE FROM objects WHERE key = ?", key)
            self.files.delete(stored.file)

    def readable(self, key: str, query: Mapping[str, str]) -> StoredObject:
        """Return the object of a key if it is public, or if the query is that of a valid link."""
        stored = self.object(key)
        signature = query.get("X-Amz-Signature")
        if signature is None:
            if stored is None or not stored.public:
                raise S3Error(403, "AccessDenied", "Access Denied")
            return stored
        day, lifetime = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        if not hmac.compare_digest(
            self._sign(f"GET {key} {day} {lifetime}").encode(),
            signature.encode("utf-8", "surrogatepass"),
        ):
            raise S3Error(403, "SignatureDoesNotMatch", "The link's signature is wrong")
        made = datetime.strptime(day, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        if made.timestamp() + int(lifetime) <= self._clock.time():
            raise S3Error(403, "AccessDenied", "Request has expired")
        if stored is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        return stored


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y%m%dT%H%M%SZ}"


def _read_policy(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise S3Error(400, "InvalidPolicyDocument", "The policy is no JSON") from None
    assert isinstance(policy, AnyDict)  # the policy has the signature of this bucket
    return policy


def _against_policy(message: str) -> S3Error:
    return S3Error(403, "AccessDenied", f"Invalid according to Policy: {message}")
