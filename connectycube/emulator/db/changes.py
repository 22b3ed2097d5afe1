"""Changes: which users, dialogs and messages have changed, noted by the database itself while somebody asks.

Triggers note the id of each changed row in a temporary table. So no write can be forgotten, what is rolled
back is not noted, and without triggers the database does nothing for this. (SQLite: CREATE TEMP TRIGGER.)
"""

from __future__ import annotations

from collections.abc import Iterator

from .database import Database

__all__ = ["KINDS", "Changes"]

KINDS = ("users", "dialogs", "messages")

# The tables whose rows show in a user, dialog or message, with the column of its id.
_TABLES = (
    ("users", "users", "id"),
    ("dialogs", "dialogs", "id"),
    ("occupants", "dialogs", "dialog_id"),
    ("messages", "messages", "id"),
    ("receipts", "messages", "message_id"),
    ("reactions", "messages", "message_id"),
)
_ROWS = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}


class Changes:
    """The ids of changed rows, between ``start`` and ``stop``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(self) -> None:
        """Note changes from now on."""
        self._db.run("PRAGMA temp_store = MEMORY")  # otherwise a file, if there are many
        self._db.create("CREATE TEMP TABLE IF NOT EXISTS changed (kind TEXT, id)")
        for name, statement in _triggers():
            self._db.create(f"CREATE TEMP TRIGGER IF NOT EXISTS {name} {statement}")

    def stop(self) -> None:
        """Note no more changes."""
        for name, _ in _triggers():
            self._db.run(f"DROP TRIGGER IF EXISTS temp.{name}")
        self._db.run("DROP TABLE IF EXISTS temp.changed")

    def take(self) -> dict[str, list[int | str]]:
        """Return the ids of what has changed since the last call, by kind, each once, oldest change first."""
        if not self._db.one("SELECT 1 FROM temp.changed LIMIT 1"):
            return {}
        rows = self._db.all(
            "SELECT kind, id FROM temp.changed GROUP BY kind, id ORDER BY min(rowid)"
        )
        self._db.run("DELETE FROM temp.changed")
        taken: dict[str, list[int | str]] = {}
        for row in rows:
            taken.setdefault(row["kind"], []).append(row["id"])
        return taken


def _triggers() -> Iterator[tuple[str, str]]:
    for table, kind, column in _TABLES:
        for event, row in _ROWS.items():
            yield (
                f"note_{event.lower()}_{table}",
                f"AFTER {event} ON main.{table} BEGIN"
                f" INSERT INTO changed VALUES ('{kind}', {row}.{column}); END",
            )
