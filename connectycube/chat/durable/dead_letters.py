"""Dead letters: the events that receivers of durable mode have given up, in a file beside the store.

The file is an SQLite database that several processes may use at once: the program that writes it, and those
that list, retry and drop letters. A connection to it lives for one call, so nothing is shared with a child
process.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from typing import Any, TypeAlias

from attrs import frozen

from ..._checks import check_int, check_str
from ..._os_errors import reason_of
from ...errors import ArgumentValueError, DurableStoreError
from ...models import DeadLetter, ReceiverGaveUp
from ..protocol.seen_messages import Key
from .serialization import event_of, text_of

Run: TypeAlias = Callable[..., sqlite3.Cursor]
"""``run(statement, values)`` executes a statement."""

__all__ = ["DeadLetters", "MarkedLetter"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_APPLICATION_ID = 0x43756264
"""A number in the file's header ("Cubd"): a database of another program is recognised by its absence."""
_VERSION = 1
_MOST_LETTERS = 10_000
_MOST_BYTES = 64 * 1024 * 1024
_PATIENCE = 5.0  # seconds to wait for another process that writes
_SUFFIX = ".dead"
_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)  # Windows has no such flag
_MARK = "UPDATE letters SET is_marked = 1"
_REMOVE = "DELETE FROM letters"
_SCHEMA = (
    "CREATE TABLE letters (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,"
    " at REAL NOT NULL, is_marked INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, key TEXT NOT NULL,"
    " failure TEXT NOT NULL)",
    # A search for marked letters, and one for room, reads no event.
    "CREATE INDEX marked ON letters (id) WHERE is_marked",
    "CREATE INDEX sizes ON letters (id, size)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


@frozen
class MarkedLetter:
    """A letter that is marked to be retried, with the key of its event."""

    id: int
    failure: ReceiverGaveUp
    key: Key


class DeadLetters:
    """The dead letters in a file, the oldest first; ``chat.dead_letters()`` returns those of a chat.

    A letter that cannot be read costs itself: its event is None and its ``error`` says why.
    Iterating and ``len()`` read the file at that moment. Every method may be called from any thread of any
    process, also while the program runs whose receivers gave up. At most 10,000 letters or 64 MiB are kept;
    then the oldest are dropped, with a WARNING in the log.

    Args:
        path: The file of dead letters: that of durable mode, and ".dead".

    Raises:
        ArgumentTypeError, ArgumentValueError: ``path`` is no path of a file.

    Example:
        >>> letters = DeadLetters("bot.db.dead")
        >>> len(letters), letters.retry_all()
        (0, 0)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.path.abspath(check_str("path", os.fspath(path)))

    def __iter__(self) -> Iterator[DeadLetter]:
        # All at once: a cursor that is read slowly would keep other processes from writing.
        rows = self._all("SELECT id, at, failure, is_marked FROM letters ORDER BY id")
        return iter([self._letter(*row) for row in rows])

    def __len__(self) -> int:
        rows = self._all("SELECT count(*) FROM letters")
        return int(rows[0][0]) if rows else 0

    def retry(self, *ids: int) -> None:
        """Have the receiver run again for the event of each letter, with a new count of attempts.

        The letters are marked, all or none. The program that uses the durable store runs the receiver within
        5 seconds, or after its next login, and removes the letter when the receiver has handled the event.
        The other receivers of the event do not run.

        Args:
            ids: The ``id`` of each letter.

        Raises:
            ArgumentTypeError, ArgumentValueError: There is no letter with one of these ids.
            DurableStoreError: The file cannot be used.
        """
        self._change(_MARK, ids)

    def retry_all(self) -> int:
        """Have the receivers run again for all letters, with new counts of attempts.

        Returns:
            The number of letters.

        Raises:
            DurableStoreError: The file cannot be used.
        """
        return self._change_all(_MARK)

    def drop(self, *ids: int) -> None:
        """Remove letters for good, all or none; a receiver that runs again for one already goes on.

        Args:
            ids: The ``id`` of each letter.

        Raises:
            ArgumentTypeError, ArgumentValueError: There is no letter with one of these ids.
            DurableStoreError: The file cannot be used.
        """
        self._change(_REMOVE, ids)

    def drop_all(self) -> int:
        """Remove all letters for good.

        Returns:
            The number of letters.

        Raises:
            DurableStoreError: The file cannot be used.
        """
        return self._change_all(_REMOVE)

    def __repr__(self) -> str:
        return f"<DeadLetters {self.path}>"

    def _change(self, statement: str, ids: Sequence[int]) -> None:
        for id in ids:
            check_int("id", id)
        if not os.path.exists(self.path):
            # Asking for a letter must not make a file.
            self._check_known(ids, set())
            return
        with self._transaction("written") as run:
            self._check_known(ids, {id for (id,) in run("SELECT id FROM letters")})
            for id in ids:
                run(f"{statement} WHERE id = ?", (id,))

    def _check_known(self, ids: Sequence[int], known: set[int]) -> None:
        for id in ids:
            if id not in known:
                raise ArgumentValueError(f"id is that of no dead letter in {self.path}: {id}")

    def _change_all(self, statement: str) -> int:
        if not os.path.exists(self.path):
            return 0
        with self._transaction("written") as run:
            return int(run(statement).rowcount)

    def _letter(self, id: int, at: float, text: str, is_marked: int) -> DeadLetter:
        try:
            failure = self._failure(text)
        except DurableStoreError as error:
            failure = ReceiverGaveUp(event=None, signal="", receiver="", error=error, attempts=0)
        return DeadLetter(
            id=id,
            at=datetime.fromtimestamp(at, timezone.utc),
            signal=failure.signal,
            receiver=failure.receiver,
            event=failure.event,
            error=failure.error,
            attempts=failure.attempts,
            is_marked=bool(is_marked),
        )

    def _failure(self, text: str) -> ReceiverGaveUp:
        try:
            failure = event_of(text)
            if not isinstance(failure, ReceiverGaveUp) or failure.event is None:
                raise TypeError(f"no ReceiverGaveUp with an event: {type(failure).__name__}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._error("read", f"it holds a letter that is damaged ({error})") from None
        return failure

    # --- for the connection alone ---

    def add(self, source: str, failure: ReceiverGaveUp, key: str) -> int:
        """Keep an event that was given up; return the number of letters.

        ``source`` tells apart the events and receivers of a store. If the process dies before the store knows
        of it, the receiver may give the event up again: then the letter is replaced.
        """
        # Before the transaction: an event that cannot be written must not hold the lock of the file.
        text = text_of(failure)
        with self._transaction("written") as run:
            run(
                "INSERT OR REPLACE INTO letters (source, at, size, key, failure) VALUES (?, ?, ?, ?, ?)",
                (source, time.time(), len(text), key, text),
            )
            dropped = self._make_room(run)
            count = _count(run)
        if dropped:
            logger.warning(
                "%s is full: the oldest %d dead letters were dropped", self.path, dropped
            )
        return count

    def _make_room(self, run: Run) -> int:
        """Remove the oldest letters beyond the bounds; return their number."""
        count, total = run("SELECT count(*), total(size) FROM letters").fetchone()
        if count <= _MOST_LETTERS and total <= _MOST_BYTES:
            return 0
        size = 0
        letters = run("SELECT id, size FROM letters ORDER BY id DESC")
        # From the newest on: the first one that does not fit, and all before it, are dropped. The newest
        # is kept even if it is too large alone, as it has just been promised to be.
        for kept, (id, bytes_) in enumerate(letters):
            size += bytes_
            if kept and (kept >= _MOST_LETTERS or size > _MOST_BYTES):
                return int(run("DELETE FROM letters WHERE id <= ?", (id,)).rowcount)
        return 0

    def marked(self) -> list[MarkedLetter]:
        """Return the letters that are marked to be retried and can be read, the oldest first."""
        rows = self._all("SELECT id, failure, key FROM letters WHERE is_marked ORDER BY id")
        found: list[MarkedLetter] = []
        for id, text, key in rows:
            try:
                conversation, sender, own_id = json.loads(key)
                found.append(MarkedLetter(id, self._failure(text), (conversation, sender, own_id)))
            except (DurableStoreError, ValueError, TypeError):
                continue  # the list of the letters says why
        return found

    def has(self, id: int) -> bool:
        """Whether there is a letter with this id."""
        return any(letter == id for (letter,) in self._all("SELECT id FROM letters"))

    def remove(self, ids: list[int]) -> int:
        """Remove letters whose receivers have handled their events; return the number of those that stay."""
        with self._transaction("written") as run:
            for id in ids:
                run("DELETE FROM letters WHERE id = ?", (id,))
            return _count(run)

    # --- helpers ---

    def _all(self, query: str) -> list[Any]:
        if not os.path.exists(self.path):
            return []  # the first letter makes the file
        with self._transaction("read", "BEGIN") as run:
            return list(run(query))

    @contextmanager
    def _transaction(self, what: str, begin: str = "BEGIN IMMEDIATE") -> Generator[Run]:
        """Run statements in one transaction; the file is made if there is none."""
        with self._errors(what):
            # Only the user of the process may read what people wrote. SQLite gives the journal the same mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | _CLOSED_ON_EXEC, 0o600))
            with closing(
                sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            ) as connection:
                run = connection.execute
                # The store forgets an event once its letter is kept, so each letter waits for the disk.
                run("PRAGMA synchronous = FULL")
                run(begin)
                self._check_or_make(run)
                yield run
                run("COMMIT")  # closing without it takes everything back

    def _check_or_make(self, run: Run) -> None:
        # Within the transaction, so that of two processes with a new file one makes the tables.
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _SCHEMA:
                run(statement)
        if run("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise self._error("opened", f"it is a database of another program{self._advice()}")
        version = run("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise self._error(
                "opened", f"its version is {version}, and this release knows {_VERSION} alone"
            )

    @contextmanager
    def _errors(self, what: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(what, reason_of(error)) from error
        except sqlite3.Error as error:
            advice = self._advice() if "locked" in str(error) else ""
            raise self._error(what, f"{error}{advice}") from error

    def _advice(self) -> str:
        if self.path.endswith(_SUFFIX):
            return ""
        return f" (the dead letters of a file of durable mode are in {self.path}{_SUFFIX})"

    def _error(self, what: str, reason: str) -> DurableStoreError:
        return DurableStoreError(
            f"the file of dead letters {self.path} cannot be {what}: {reason}", path=self.path
        )


def _count(run: Run) -> int:
    return int(run("SELECT count(*) FROM letters").fetchone()[0])
