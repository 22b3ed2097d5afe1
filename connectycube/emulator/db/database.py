"""Database: the SQLite file of the emulator's state, and methods for statements on its one connection.

A database on disk has one owner at a time. Every statement commits by itself unless it is part of a
transaction. A committed change outlives a kill of the process. (SQLite: write-ahead log.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from connectycube.errors import ArgumentValueError

__all__ = ["FULL", "Database", "Row", "is_full"]

Row = dict[str, Any]

FULL = "The emulator's state has no room for more: see the switch state_bytes, or reset it"
"""The text for a client after an error that :func:`is_full` recognizes."""

_IN_MEMORY = ":memory:"
# SQLite keeps two numbers of the application in the header of a file: the program, and its format.
_APPLICATION = 0x43756265
_FORMAT = 2
_FACTS = "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)"


def is_full(error: BaseException) -> bool:
    """Whether a statement failed because the state, or the disk, has no room for more."""
    return isinstance(error, sqlite3.OperationalError) and "is full" in str(error)


class Database:
    """One connection. The owner of a table creates it; names of tables and columns are never input."""

    def __init__(self, path: str = _IN_MEMORY, most_bytes: int | None = None) -> None:
        """Open or create a file; raise OSError if it is in use, ArgumentValueError if it is foreign.

        A statement that would make it larger than ``most_bytes`` fails. (:func:`is_full`.)
        """
        try:
            self.connection: sqlite3.Connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=0
            )
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from error
        self.connection.row_factory = sqlite3.Row
        try:
            self._lock(path)
        except BaseException:
            self.connection.close()
            raise
        self.create(_FACTS)
        if most_bytes is not None:
            self.run(f"PRAGMA max_page_count = {max(1, most_bytes // self._pragma('page_size'))}")

    def _lock(self, path: str) -> None:
        try:
            self.run("PRAGMA locking_mode = EXCLUSIVE")
            self._check_format(path)
            self.run("PRAGMA journal_mode = WAL")
            self.run("PRAGMA synchronous = NORMAL")
            self.run(f"PRAGMA application_id = {_APPLICATION}")
            self.run(f"PRAGMA user_version = {_FORMAT}")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OSError(f"{path} is in use by another emulator") from error
            raise OSError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ArgumentValueError(f"{path} holds no data of an emulator: {error}") from error

    def _check_format(self, path: str) -> None:
        application = self._pragma("application_id")
        if not self.count("sqlite_master", "1"):
            return
        if application != _APPLICATION:
            raise ArgumentValueError(f"{path} holds no data of an emulator")
        found = self._pragma("user_version")
        if found != _FORMAT:
            raise ArgumentValueError(
                f"{path} was written by another release: its format is {found}, here it is {_FORMAT}"
            )
        (fault,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if fault != "ok":
            raise ArgumentValueError(f"{path} is damaged: {fault}. Move it away")

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])

    def close(self) -> None:
        """Close the connection; another emulator can open the file then."""
        self.connection.close()

    def fact(self, name: str, value: str) -> str:
        """Return the value of a name; a new name gets ``value`` and keeps it."""
        self.insert("facts", {"name": name, "value": value}, verb="INSERT OR IGNORE")
        row = self.one("SELECT value FROM facts WHERE name = ?", name)
        assert row is not None
        return str(row["value"])

    def wipe(self) -> None:
        """Delete all rows; ids start at 1 again."""
        tables = self.all("SELECT name FROM sqlite_master WHERE type = 'table'")
        with self.transaction():
            for table in tables:
                self.run(f"DELETE FROM {table['name']}")

    def create(self, schema: str) -> None:
        """Create the tables of a schema; its statements say IF NOT EXISTS."""
        self.connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit all statements inside, or none; a transaction inside another is a part of it."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self.connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # SQLite has ended it already if it had no room
            self.connection.execute("ROLLBACK")

    def one(self, statement: str, *values: Any) -> Row | None:
        """Return the first row, None if there is none."""
        row = self.connection.execute(statement, values).fetchone()
        return None if row is None else dict(row)

    def all(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return every row."""
        return [dict(row) for row in self.connection.execute(statement, values)]

    def count(self, tables: str, where: str, values: Sequence[Any] = ()) -> int:
        """Return how many rows fulfil a condition."""
        statement = f"SELECT count(*) FROM {tables} WHERE {where}"
        return int(self.connection.execute(statement, values).fetchone()[0])

    def run(self, statement: str, *values: Any) -> int:
        """Execute a statement and return how many rows it changed."""
        return self.connection.execute(statement, values).rowcount

    def insert(
        self, table: str, values: Mapping[str, Any], *, verb: str = "INSERT"
    ) -> sqlite3.Cursor:
        """Insert one row."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self.connection.execute(
            f"{verb} INTO {table} ({names}) VALUES ({marks})", tuple(values.values())
        )

    def update(self, table: str, row_id: Any, values: Mapping[str, Any]) -> None:
        """Change columns of the row with this id."""
        changes = ", ".join(f"{name} = ?" for name in values)
        self.connection.execute(
            f"UPDATE {table} SET {changes} WHERE id = ?", (*values.values(), row_id)
        )
