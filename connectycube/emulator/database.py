"""Database: short words for statements on the one SQLite connection that the emulator's tables share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Database", "Row"]

Row = dict[str, Any]


class Database:
    """One connection; each table's owner brings its own schema. Names of tables and columns are ours."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")

    def create(self, schema: str) -> None:
        """Make the tables of a schema whose statements say IF NOT EXISTS."""
        self.connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the statements inside, or none."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

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
