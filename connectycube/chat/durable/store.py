"""The durable store: the unfinished work of a connection, in one SQLite file.

``arrivals`` has the events that arrived. Those that are not handled are the inbox: they have a ``message``,
the text of the event, and the receivers that have handled it already. Of the others the key is kept, by which
a repetition is recognised. ``outbox`` has the messages that were accepted and have no outcome, ``sent`` the
ids of those that were acknowledged. ``cursor`` is the moment, by the service's clock, up to which everything
had arrived.
``beginning`` is that of the first login, before which nothing is read from history; ``older`` are the
messages of its second that history had already.

A transaction must be on the disk when it returns if the server or a caller is then told of it
(``synchronous=FULL``). The others only avoid repeated work: they survive the end of the process, and a power
failure may undo them. One thread at a time.

Each message is written twice, when it arrives and when it is handled, so ``arrivals`` has no index but its
numbers: what looks for something else reads the whole table, at a login or when a conversation goes on.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Any, TypeAlias

from ..._containers import AnyList
from ..._forks import is_unnoticed_fork
from ..._os_errors import reason_of
from ...errors import DurableStoreError
from ..protocol.seen_messages import Key
from .records import Arrived, Identity, Outcome, Outgoing, Waiting, is_new_key
from .serialization import event_of, message_of, text_of

__all__ = ["DurableStore"]

_APPLICATION_ID = 0x43756265
"""A number in the file's header ("Cube"): a database of another program is recognised by its absence."""
_VERSION = 3
_KEPT = 10_000
"""The number of rows of ``arrivals`` and ``sent`` that are kept at least."""
_KEPT_SECONDS = 3_600.0
"""Rows that are later than so many seconds before the cursor are kept as well."""
_PRUNE_AFTER = 1_000  # commits
_GREATEST = 2**62
"""The number of no message: SQLite's integers end at 2^63."""
_MOST_DIGITS = 19  # of a user's id
_abandoned: list[sqlite3.Connection] = []
_Kind: TypeAlias = type | UnionType
_NUMBER: _Kind = int | NoneType
_TIME: _Kind = int | float | NoneType
_TEXT: _Kind = str | NoneType

_ARRIVALS = (
    "CREATE TABLE arrivals (n INTEGER PRIMARY KEY, conversation TEXT NOT NULL, sender TEXT NOT NULL,"
    " id TEXT NOT NULL, at REAL, message TEXT, signal TEXT NOT NULL, done TEXT, receiver TEXT,"
    " letter INTEGER)"
)
_SCHEMA = (
    "CREATE TABLE identity (app_id INTEGER, user_id INTEGER, chat_host TEXT, store_id TEXT, opened INTEGER)",
    "CREATE TABLE cursor (service_time REAL)",
    "CREATE TABLE beginning (service_time REAL)",
    "CREATE TABLE older (conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL)",
    _ARRIVALS,
    "CREATE TABLE outbox (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,"
    " inbound INTEGER, stanza BLOB NOT NULL, message TEXT NOT NULL)",
    "CREATE TABLE sent (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,"
    " inbound INTEGER, at REAL)",
    "INSERT INTO cursor VALUES (NULL)",
)

_TO_VERSION_2 = (
    "ALTER TABLE inbox ADD COLUMN signal TEXT NOT NULL DEFAULT 'message_received'",
    "ALTER TABLE inbox ADD COLUMN done TEXT",
    "ALTER TABLE inbox ADD COLUMN receiver TEXT",
    "ALTER TABLE inbox ADD COLUMN letter INTEGER",
    "CREATE UNIQUE INDEX inbox_letter ON inbox (letter)",
    "CREATE TABLE beginning (service_time REAL)",
    "CREATE TABLE older (conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL)",
    "UPDATE inbox SET signal = 'own_message_received' WHERE json_extract(message, '$.own')",
)
"""What a file of the first version lacks; its events are all messages."""

_TO_VERSION_3 = (
    _ARRIVALS,
    "INSERT INTO arrivals SELECT inbox.n, inbox.conversation, inbox.sender, inbox.id, seen.at, message,"
    " signal, done, receiver, letter FROM inbox LEFT JOIN seen ON seen.n = inbox.n",
    "INSERT INTO arrivals SELECT n, conversation, sender, id, at, NULL, '', NULL, NULL, NULL FROM seen"
    " WHERE n NOT IN (SELECT n FROM inbox)",
    "DROP TABLE inbox",
    "DROP TABLE seen",
)
"""The second version had events without their receivers' end in one table, and all keys in another one."""
_FAILURES = (OSError, sqlite3.Error, UnicodeError)
_HANDLED = "UPDATE arrivals SET message = NULL, done = NULL WHERE n = ? AND message IS NOT NULL"
_COLUMNS = "n, conversation, sender, id, message, signal, done, receiver"


class DurableStore:
    """The file at ``path``: created if there is none, and locked against all others until :meth:`close`.

    Every method raises DurableStoreError, with the reason, when the file cannot be used.
    """

    def __init__(self, path: str, identity: Identity) -> None:
        self.path: str = os.path.abspath(path)  # the process may change its folder later
        self._files: tuple[tuple[int, int], ...] | None = None
        self._in_full: bool | None = None
        self._commits = 0
        with self._errors("opened"):
            # Only the user of the process may read the messages. SQLite gives its other files the same mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | _CLOSED_ON_EXEC, 0o600))
            self._connection = sqlite3.connect(
                self.path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors("opened"):
                # Locked first: of two processes that open one file, the second must not look into it.
                self._take_possession()
                self._check_or_make(identity)
                self._files = self._found()
                self._next = self._first_free()
                self.inbox_count: int = self._one("SELECT count(message) FROM arrivals", int)
                self.outbox_count: int = self._one("SELECT count(*) FROM outbox", int)
        except BaseException:
            self._connection.close()
            raise

    def _take_possession(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before WAL, which then needs no shared memory
        mode = self._one("PRAGMA journal_mode = WAL")
        if mode != "wal":  # SQLite goes on in the mode that it can have, without an error
            raise self._error("opened", f"{_NO_WAL} (SQLite offers {mode!r})")
        run("BEGIN EXCLUSIVE")  # from here on no other connection can open the file
        run("COMMIT")
        damage = self._one("PRAGMA quick_check(1)")
        if damage != "ok":
            raise self._damaged("opened", damage)

    def _check_or_make(self, identity: Identity) -> None:
        run = self._connection.execute
        with self._transaction(full=True):
            # Within the transaction: a process that dies while it makes the tables leaves an empty file.
            if not self._one("SELECT count(*) FROM sqlite_master"):
                self._make(identity)
            if self._one("PRAGMA application_id") != _APPLICATION_ID:
                raise self._error("opened", "it is a database of another program")
            version = self._one("PRAGMA user_version")
            for older, statements in ((1, _TO_VERSION_2), (2, _TO_VERSION_3)):
                if version == older:
                    for statement in statements:
                        run(statement)
                    version = older + 1
                    run(f"PRAGMA user_version = {version}")
            if version != _VERSION:
                raise self._error(
                    "opened",
                    f"its version is {version}, and this release knows versions up to {_VERSION}",
                )
            whose = self._all(
                "SELECT app_id, user_id, chat_host, store_id FROM identity", int, int, str, str
            )
            if len(whose) != 1:
                raise self._damaged("opened", f"{len(whose)} rows say whose it is")
            app_id, user_id, chat_host, store_id = whose[0]
            self.store_id: str = store_id
            self._check_identity(identity, Identity(app_id, user_id, chat_host))
            run("UPDATE identity SET opened = opened + 1")  # so that a full disk is noticed now

    def _first_free(self) -> int:
        """Return the number of the next message."""
        newest: int = self._one("SELECT coalesce(max(n), 0) FROM arrivals", int)
        # A number that we have not written: one more could be beyond SQLite's integers.
        if newest >= _GREATEST:
            raise self._damaged("opened", f"a message has the number {newest}")
        return newest + 1

    def _make(self, identity: Identity) -> None:
        run = self._connection.execute
        for statement in _SCHEMA:
            run(statement)
        run(
            "INSERT INTO identity VALUES (?, ?, ?, ?, 0)",
            (identity.app_id, identity.user_id, identity.chat_host, secrets.token_hex(16)),
        )
        run(f"PRAGMA application_id = {_APPLICATION_ID}")
        run(f"PRAGMA user_version = {_VERSION}")

    def _check_identity(self, asked: Identity, found: Identity) -> None:
        if asked != found:
            raise self._error(
                "opened",
                f"it belongs to user {found.user_id} of application {found.app_id} at"
                f" {found.chat_host}, and this is user {asked.user_id} of application {asked.app_id}"
                f" at {asked.chat_host}",
            )

    # --- the unfinished work ---

    @property
    def cursor(self) -> float | None:
        """The moment up to which everything had arrived: unix seconds by the service's clock, or None."""
        with self._errors("read"):
            at: float | None = self._one("SELECT service_time FROM cursor", _TIME)
            return at

    @property
    def beginning(self) -> float | None:
        """The moment of the file's first login: unix seconds by the service's clock; None if not known."""
        return next((at for (at,) in self._all("SELECT service_time FROM beginning", _TIME)), None)

    def inbox(self, most: int = -1) -> list[Waiting]:
        """Return the events that arrived and were not handled, in their order.

        Args:
            most: The number of events of one conversation that are returned at most; -1 is no bound.
        """
        places = (
            f"SELECT {_COLUMNS}, row_number() OVER (PARTITION BY conversation ORDER BY n) AS place"
            " FROM arrivals WHERE message IS NOT NULL"
        )
        query = f"SELECT {_COLUMNS} FROM ({places}) WHERE ? < 0 OR place <= ? ORDER BY n"
        return self._events(query, most, most)

    def inbox_of(self, conversation: str, first: int, most: int) -> list[Waiting]:
        """Return at most so many events of a conversation, in order, from number ``first`` on."""
        query = (
            f"SELECT {_COLUMNS} FROM arrivals"
            " WHERE n >= ? AND message IS NOT NULL AND conversation = ? ORDER BY n LIMIT ?"
        )
        return self._events(query, first, conversation, most)

    def inbox_from(self, first: int) -> list[Waiting]:
        """Return the events from number ``first`` on, in order."""
        query = f"SELECT {_COLUMNS} FROM arrivals WHERE n >= ? AND message IS NOT NULL ORDER BY n"
        return self._events(query, first)

    def _events(self, query: str, *values: object) -> list[Waiting]:
        found = self._all(query, *(int, str, str, str, str, str, _TEXT, _TEXT), values=values)
        return [
            Waiting(
                n,
                self._key(*key),
                event,
                signal,
                self._read(_names_of, done or "[]"),
                receiver,
                len(text),
                damage,
            )
            for n, *key, text, signal, done, receiver in found
            for event, damage in [_event_or_damage(text)]
        ]

    @property
    def next_number(self) -> int:
        """The number of the next event that is committed."""
        return self._next

    def outbox(self) -> list[Outgoing]:
        """Return the messages that were accepted and have no outcome, in their order."""
        found = self._all(
            "SELECT id, recipient, stanza, message, inbound FROM outbox ORDER BY n",
            *(str, str, bytes, str, _NUMBER),
        )
        waiting: list[Outgoing] = []
        for message_id, recipient, stanza, text, inbound in found:
            message = self._read(message_of, text)
            if message.dialog is None or (message.dialog.id or message.dialog.peer_id) is None:
                raise self._damaged("read", "a message that was sent has no dialog")
            waiting.append(Outgoing(message_id, recipient, stanza, message, inbound))
        return waiting

    def seen(self) -> list[tuple[Key, float | None]]:
        """Return the keys of messages that had arrived, in order, with the service's time or None.

        A key that arrived again has the place of its last arrival. Dead letters did not arrive.
        """
        found: dict[Key, float | None] = {}
        query = "SELECT conversation, sender, id, at FROM arrivals WHERE letter IS NULL ORDER BY n"
        for *columns, at in self._all(query, str, str, str, _TIME):
            key = self._key(*columns)
            if not is_new_key(key):
                found.pop(key, None)
                found[key] = at
        return [*found.items()]

    def sent(self) -> list[tuple[str, str, float | None]]:
        """Return id, recipient and service's time (or None) of acknowledged messages, in order."""
        return self._all("SELECT id, recipient, at FROM sent ORDER BY n", str, str, _TIME)

    def recipient_of_sent(self, message_id: str) -> str | None:
        """Return the recipient of an acknowledged message; None if the id is unknown."""
        found = self._all("SELECT recipient FROM sent WHERE id = ?", str, values=(message_id,))
        return found[0][0] if found else None

    def recipient_of_outgoing(self, message_id: str) -> str | None:
        """Return the recipient of a message in the outbox; None if the id is unknown."""
        found = self._all("SELECT recipient FROM outbox WHERE id = ?", str, values=(message_id,))
        return found[0][0] if found else None

    # --- changes ---

    def commit(
        self,
        arrived: Sequence[Arrived],
        outcomes: Iterable[Outcome],
        cursor: float | None,
        now: float | None,
    ) -> list[int]:
        """Commit the events and outcomes of one read; return the inbox numbers of the events.

        ``cursor`` and ``now`` are unix seconds by the service's clock, None if that is not known.
        """
        # Given here: ``executemany`` does not tell the number of each row, and the caller needs it.
        places = list(range(self._next, self._next + len(arrived)))
        rows = [
            (n, *_columns(one.key), now, one.text, one.signal, one.receiver, one.letter)
            for n, one in zip(places, arrived, strict=True)
        ]
        # Only what arrived must reach the disk before the server is told: an outcome that a power failure
        # takes back is settled again from history.
        with self._errors("written"), self._transaction(full=bool(arrived)):
            self._connection.executemany(
                "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)", rows
            )
            settled = self._note_outcomes(outcomes, now)
            self._set_cursor(cursor)
        # After the commit alone: if it fails, the numbers are free, and the counts are as before.
        self._next += len(places)
        self.inbox_count += len(places)
        self.outbox_count -= settled
        self._commits += 1
        # Now and then, because it reads the whole table.
        if self._commits % _PRUNE_AFTER == 0:
            self.prune()
        return places

    def _note_outcomes(self, outcomes: Iterable[Outcome], now: float | None) -> int:
        """Note the outcomes of messages; return how many of these were in the outbox."""
        run, settled = self._connection.execute, 0
        for outcome in outcomes:
            # Both in the transaction of the caller: a message is never in neither table, and so never
            # sent twice.
            settled += run("DELETE FROM outbox WHERE id = ?", (outcome.id,)).rowcount
            if outcome.acknowledged:
                run(
                    "INSERT OR REPLACE INTO sent (id, recipient, inbound, at) VALUES (?, ?, ?, ?)",
                    (outcome.id, outcome.recipient, outcome.inbound, now),
                )
        return settled

    def older(self) -> list[Key]:
        """Return the keys of the messages that history had in the second of the first login."""
        return [self._key(*row) for row in self._all("SELECT * FROM older", str, str, str)]

    def begin(self, at: float, older: Sequence[Key]) -> None:
        """Note the first login at ``at``, by the service's clock, and the messages that were there before."""
        with self._errors("written"), self._transaction(full=True):
            run = self._connection
            run.execute("INSERT INTO beginning VALUES (?)", (at,))
            run.executemany("INSERT INTO older VALUES (?, ?, ?)", map(_columns, older))

    def withdraw(self, places: Iterable[int]) -> None:
        """Forget events that the queue has rejected: the server sends them again."""
        gone = [(n,) for n in places]
        with self._errors("written"), self._transaction(full=False):
            # After a power failure the rows may be back; then the repetitions of the server are
            # recognised by their keys.
            removed = self._connection.executemany(
                "DELETE FROM arrivals WHERE n = ? AND message IS NOT NULL", gone
            ).rowcount
        self.inbox_count -= removed

    def note_done(self, n: int, receivers: Iterable[str]) -> None:
        """Note the names of all receivers that have handled an event, of which others have not."""
        done = json.dumps(sorted(receivers))
        with self._errors("written"), self._transaction(full=False):
            self._connection.execute("UPDATE arrivals SET done = ? WHERE n = ?", (done, n))

    def letters(self) -> dict[int, int]:
        """Return the ids of the dead letters whose events are in the inbox again, by their numbers there."""
        query = "SELECT n, letter FROM arrivals WHERE letter IS NOT NULL AND message IS NOT NULL"
        return dict(self._all(query, int, int))

    def handled(self, n: int) -> None:
        """Remove an event from the inbox, because all receivers have handled it."""
        try:
            self._be_synchronous(full=False)
            # One statement is a transaction, too.
            # A power failure may take it back: then the receivers run once more, with ``redelivered``.
            removed = self._connection.execute(_HANDLED, (n,)).rowcount
        except _FAILURES as error:
            raise self._failure("written", error) from error
        self.inbox_count -= removed

    def add(self, outgoing: Outgoing) -> None:
        """Commit a message that is about to be sent."""
        with self._errors("written"), self._transaction(full=True):
            self._connection.execute(
                "INSERT INTO outbox (id, recipient, inbound, stanza, message) VALUES (?, ?, ?, ?, ?)",
                (
                    outgoing.id,
                    outgoing.recipient,
                    outgoing.inbound,
                    outgoing.stanza,
                    text_of(outgoing.message),
                ),
            )
        self.outbox_count += 1

    def set_cursor(self, cursor: float | None) -> None:
        """Note that everything up to this moment, by the service's clock, had arrived."""
        if cursor is not None:
            with self._errors("written"), self._transaction(full=False):
                self._set_cursor(cursor)

    def _set_cursor(self, cursor: float | None) -> None:
        if cursor is not None:
            self._connection.execute("UPDATE cursor SET service_time = ?", (cursor,))

    def prune(self) -> None:
        """Forget the keys and ids of messages that neither the server nor a receiver repeats any more."""
        young = "at IS NOT NULL AND at > coalesce((SELECT service_time FROM cursor), 0) - ?"
        unfinished = (
            "inbound IS NOT NULL AND inbound IN (SELECT n FROM arrivals WHERE message IS NOT NULL)"
        )
        with self._errors("written"), self._transaction(full=False):
            run = self._connection.execute
            run(
                "DELETE FROM arrivals WHERE n <= (SELECT max(n) FROM arrivals) - ?"
                f" AND NOT ({young}) AND message IS NULL",
                (_KEPT, _KEPT_SECONDS),
            )
            run(
                # The ids of answers are kept as long as their event is: a receiver that runs again gives
                # its answers the same ids.
                "DELETE FROM sent WHERE n <= (SELECT max(n) FROM sent) - ?"
                f" AND NOT ({young}) AND NOT ({unfinished})",
                (_KEPT, _KEPT_SECONDS),
            )

    # --- the end ---

    def close(self) -> None:
        """Close the file, so that another connection can open it."""
        with self._errors("closed"):
            self._connection.close()

    def abandon(self) -> None:
        """Leave the file open forever, in a forked child.

        If the child closed it, or let it be collected, SQLite would remove the log that the parent writes.
        """
        try:
            from ctypes import py_object, pythonapi
        except ImportError:  # an interpreter without ctypes: the list lives as long as this module
            _abandoned.append(self._connection)
        else:
            pythonapi.Py_IncRef(py_object(self._connection))

    def __del__(self) -> None:
        # A child that drops the client before anything has noticed the fork must not close the file either.
        if is_unnoticed_fork() and hasattr(self, "_connection"):
            self.abandon()

    # --- helpers ---

    @contextmanager
    def _transaction(self, *, full: bool) -> Generator[None]:
        run = self._connection.execute
        self._be_synchronous(full=full)
        # SQLite would write into the file that was removed, and the events would be lost with it.
        if full and self._files is not None and self._found() != self._files:
            raise self._error("written", "it was removed or replaced while it was in use")
        run("BEGIN IMMEDIATE")
        try:
            yield
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # some errors have ended the transaction
                run("ROLLBACK")
            raise

    def _be_synchronous(self, *, full: bool) -> None:
        """Say whether the next transaction must be on the disk when it returns."""
        # The pragma is a statement of its own, and mostly the mode is that of the transaction before.
        if full is not self._in_full:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._in_full = full

    def _found(self) -> tuple[tuple[int, int], ...]:
        """Return device and inode of both files: SQLite does not notice that a file was replaced."""
        there = (os.stat(self.path), os.stat(f"{self.path}-wal"))
        return tuple((file.st_dev, file.st_ino) for file in there)

    def _one(self, query: str, kind: _Kind = object) -> Any:
        found = self._all(query, kind)
        if not found:
            raise self._damaged("read", "a row is missing")
        return found[0][0]

    def _all(self, query: str, *kinds: _Kind, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query, whose columns have these types; SQLite keeps values of any type."""
        with self._errors("read"):
            found = self._connection.execute(query, values).fetchall()
        for row in found:
            for value, kind in zip(row, kinds, strict=True):
                if not isinstance(value, kind):
                    raise self._damaged("read", f"a column has a value of type {_type_of(value)}")
        return found

    def _key(self, conversation: str, sender: str, message_id: str) -> Key:
        if not (sender.isascii() and sender.isdigit() and len(sender) <= _MOST_DIGITS):
            raise self._damaged("read", "the sender of a message is no user's id")
        return conversation, int(sender), message_id

    def _read(self, read: Callable[[str], Any], text: str) -> Any:
        try:
            return read(text)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._damaged("read", f"a message: {error}") from None

    @contextmanager
    def _errors(self, what: str) -> Generator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: Exception) -> DurableStoreError:
        """Return the error of this package for one of SQLite or of the operating system."""
        if isinstance(error, FileNotFoundError):
            gone = "it was removed while it was in use" if what == "written" else error.strerror
            return self._error(what, str(gone))
        if isinstance(error, OSError):
            return self._error(what, reason_of(error))
        if isinstance(error, sqlite3.Error):
            return self._error(what, _sqlite_reason(error))
        # SQLite names a broken part of the file in its error.
        return self._damaged(what, "it holds text that is not UTF-8")

    def _damaged(self, what: str, damage: str) -> DurableStoreError:
        return self._error(what, f"it is damaged ({damage})")

    def _error(self, what: str, reason: str) -> DurableStoreError:
        return DurableStoreError(
            f"the durable store {self.path} cannot be {what}: {reason}", path=self.path
        )


def _columns(key: Key) -> tuple[str, str, str]:
    conversation, sender, own_id = key
    # The sender as text, because an id may exceed SQLite's integers, which end at 2^63.
    return conversation, str(sender), own_id


def _event_or_damage(text: str) -> tuple[object, str | None]:
    """Return the event of a text and None, or None and why it cannot be read."""
    try:
        return event_of(text), None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return None, str(error)


def _names_of(text: str) -> frozenset[str]:
    names = json.loads(text)
    if not isinstance(names, AnyList) or not all(isinstance(name, str) for name in names):
        raise TypeError("no list of names")
    return frozenset(names)


_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)


def _type_of(value: object) -> str:
    return "NULL" if value is None else type(value).__name__


_NO_WAL = "its file system cannot keep a write-ahead log: put the file on a local disk"
_LACKING = ("disk I/O error", "locking protocol", "unable to open database file")


def _sqlite_reason(error: sqlite3.Error) -> str:
    text = str(error)
    if text in _LACKING:
        return f"{text} (if this is no local disk, it may have no locks or no write-ahead log)"
    if "locked" in text:
        return (
            "another process has it open, or another connection of this one (or of its parent): "
            "end it, or name another file"
        )
    return text
