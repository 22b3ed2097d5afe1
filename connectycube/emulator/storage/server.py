"""Bucket server: the bucket on a port of its own, so that its origin differs from that of the API."""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import BinaryIO
from xml.sax.saxutils import escape

from aiohttp import BodyPartReader, web
from aiohttp.multipart import MultipartReader
from attrs import evolve

from ..control.exchanges import Exchanges
from ..control.faults import STORAGE, Faults
from ..control.timers import Timers
from ..domain.api_error import ApiError
from ..domain.times import Clock
from ..net import cors
from ..net.access import Access
from ..net.bounds import Bounds
from ..net.http_faults import Dropped, HttpFaults
from ..net.listener import MALFORMED, NOT_SNIFFED, Listener, refusal_of
from ..net.recording import HttpRecord, failure_of, recorded
from .bucket import MOST_BYTES, Bucket, S3Error, StoredObject

__all__ = ["BucketServer"]

_CHUNK = 262_144
# The types that a browser may show. A page, an SVG or a PDF could run a script.
_SHOWN = re.compile(
    r"(image/(png|jpeg|gif|webp|bmp|avif)|audio/[\w.+-]+|video/[\w.+-]+|text/plain)", re.I
)
_MOST_FIELD_BYTES = 20_480
# All fields together, each with the boundary and the head of its part.
_MOST_FORM_BYTES = 40_960
_BYTES_BESIDE_A_FIELD = 100


class BucketServer(Listener):
    """Takes upload forms and serves objects; bytes are copied in pieces between socket and file."""

    holds_bodies = False  # they are written to files

    def __init__(
        self,
        bucket: Bucket,
        timers: Timers,
        faults: Faults,
        access: Access,
        bounds: Bounds,
        *,
        clock: Clock,
        exchanges: Exchanges,
        context: ssl.SSLContext | None = None,
    ) -> None:
        # A browser that the API redirects to the bucket sends no origin (Fetch, 4.4). Such a request reads
        # an object whose address is signed or cannot be guessed.
        super().__init__(faults, STORAGE, timers, evolve(access, null_reads=True), bounds, context)
        self.bucket = bucket
        self._clock = clock
        self._exchanges = exchanges
        self._storage_faults = HttpFaults(faults, STORAGE, timers)

    def most_bytes(self) -> int:
        """Return the size of the largest body of a request: a file and its form."""
        return 2 * MOST_BYTES  # the form refuses a file above MOST_BYTES by its own error

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        now = self._clock.time()
        return await recorded(self._exchanges, STORAGE, request, now, self._respond)

    async def _respond(self, request: web.BaseRequest, _: HttpRecord | None) -> web.StreamResponse:
        try:
            if self.faults.active:
                await self._storage_faults.before(request)
            return await self._answer(request)
        except ApiError as fault:
            return _error(S3Error(fault.status, "InternalError", "A fault of the emulator"))
        except S3Error as refusal:
            return _error(refusal)
        except MALFORMED as error:
            return self.refuse(*refusal_of(error))
        except (Dropped, ConnectionError):  # the second one: the client has closed the connection
            raise
        except Exception as error:  # noqa: BLE001  (an error here must not end the server)
            status, text = failure_of(request, error)
            code = "InsufficientStorage" if status == 507 else "InternalError"
            return _error(S3Error(status, code, text))

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP, or is not accepted."""
        code = "AccessDenied" if status == 403 else "InvalidRequest"
        return _error(S3Error(status, code, text))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        bucket, _, key = request.rel_url.path.lstrip("/").partition("/")
        if bucket != self.bucket.name:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        if request.method == "POST" and not key:
            return await self._upload(request)
        if request.method in ("GET", "HEAD") and key:
            return await self._download(request, key)
        raise S3Error(405, "MethodNotAllowed", "The method is not allowed here")

    # --- upload -------------------------------------------------------------------------------------

    async def _upload(self, request: web.BaseRequest) -> web.Response:
        if request.content_type != "multipart/form-data":
            raise S3Error(412, "PreconditionFailed", "The form must be multipart/form-data")
        try:
            fields, part = await self._fields(await request.multipart())
            most = self.bucket.check_form(fields)
            stored = await self._receive(part, most, fields)
        # aiohttp raises these for a malformed form: a Warning if warnings are errors.
        except (ValueError, AssertionError, RuntimeError, Warning) as error:
            raise S3Error(400, "MalformedPOSTRequest", f"The form: {error}") from None
        self.bucket.keep(fields["key"], stored)
        location = self.bucket.location(fields["key"], scheme=request.scheme)
        await self._apply_delays(request, stored)
        return _uploaded(self.bucket.name, fields["key"], location, stored)

    async def _fields(self, form: MultipartReader) -> tuple[dict[str, str], BodyPartReader]:
        # As with S3, the fields behind the file are not read and count as missing.
        fields: dict[str, str] = {}
        size = 0
        while (part := await form.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise S3Error(400, "MalformedPOSTRequest", "A part of the form has no name")
            if part.name == "file":
                return fields, part
            fields[part.name] = await _text(part)
            size += len(part.name) + len(fields[part.name]) + _BYTES_BESIDE_A_FIELD
            if size > _MOST_FORM_BYTES:
                raise S3Error(
                    400, "MaxPostPreDataLengthExceeded", "The fields before the file are too large"
                )
        raise S3Error(400, "InvalidArgument", "POST requires exactly one file upload")

    async def _receive(
        self, part: BodyPartReader, most: int, fields: dict[str, str]
    ) -> StoredObject:
        file, name = self.bucket.files.create()
        digest, size = hashlib.md5(usedforsecurity=False), 0
        try:
            with file:
                while chunk := await part.read_chunk(_CHUNK):
                    size += len(chunk)
                    if size > most:
                        raise S3Error(400, "EntityTooLarge", "The file is too large")
                    self.bucket.reserve(len(chunk))
                    digest.update(chunk)
                    file.write(chunk)
            if not part.at_eof():
                raise S3Error(400, "IncompleteBody", "The form ended before its file")
        except BaseException:
            self.bucket.files.delete(name)
            raise
        finally:
            self.bucket.reserve(-size)  # a kept object counts by its row
        return StoredObject(
            file=name,
            size=size,
            etag=digest.hexdigest(),
            content_type=fields["Content-Type"],
            public=fields["acl"] == "public-read",
        )

    # --- download -----------------------------------------------------------------------------------

    async def _download(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        if "Authorization" in request.headers:
            raise S3Error(400, "InvalidArgument", "Only one auth mechanism allowed")
        stored = self.bucket.readable(key, request.rel_url.query)
        with self._open(stored) as file:
            response = web.StreamResponse(headers={**_headers(stored), **cors.allowed(request)})
            response.content_length = stored.size
            await self._apply_delays(request, stored)
            await response.prepare(request)
            if request.method == "GET":
                while chunk := file.read(_CHUNK):
                    await response.write(chunk)
            await response.write_eof()
        return response

    def _open(self, stored: StoredObject) -> BinaryIO:
        try:
            return self.bucket.files.open(stored.file)
        except FileNotFoundError:  # another program has deleted the file
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.") from None

    async def _apply_delays(self, request: web.BaseRequest, stored: StoredObject) -> None:
        if self.faults.active:
            await self._storage_faults.after(request, stored.size)


def _headers(stored: StoredObject) -> dict[str, str]:
    """Return the headers of an object. With them no browser runs a script in an uploaded file.

    A page or a script of this origin could use the emulator as its developer. In a sandbox a page has no
    origin, and only types that hold no script are shown at all. (Content Security Policy, section 6.3.)
    """
    headers = {
        **NOT_SNIFFED,
        "Content-Type": stored.content_type,
        "ETag": f'"{stored.etag}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if not _SHOWN.fullmatch(stored.content_type):
        headers["Content-Disposition"] = "attachment"
    return headers


async def _text(part: BodyPartReader) -> str:
    value = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        value += chunk
        if len(value) > _MOST_FIELD_BYTES:
            raise S3Error(400, "MaxPostPreDataLengthExceeded", "A field is too long")
    return value.decode("utf-8")


def _uploaded(bucket: str, key: str, location: str, stored: StoredObject) -> web.Response:
    return _xml(
        201,
        f"<PostResponse><Location>{escape(location)}</Location><Bucket>{bucket}</Bucket>"
        f'<Key>{escape(key)}</Key><ETag>"{stored.etag}"</ETag></PostResponse>',
    )


def _error(refusal: S3Error) -> web.Response:
    response = _xml(
        refusal.status,
        f"<Error><Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message></Error>",
    )
    response.force_close()  # do not wait for the rest of a refused body
    return response


def _xml(status: int, text: str) -> web.Response:
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
    return web.Response(
        status=status,
        body=document.encode("utf-8", "replace"),
        content_type="application/xml",
        charset="utf-8",
    )
