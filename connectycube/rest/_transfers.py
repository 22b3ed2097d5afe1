"""Files in transfer: a form that is read while it is sent, and writers that take a download in pieces."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from types import TracebackType
from typing import IO, Any

from .._checks import check_callable
from .._containers import AnyPath
from .._secrets import Secret
from ..errors import ArgumentTypeError, ArgumentValueError

__all__ = ["FileWriter", "Form", "MemoryWriter", "PathWriter", "Progress", "opened"]

Progress = Callable[[int, "int | None"], None]
"""Called as ``progress(done, size)``, in bytes; the size is None if it is not known."""

_PIECE_BYTES = 65_536
Source = tuple[IO[bytes], int, "str | None"]


@contextlib.contextmanager
def opened(source: Any) -> Generator[Source]:
    """Open a source as a file, with the number of its bytes and its name, if it has one.

    Raises:
        ArgumentTypeError: The source is of another type.
        ArgumentValueError: The source cannot seek.
        OSError: The source cannot be read.
    """
    if isinstance(source, memoryview):
        source = source.tobytes()
    if isinstance(source, (bytes, bytearray)):
        content = bytes(source)
        yield io.BytesIO(content), len(content), None
    elif isinstance(source, (str, AnyPath)):
        with open(source, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            yield stream, size, os.path.basename(os.fsdecode(source))
    elif hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        check_callable("source.read", source.read, "size")
        name = getattr(source, "name", None)
        base = os.path.basename(name) if isinstance(name, str) else None
        yield source, _left_in(source), base or None
    else:
        kind = type(source).__name__
        raise ArgumentTypeError(f"source must be a path, bytes or a binary file, not {kind}")


def _left_in(source: IO[bytes]) -> int:
    try:
        here = source.tell()
        end = source.seek(0, os.SEEK_END)
        source.seek(here)
    except (AttributeError, OSError, ValueError):  # io.UnsupportedOperation is both of the latter
        raise ArgumentValueError(
            "source must be able to seek: its size is needed first (or pass its bytes)"
        ) from None
    return max(0, int(end) - int(here))


class Form:
    """A multipart form (RFC 7578) whose last field is a file; a request's body that can be read once.

    ``failure`` is the error that reading the file, or ``progress``, raised.
    """

    def __init__(
        self,
        fields: Secret,
        name: str,
        content_type: str,
        stream: IO[bytes],
        size: int,
        progress: Progress | None,
    ) -> None:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{value}\r\n'
            for field, value in fields.open().items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        )
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.failure: Exception | None = None
        self._head = io.BytesIO("".join(parts).encode())
        self._tail = io.BytesIO(f"\r\n--{boundary}--\r\n".encode())
        self._stream, self._size, self._sent = stream, size, 0
        self._length = len(self._head.getvalue()) + size + len(self._tail.getvalue())
        self._progress = progress

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE_BYTES):
            yield piece

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, of at most ``size`` bytes; empty at the end."""
        most = size if size > 0 else _PIECE_BYTES
        return self._head.read(most) or self._of_file(most) or self._tail.read(most)

    def _of_file(self, most: int) -> bytes:
        left = self._size - self._sent
        if not left:
            return b""
        try:
            piece: object = self._stream.read(min(most, left))
            if not isinstance(piece, bytes):
                kind = type(piece).__name__
                raise ArgumentTypeError(f"source must give bytes when it is read, not {kind}")
            if not piece:
                raise ArgumentValueError(
                    f"source ended after {self._sent} bytes; it had {self._size}"
                )
            self._sent += len(piece)
            if self._progress is not None:
                self._progress(self._sent, self._size)
        except Exception as error:
            self.failure = error
            raise
        return piece


def _quoted(name: str) -> str:
    """Quote a name in a header of a form the way browsers do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


class _Counting:
    """Counts the bytes of a download, and reports them to ``progress``."""

    def __init__(self, progress: Progress | None) -> None:
        self.received = 0
        self._progress = progress
        self._size: int | None = None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Read the size, if the response says it."""
        text = headers.get("Content-Length", "")
        self._size = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        self._take(piece)
        self.received += len(piece)
        if self._progress is not None:
            self._progress(self.received, self._size)

    def _take(self, piece: bytes) -> None:
        raise NotImplementedError


class MemoryWriter(_Counting):
    """Keeps a download in memory, up to ``most`` bytes."""

    def __init__(self, progress: Progress | None, most: int) -> None:
        super().__init__(progress)
        self._most = most
        self._taken = bytearray()

    def _take(self, piece: bytes) -> None:
        if self.received + len(piece) > self._most:
            raise ArgumentValueError(
                f"file has more than {self._most} bytes: give a path or a file in `to`"
            )
        self._taken += piece

    def content(self) -> bytes:
        """Return the whole download."""
        return bytes(self._taken)


class FileWriter(_Counting):
    """Writes a download to a file that the application opened."""

    def __init__(self, target: IO[bytes], progress: Progress | None) -> None:
        super().__init__(progress)
        self._target = target

    def _take(self, piece: bytes) -> None:
        self._target.write(piece)


class PathWriter(_Counting):
    """Writes a download beside a path, and moves it there once it is complete; a context manager."""

    def __init__(self, path: str | os.PathLike[str], progress: Progress | None) -> None:
        super().__init__(progress)
        self._path: str = os.path.abspath(os.fspath(path))
        self._partial = f"{self._path}.{secrets.token_hex(8)}.part"
        self._file = open(self._partial, "xb")  # noqa: SIM115

    def _take(self, piece: bytes) -> None:
        self._file.write(piece)

    def finish(self) -> None:
        """Move the complete file to its path."""
        self._file.close()
        os.replace(self._partial, self._path)

    def __enter__(self) -> PathWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._partial)
