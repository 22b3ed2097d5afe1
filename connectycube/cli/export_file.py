"""A file of messages that is written in pieces, and is gone on with after the writer was killed.

Beside ``FILE`` stands ``FILE.resume``, which says how far it was: the length of what is whole, and the last
messages in it. It is written after what it tells of is on the disk, so that it never says too much; what a
killed writer left behind that length is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from attrs import define, field, frozen

from connectycube import Message

from .failure import Failure
from .file_lock import try_to_lock
from .formats import Format

__all__ = ["ExportFile"]

_TRY_LATER = 7
_EVERY = 1000  # messages


@frozen(kw_only=True)
class _Place:
    """How far the file is: one value, so that an interruption finds the old one or the new one."""

    end: int = 0
    """The length of what is whole, in bytes."""
    count: int = 0
    last: datetime | None = None
    """The date of the last message."""
    ids: frozenset[str] = frozenset()
    """The ids of the messages of that second: history is asked for by seconds."""
    last_id: str | None = None
    """The id of the last message, where a list is asked for by ids."""

    def after(self, message: Message, size: int) -> _Place:
        """Return the place after a message of so many bytes."""
        at, ids = message.date_sent, frozenset((message.id or "",))
        if at is None or _second(at) == _second(self.last):
            ids |= self.ids
        return _Place(
            end=self.end + size,
            count=self.count + 1,
            last=at or self.last,
            ids=ids,
            last_id=message.id,
        )

    def has(self, message: Message) -> bool:
        """Return whether a message is in the file; the messages come in the order of their dates."""
        at = message.date_sent
        return (at is None or _second(at) == _second(self.last)) and message.id in self.ids


def _second(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(microsecond=0)


@define(kw_only=True)
class ExportFile:
    """The file, and how far it is.

    Args:
        path: The file.
        format: Makes the text of a message, and what stands before the first and behind the last.
        what: What is exported; another export must not go on with the file.
    """

    path: Path
    format: Format
    what: dict[str, Any]
    _place: _Place = _Place()
    _unsaved: int = 0
    _file: BinaryIO = field(init=False)

    @property
    def count(self) -> int:
        """The messages in the file."""
        return self._place.count

    @property
    def last(self) -> datetime | None:
        """The date of the last message in the file."""
        return self._place.last

    @property
    def last_id(self) -> str | None:
        """The id of the last message in the file."""
        return self._place.last_id

    @property
    def note(self) -> Path:
        """The file that says how far it is."""
        return self.path.with_name(f"{self.path.name}.resume")

    @contextmanager
    def opened(self, *, resume: bool, overwrite: bool) -> Generator[ExportFile]:
        """Open the file: a new one, or the one that is gone on with.

        The place is noted when the block ends, however it ends, and the end of the document is written if it
        ends well. With ``resume`` the note stays, for the messages to come.
        """
        known = self._known() if resume else None
        if known is None and self.path.exists() and not overwrite:
            raise self._refusal(resume=resume)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as self._file:
            self._lock()
            if known is None:
                self.note.unlink(missing_ok=True)
                self._file.truncate(0)
                self._place = _Place(end=self._write(self.format.head))
            else:
                self._go_on(known)
            self._save()
            try:
                yield self
            finally:
                self._save()
            self._file.write(self.format.foot.encode())
        if not resume:
            self.note.unlink(missing_ok=True)

    def add(self, message: Message) -> None:
        """Write a message, unless it is in the file already."""
        if self._place.has(message):
            return
        self._place = self._place.after(message, self._write(self.format.text(message)))
        self._unsaved += 1
        if self._unsaved >= _EVERY:
            self._save()

    def _write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "replace"))

    def _lock(self) -> None:
        if not try_to_lock(self._file):
            raise Failure(f"another export writes {self.path}", _TRY_LATER)

    def _save(self) -> None:
        """Note how far the file is, after that much is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        place = self._place
        note = {
            **self.what,
            "bytes": place.end,
            "messages": place.count,
            "last": place.last.isoformat() if place.last is not None else None,
            "ids": sorted(place.ids),
            "last_id": place.last_id,
        }
        beside = self.note.with_name(f"{self.note.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(note, file)
        beside.replace(self.note)
        self._unsaved = 0

    # --- going on -------------------------------------------------------------------------------

    def _known(self) -> dict[str, Any] | None:
        """Return the note of the earlier export; None if there was none."""
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
            found = {key: known[key] for key in self.what}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise Failure(f"{self.note} is damaged: move it and {self.path.name} away") from None
        if found != self.what:
            text = ", ".join(f"{key} {value}" for key, value in found.items() if value is not None)
            raise Failure(f"{self.path} is the export of another history ({text})", 2)
        return dict(known)

    def _refusal(self, *, resume: bool) -> Failure:
        if resume:
            return Failure(
                f"{self.path} is there without {self.note.name}, so it is complete, or not of this command: "
                "name another file, or use --overwrite",
                2,
            )
        if self.note.exists():
            return Failure(f"{self.path} is not complete: use --resume, or --overwrite", 2)
        return Failure(f"{self.path} is there already: use --overwrite, or name another file", 2)

    def _go_on(self, known: dict[str, Any]) -> None:
        self._place = _Place(
            end=int(known["bytes"]),
            count=int(known["messages"]),
            last=datetime.fromisoformat(known["last"]) if known["last"] else None,
            ids=frozenset(known["ids"]),
            last_id=known.get("last_id"),
        )
        if os.fstat(self._file.fileno()).st_size < self._place.end:
            raise Failure(f"{self.path} is shorter than {self.note.name} says: use --overwrite")
        self._file.truncate(self._place.end)
        self._file.seek(self._place.end)
