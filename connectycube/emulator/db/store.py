"""Store: users, REST sessions and undelivered stanzas, and the database that all tables share.

The store holds tables and the statements on them; the rules of the service are in ``domain``. One thread
uses a store. Every statement commits by itself, so a database on disk survives a kill at any moment.
Times are unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .database import Database, Row

__all__ = ["Row", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT UNIQUE, email TEXT UNIQUE, password TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, last_request_at INTEGER,
    fields TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT UNIQUE NOT NULL, user_id INTEGER, guest INTEGER NOT NULL DEFAULT 0,
    ts INTEGER, nonce TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS offline (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL,
    stanza TEXT NOT NULL, received_at REAL NOT NULL, history_id TEXT
);
"""


class Store:
    """The tables and the statements on them."""

    def __init__(self, path: str = ":memory:", most_bytes: int | None = None) -> None:
        self.database: Database = Database(path, most_bytes)
        self.database.create(_SCHEMA)
        self._db = self.database.connection
        self._one, self._all = self.database.one, self.database.all
        self._insert = self.database.insert

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # --- users ----------------------------------------------------------------------------------

    def add_user(
        self,
        *,
        login: str | None,
        email: str | None,
        password: str | None,
        now: int,
        fields: Mapping[str, Any],
    ) -> int:
        """Insert a user and return the id; raise sqlite3.IntegrityError when login or email is taken."""
        cursor = self._insert(
            "users",
            {
                "login": login,
                "email": email,
                "password": password,
                "created_at": now,
                "updated_at": now,
                "fields": json.dumps(fields),
            },
        )
        return int(cursor.lastrowid or 0)

    def user(self, user_id: int) -> Row | None:
        """Return the user with this id."""
        return self._user("id", user_id)

    def user_by(self, field: str, value: str) -> Row | None:
        """Return the user with this login or email."""
        if field not in ("login", "email"):
            raise ValueError(f"users cannot be looked up by {field}")
        return self._user(field, value)

    def _user(self, field: str, value: Any) -> Row | None:
        row = self._one(f"SELECT * FROM users WHERE {field} = ?", value)
        if row is not None:
            row["fields"] = json.loads(row["fields"])
        return row

    def user_ids(self, *, limit: int = -1, skip: int = 0) -> list[int]:
        """Return a page of the ids of all users."""
        rows = self._all("SELECT id FROM users ORDER BY id LIMIT ? OFFSET ?", (limit, skip))
        return [row["id"] for row in rows]

    def touch_user(self, user_id: int, now: int) -> None:
        """Note the time of a user's latest request."""
        self._db.execute("UPDATE users SET last_request_at = ? WHERE id = ?", (now, user_id))

    # --- REST sessions --------------------------------------------------------------------------

    def add_session(self, **values: Any) -> None:
        """Insert a REST session."""
        self._insert("sessions", values)

    def session(self, token: str) -> Row | None:
        """Return the REST session of this token."""
        return self._one("SELECT * FROM sessions WHERE token = ?", token)

    def update_session(self, token: str, **values: Any) -> None:
        """Change columns of a REST session."""
        changes = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(
            f"UPDATE sessions SET {changes} WHERE token = ?", (*values.values(), token)
        )

    def delete_session(self, token: str) -> None:
        """Delete a REST session."""
        self._db.execute("DELETE FROM sessions WHERE token = ?", (token,))

    def delete_expired_sessions(self, now: float) -> None:
        """Delete the REST sessions that have expired."""
        self._db.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))

    # --- stanzas for users who are offline -------------------------------------------------------

    def add_offline(
        self, user_id: int, stanza: str, received_at: float, history_id: str | None
    ) -> None:
        """Keep a stanza for a user; ``history_id`` is the message of history that it is or edits."""
        values = {"user_id": user_id, "stanza": stanza}
        self._insert("offline", {**values, "received_at": received_at, "history_id": history_id})

    def take_offline(self, user_id: int) -> list[Row]:
        """Return and delete the stanzas kept for a user, oldest first."""
        rows = self._all("SELECT * FROM offline WHERE user_id = ? ORDER BY seq", (user_id,))
        if rows:
            self._db.execute(
                "DELETE FROM offline WHERE user_id = ? AND seq <= ?", (user_id, rows[-1]["seq"])
            )
        return rows
