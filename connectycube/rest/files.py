"""Files: upload, download, list, change and delete them, in pieces. (Guide: Attachments.)"""

from __future__ import annotations

import logging
import mimetypes
import os
import re
from collections.abc import Iterator
from typing import IO, overload
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from attrs import evolve

from .._checks import check_bool, check_callable, check_id, check_int, check_str
from .._not_copied import NotCopied
from .._secrets import Secret, confined
from ..errors import ApiError, ArgumentTypeError, ArgumentValueError
from ..models import File, Page
from ._api import Api
from ._http import CallDeadline, Response
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, rows_of
from ._response import read_page, read_record, unexpected
from ._transfers import FileWriter, Form, MemoryWriter, PathWriter, Progress, opened

__all__ = ["Files"]

_PATH = ("blobs",)
_MOST_BYTES = 104_857_600
_LONGEST_NAME = 100
_CLEAN_UP_SECONDS = 10.0
_UNKNOWN_TYPE = "application/octet-stream"
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( ?;[ \w!#$&^.+=\"-]+)*", re.ASCII)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_log = logging.getLogger("connectycube.rest")


class Files(NotCopied):
    """The files of the session's user; every method may be called from any thread.

    Example:
        >>> file = cube.files.upload(b"three apples", name="note.txt", content_type="text/plain")
        >>> cube.files.download(file)
        b'three apples'
    """

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
        """Upload a file piece by piece. (Server API: File upload flow.)

        If the upload fails or is interrupted, the file is deleted at the service.

        Args:
            source: A path, bytes, or a binary file that can seek, which is read from its current
                position. At most 100 MB.
            name: The name, 1 to 100 characters without control characters; by default the file's own. Bytes
                need one.
            content_type: The MIME type; by default it is guessed from the name.
            public: True lets anybody read the file who knows its uid.
            progress: Called in this thread as ``progress(sent, size)``, in bytes; an error that it
                raises ends the upload.
            timeout: Seconds for the whole upload; by default ``Timeouts.rest_transfer``.

        Returns:
            The file, with its id and uid.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            OSError: The source could not be read.
            ApiError: The call failed; a subclass says how.
            Exception: ``progress`` raised it.
        """
        check_bool("public", public)
        if progress is not None:
            check_callable("progress", progress, "sent", "size")
        with opened(source) as (stream, size, own_name):
            name = _check_name(own_name if name is None else name)
            kind = _check_content_type(content_type, name)
            if size > _MOST_BYTES:
                raise ArgumentValueError(
                    f"source has {size} bytes; at most {_MOST_BYTES} are allowed"
                )
            deadline = self._deadline(timeout)
            blob: dict[str, object] = {"content_type": kind, "name": name}
            if public:
                blob["public"] = True
            response = self._api.call("POST", _PATH, body={"blob": blob}, timeout=deadline)
            made = self._read(response)
            try:
                url, fields = _upload_form(self._api, response, made)
                form = Form(fields, name, kind, stream, size, progress)
                self._send(url, form, deadline, fields)
                path, complete = (*_record(made), "complete"), {"blob": {"size": size}}
                self._api.call("PUT", path, body=complete, timeout=deadline)
            except BaseException:
                self._clean_up(made)
                raise
        return evolve(made, size=size, access=None)

    def get(self, file: int | File, *, timeout: float | None = None) -> File:
        """Return the service's record of a file. (Server API: Get information about file by ID.)

        Args:
            file: The file, as its id or a File.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The file.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such file.
            ApiError: The call failed; a subclass says how.
        """
        return self._read(self._api.call("GET", _record(file), timeout=timeout))

    def get_by_uid(self, file: str | File, *, timeout: float | None = None) -> File:
        """Return the service's record of a file, with its ``download_url``.

        (Server API: Get file object by UID.)

        Args:
            file: The file, as its uid or a File.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The file.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such file.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, _check_uid(file), "object")
        query = [("download_url", 1)]
        return self._read(self._api.call("GET", path, query=query, timeout=timeout))

    def list(
        self,
        *,
        page: int | None = None,
        per_page: int | None = None,
        timeout: float | None = None,
    ) -> Page[File]:
        """Return one page of the user's files. (Server API: Get files list.)

        Args:
            page: The number of the page, from 1.
            per_page: The number of files on a page, at most 100; by default 10.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The page.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query: list[tuple[str, str | int]] = []
        if page is not None:
            query.append(("page", check_int("page", page, least=1)))
        if per_page is not None:
            query.append(("per_page", check_int("per_page", per_page, least=1, most=PAGE_SIZE)))
        return read_page(self._api.call("GET", _PATH, query=query, timeout=timeout), File.from_json)

    def iter(self, *, timeout: float | None = None) -> Iterator[File]:
        """Yield all files of the user, each once; pages are requested as they are needed.

        Files may be added and deleted while pages are read: pages overlap, so none of the rest is left out.
        After an error, the next step asks for the page again.

        Args:
            timeout: Seconds for each page; by default those of ``Config.timeouts``.

        Returns:
            An iterator over the files; nothing is sent before its first step.

        Raises:
            ApiError: A call failed; raised while iterating.
        """

        def fetch(span: Span) -> Page[Row[File]]:
            number, per_page = _page_with(span)
            page = self.list(page=number, per_page=per_page, timeout=timeout)
            begin = (number - 1) * per_page if page.skip is None else page.skip
            before = max(0, span.position - begin)
            limit = per_page if page.limit is None and len(page) == per_page else page.limit
            behind = evolve(
                page, items=page.items[before:], limit=None if limit is None else limit - before
            )
            return rows_of(behind, lambda file: file.id)

        return Items([PageReader(fetch, PAGE_SIZE, url=self._api.url(_PATH))])

    def update(
        self,
        file: int | File,
        *,
        name: str | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> File:
        """Change a file's name or content type. (Server API: Edit a file.)

        Args:
            file: The file, as its id or a File.
            name: The new name, 1 to 100 characters.
            content_type: The new MIME type.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The file, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or there is nothing to change.
            NotFoundError: There is no such file.
            ApiError: The call failed; a subclass says how.
        """
        path = _record(file)
        changes: dict[str, object] = {}
        if content_type is not None:
            changes["content_type"] = _check_content_type(content_type, "")
        if name is not None:
            changes["name"] = _check_name(name)
        if not changes:
            raise ArgumentValueError("nothing to update: give name or content_type")
        return self._read(self._api.call("PUT", path, body={"blob": changes}, timeout=timeout))

    def delete(self, file: int | File, *, timeout: float | None = None) -> None:
        """Delete a file. (Server API: Delete a file.)

        Args:
            file: The file, as its id or a File.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such file.
            ApiError: The call failed; a subclass says how.
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
        """Download a file piece by piece. (Server API: Download file by UID.)

        At a path there is the whole file or none: a file that was there before stays until the download is
        complete.

        Args:
            file: The file, as its uid or a File.
            to: A path, or a binary file to write to; None returns the content.
            progress: Called in this thread as ``progress(received, size)``, in bytes; the size is None
                if it is not known. An error that it raises ends the download.
            timeout: Seconds for the whole download; by default ``Timeouts.rest_transfer``.

        Returns:
            The content, or its size in bytes if ``to`` is given.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or the content is too large for memory
                (100 MB).
            NotFoundError: There is no such file.
            OSError: The file could not be written.
            ApiError: The call failed; a subclass says how.
            Exception: ``progress`` raised it.
        """
        path = (*_PATH, _check_uid(file), "download")
        if progress is not None:
            check_callable("progress", progress, "received", "size")
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
        check_callable("to.write", to.write, "data")
        writer = FileWriter(to, progress)
        self._api.download(path, writer, deadline)
        return writer.received

    def private_url(self, file: str | File) -> str:
        """Return a URL of a file that works as long as the session does. (Guide: getPrivateUrlForUid.)

        It holds the session's token: anybody who has the URL can act as the user.

        Args:
            file: The file, as its uid or a File.

        Returns:
            The URL.

        Raises:
            ArgumentTypeError: ``file`` has the wrong type.
            ArgumentValueError: ``file`` has a wrong value, or there is no session.
            ApiError: The session had expired and could not be renewed.
        """
        uid = _check_uid(file)
        session = self._api.live_session()
        if session is None or session.token is None:
            raise ArgumentValueError(
                "there is no session, so file has no private URL: call cube.login(login=…, password=…) first"
            )
        return self._api.url((*_PATH, uid), [("token", session.token)])

    def public_url(self, file: str | File) -> str:
        """Return the URL at which anybody can read a public file. (Guide: getPublicUrlForUid.)

        Args:
            file: The file, as its uid or a File.

        Returns:
            The URL.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
        """
        return self._api.url((*_PATH, _check_uid(file)))

    def _deadline(self, timeout: float | None) -> CallDeadline:
        if timeout is not None:
            return self._api.deadline(timeout)
        times = self._api.config.timeouts
        return CallDeadline(times.rest_transfer, silence=times.rest_read)

    def _send(self, url: str, form: Form, deadline: CallDeadline, fields: Secret) -> None:
        try:
            self._api.post_form(url, form.content_type, form, deadline, fields)
        except ApiError as error:
            if form.failure is not None:  # the source's error, or the application's own
                raise form.failure from error
            raise

    def _clean_up(self, file: File) -> None:
        """Delete the file of a failed upload; if that fails too, the first failure matters more."""
        try:
            self.delete(file, timeout=_CLEAN_UP_SECONDS)
        except ApiError as error:
            _log.warning("file %s of a failed upload was not deleted: %s", file.id, error)

    def _read(self, response: Response) -> File:
        return read_record(response, File.from_json)


def _page_with(span: Span) -> tuple[int, int]:
    """Return number and size of the page that reaches furthest behind a position and holds it.

    The service counts in whole pages, so a page that overlaps the one before has another size: behind 100
    files, page 2 of 99 begins with the last of them.
    """
    size = max(
        range(1, span.limit + 1), key=lambda size: (span.position // size * size + size, size)
    )
    return span.position // size + 1, size


def _record(file: object) -> tuple[str, ...]:
    number = file.id if isinstance(file, File) else file
    return (*_PATH, str(check_int("file", number, least=1)))


def _check_uid(file: object) -> str:
    return check_id("file", file.uid if isinstance(file, File) else file)


def _check_name(name: object) -> str:
    if name is None:
        raise ArgumentValueError("name is missing: the source has none of its own")
    text = check_str("name", name, longest=_LONGEST_NAME)
    found = _CONTROL.search(text)
    if found:
        raise ArgumentValueError(
            f"name holds the control character U+{ord(found.group()):04X} at position {found.start()}:"
            " give another name"
        )
    return text


def _check_content_type(content_type: object, name: str) -> str:
    if content_type is None:
        guessed, encoding = mimetypes.guess_type(name, strict=False)
        return guessed if guessed is not None and encoding is None else _UNKNOWN_TYPE
    text = check_str("content_type", content_type)
    if not _MIME_TYPE.fullmatch(text):
        raise ArgumentValueError(f"content_type is not a MIME type: {text!r}")
    return text


@confined
def _upload_form(api: Api, response: Response, file: File) -> tuple[str, Secret]:
    """Return the URL for the content and the fields of the form; the service writes both into one URL."""
    text = (file.access or {}).get("params")
    if not isinstance(text, str):
        raise unexpected(response, "it does not say where the content goes")
    try:
        text.encode()  # JSON can hold halves of characters, which nothing else can
        parts = urlsplit(text)
    except ValueError:
        parts = None  # not raised here: the error of Python holds the text
    if parts is None:
        raise unexpected(response, "where the content goes is not a URL")
    url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", ""))
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    return api.safe_url(url, response), Secret(fields)
