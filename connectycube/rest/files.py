"""Files: uploaded and downloaded without being held in memory. (Guide: Attachments.)"""

from __future__ import annotations

import logging
import mimetypes
import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, overload
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from attrs import evolve

from .._checks import check_bool, check_callable, check_id, check_int, check_str
from ..errors import ApiError, ArgumentTypeError, ArgumentValueError
from ..models import File, Page
from ._api import Api
from ._http import CallDeadline, Response
from ._response import read_object, read_page, unexpected
from ._transfers import FileWriter, Form, MemoryWriter, PathWriter, Progress, opened

__all__ = ["Files"]

_PATH = ("blobs",)
_MOST_BYTES = 104_857_600
_LONGEST_NAME = 100
_PAGE = 100
_CLEAN_UP_SECONDS = 10.0
_UNKNOWN_TYPE = "application/octet-stream"
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( ?;[ \w!#$&^.+=\"-]+)*", re.ASCII)

_log = logging.getLogger("connectycube.rest")


class Files:
    """The files of the session's user; every method may be called from any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def upload(
        self,
        source: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        name: str | None = None,
        content_type: str | None = None,
        public: bool = False,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> File:
        """Upload a file, read piece by piece, and return it.

        ``source`` is a path, bytes, or a binary file that can seek, read from where it stands. ``name`` (1
        to 100 characters) is by default the file's own; bytes need one. ``content_type`` is guessed from the
        name. A ``public`` file can be read by anybody who has its uid. ``progress(sent, size)`` is called in
        this thread, with bytes. At most 100 MB. ``timeout`` is seconds for all of it, by default
        ``Timeouts.rest_transfer``. When it fails, or is interrupted, the file is deleted at the service.

        Raises ArgumentTypeError, ArgumentValueError, OSError from reading, ApiError, and what ``progress``
        raises. Source: server API, "File upload flow".
        """
        check_bool("public", public)
        if progress is not None:
            check_callable("progress", progress)
        with opened(source) as (stream, size, own_name):
            name = _a_name(own_name if name is None else name)
            kind = _a_content_type(content_type, name)
            if size > _MOST_BYTES:
                raise ArgumentValueError(
                    f"source has {size} bytes; at most {_MOST_BYTES} are allowed"
                )
            deadline = self._deadline(timeout)
            blob: dict[str, Any] = {"content_type": kind, "name": name}
            if public:
                blob["public"] = True
            response = self._api.call("POST", _PATH, body={"blob": blob}, timeout=deadline)
            made = self._read(response)
            try:
                url, fields = _upload_form(response, made)
                form = Form(fields, name, kind, stream, size, progress)
                self._send(url, form, deadline)
                self._complete(made, size, deadline)
            except BaseException:
                self._clean_up(made)
                raise
        return evolve(made, size=size, access=None)

    def get(self, file: int | File, *, timeout: float | None = None) -> File:
        """Return what the service knows of a file, given as its id or itself.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Get information about file by ID".
        """
        return self._read(self._api.call("GET", _record(file), timeout=timeout))

    def get_by_uid(self, file: str | File, *, timeout: float | None = None) -> File:
        """Return what the service knows of a file, given as its uid or itself, with its ``download_url``.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Get file object by UID".
        """
        path = (*_PATH, _a_uid(file), "object")
        query = [("download_url", 1)]
        return self._read(self._api.call("GET", path, query=query, timeout=timeout))

    def list(
        self,
        *,
        page: int | None = None,
        per_page: int | None = None,
        timeout: float | None = None,
    ) -> Page[File]:
        """Return one page of the user's files.

        ``page`` counts from 1; ``per_page`` is at most 100, by default 10. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError. Source: server API, "Get files list".
        """
        query = []
        if page is not None:
            query.append(("page", check_int("page", page, least=1)))
        if per_page is not None:
            query.append(("per_page", check_int("per_page", per_page, least=1, most=_PAGE)))
        return read_page(self._api.call("GET", _PATH, query=query, timeout=timeout), File.from_json)

    def iter(self, *, timeout: float | None = None) -> Iterator[File]:
        """Yield all files of the user, a page at a time, none of them twice.

        Where files are deleted meanwhile, as many may be left out: the service counts pages from the
        beginning. ``timeout`` is seconds for each page. Raises ApiError.
        """
        number, seen = 1, set()
        before: list[int | None] = []
        while page := self.list(page=number, per_page=_PAGE, timeout=timeout):
            ids = [file.id for file in page]
            if ids == before:  # the same again, whatever page is asked for
                return
            for file in page:
                if file.id not in seen:
                    seen.add(file.id)
                    yield file
            number, before = number + 1, ids

    def update(
        self,
        file: int | File,
        *,
        name: str | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> File:
        """Change a file's name or content type, and return it.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Edit a file".
        """
        path, changes = _record(file), {}
        if content_type is not None:
            changes["content_type"] = _a_content_type(content_type, "")
        if name is not None:
            changes["name"] = _a_name(name)
        if not changes:
            raise ArgumentValueError("nothing to update: give name or content_type")
        return self._read(self._api.call("PUT", path, body={"blob": changes}, timeout=timeout))

    def delete(self, file: int | File, *, timeout: float | None = None) -> None:
        """Delete a file, given as its id or itself.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Delete a file".
        """
        self._api.call("DELETE", _record(file), timeout=timeout)

    @overload
    def download(
        self,
        file: str | File,
        *,
        to: None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> bytes: ...

    @overload
    def download(
        self,
        file: str | File,
        *,
        to: str | os.PathLike[str] | IO[bytes],
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> int: ...

    def download(
        self,
        file: str | File,
        *,
        to: str | os.PathLike[str] | IO[bytes] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> bytes | int:
        """Download a file, given as its uid or itself: return its content, or write it and return its size.

        ``to`` is a path or a binary file. At a path there is the whole file or none: what was there before
        stays until all has come. ``progress(received, size)`` is called in this thread, with bytes; size is
        None where it is not known. ``timeout`` is seconds for all of it, by default
        ``Timeouts.rest_transfer``.

        Raises ArgumentTypeError, ArgumentValueError, NotFoundError, OSError from writing, ApiError, and what
        ``progress`` raises. Source: server API, "Download file by UID".
        """
        path = (*_PATH, _a_uid(file), "download")
        if progress is not None:
            check_callable("progress", progress)
        deadline = self._deadline(timeout)
        if to is None:
            memory = MemoryWriter(progress, _MOST_BYTES)
            self._api.download(path, memory, deadline)
            return memory.content()
        if isinstance(to, (str, os.PathLike)):
            with PathWriter(to, progress) as target:
                self._api.download(path, target, deadline)
                target.finish()
            return target.received
        if not hasattr(to, "write"):
            raise ArgumentTypeError(f"to must be a path or a binary file, not {type(to).__name__}")
        writer = FileWriter(to, progress)
        self._api.download(path, writer, deadline)
        return writer.received

    def private_url(self, file: str | File) -> str:
        """Return a URL of a file that holds the session's token, and works as long as the session does.

        Whoever has it can act as the user. Raises ArgumentTypeError, ArgumentValueError if there is no
        session. Guide: ``getPrivateUrlForUid``.
        """
        uid = _a_uid(file)
        session = self._api.live_session()
        if session is None or session.token is None:
            raise ArgumentValueError(
                "there is no session, so file has no private URL: log in first"
            )
        return self._api.url((*_PATH, uid), [("token", session.token)])

    def public_url(self, file: str | File) -> str:
        """Return the URL at which a public file can be read by anybody.

        Raises ArgumentTypeError, ArgumentValueError. Guide: ``getPublicUrlForUid``.
        """
        return self._api.url((*_PATH, _a_uid(file)))

    def _deadline(self, timeout: float | None) -> CallDeadline:
        if timeout is not None:
            return self._api.deadline(timeout)
        times = self._api.config.timeouts
        return CallDeadline(times.rest_transfer, silence=times.rest_read)

    def _send(self, url: str, form: Form, deadline: CallDeadline) -> None:
        try:
            self._api.post_form(url, form.content_type, form, deadline)
        except ApiError as error:
            if form.failure is not None:  # the source's error, or the application's own
                raise form.failure from error
            raise

    def _complete(self, file: File, size: int, deadline: CallDeadline) -> None:
        path = (*_record(file), "complete")
        self._api.call("PUT", path, body={"blob": {"size": size}}, timeout=deadline)

    def _clean_up(self, file: File) -> None:
        """Delete what an upload began; its own failure is the smaller one."""
        try:
            self.delete(file, timeout=_CLEAN_UP_SECONDS)
        except ApiError as error:
            _log.warning("file %s of a failed upload was not deleted: %s", file.id, error)

    def _read(self, response: Response) -> File:
        file = File.from_json(read_object(response))
        if file.id is None or file.id < 1:
            raise unexpected(response, "there is no file in it")
        return file


def _record(file: object) -> tuple[str, ...]:
    number = file.id if isinstance(file, File) else file
    return (*_PATH, str(check_int("file", number, least=1)))


def _a_uid(file: object) -> str:
    return check_id("file", file.uid if isinstance(file, File) else file)


def _a_name(name: object) -> str:
    if name is None:
        raise ArgumentValueError("name is missing: the source has none of its own")
    text = check_str("name", name, longest=_LONGEST_NAME)
    if not text.isprintable():
        raise ArgumentValueError("name holds characters that cannot be printed")
    return text


def _a_content_type(content_type: object, name: str) -> str:
    if content_type is None:
        guessed, encoding = mimetypes.guess_type(name, strict=False)
        return guessed if guessed is not None and encoding is None else _UNKNOWN_TYPE
    text = check_str("content_type", content_type)
    if not _MIME_TYPE.fullmatch(text):
        raise ArgumentValueError(f"content_type is not a MIME type: {text!r}")
    return text


def _upload_form(response: Response, file: File) -> tuple[str, Mapping[str, str]]:
    """Return where the content goes and the fields of the form, as the service wrote them into one URL."""
    text = (file.access or {}).get("params")
    if not isinstance(text, str):
        raise unexpected(response, "it does not say where the content goes")
    try:
        text.encode()  # JSON can hold halves of characters, which nothing else can
        parts = urlsplit(text)
    except ValueError:
        raise unexpected(response, "where the content goes is not a URL") from None
    url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", ""))
    return url, dict(parse_qsl(parts.query, keep_blank_values=True))
