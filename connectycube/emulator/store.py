"""Store: everything the emulator remembers, in one SQLite database.

The rules of the service are elsewhere; here are tables and the statements on them. One thread uses a
store. Every statement commits by itself, so that a database on disk survives a kill at any moment.
Times are unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
    token TEXT UNIQUE NOT NULL, user_id INTEGER, ts INTEGER, nonce TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS dialogs (
    id TEXT PRIMARY KEY, type INTEGER NOT NULL, user_id INTEGER NOT NULL,
    pair TEXT UNIQUE, -- "lower id-higher id" of a private dialog
    name TEXT, description TEXT, photo TEXT, extra TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    last_message TEXT, last_message_id TEXT, last_message_user_id INTEGER,
    last_message_date_sent INTEGER
);
CREATE TABLE IF NOT EXISTS occupants (
    dialog_id TEXT NOT NULL, user_id INTEGER NOT NULL, admin INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS occupants_of_user ON occupants (user_id, dialog_id);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival, which settles equal date_sent
    id TEXT UNIQUE NOT NULL, dialog_id TEXT NOT NULL,
    sender_id INTEGER NOT NULL, recipient_id INTEGER NOT NULL,
    message TEXT, date_sent INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    attachments TEXT NOT NULL, custom TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_dialog ON messages (dialog_id, date_sent, seq);
CREATE TABLE IF NOT EXISTS receipts ( -- one row for each occupant a message is for, sender included
    message_id TEXT NOT NULL, user_id INTEGER NOT NULL, dialog_id TEXT NOT NULL,
    delivered INTEGER NOT NULL, read INTEGER NOT NULL,
    PRIMARY KEY (message_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unread ON receipts (user_id, dialog_id) WHERE read = 0;
CREATE TABLE IF NOT EXISTS offline (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL,
    stanza TEXT NOT NULL, received_at REAL NOT NULL
);
"""

# SQLite's default bound on variables is 999 in old builds.
_MOST_VARIABLES = 900


class Store:
    """The tables and the statements on them."""

    def __init__(self, path: str = ":memory:") -> None:
        self.database = Database(path)
        self.database.create(_SCHEMA)
        self._db = self.database.connection
        self._one, self._all = self.database.one, self.database.all
        self._count, self._insert = self.database.count, self.database.insert
        self._transaction = self.database.transaction

    def close(self) -> None:
        """Close the database."""
        self._db.close()

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

    # --- dialogs --------------------------------------------------------------------------------

    def add_dialog(
        self, values: Mapping[str, Any], occupants: Iterable[int], admins: Iterable[int] = ()
    ) -> bool:
        """Insert a dialog with its occupants; return False when the pair has its dialog already."""
        roles = dict.fromkeys(occupants, 0) | dict.fromkeys(admins, 1)
        with self._transaction():
            if self._insert("dialogs", values, verb="INSERT OR IGNORE").rowcount == 0:
                return False
            self._db.executemany(
                "INSERT INTO occupants (dialog_id, user_id, admin) VALUES (?, ?, ?)",
                [(values["id"], user_id, admin) for user_id, admin in roles.items()],
            )
        return True

    def dialog(self, dialog_id: str) -> Row | None:
        """Return the dialog with this id."""
        return self._one("SELECT * FROM dialogs WHERE id = ?", dialog_id)

    def private_dialog(self, pair: str) -> Row | None:
        """Return the private dialog of this pair of users."""
        return self._one("SELECT * FROM dialogs WHERE pair = ?", pair)

    def occupants(self, dialog_id: str) -> list[Row]:
        """Return user_id and admin of each occupant."""
        return self._all(
            "SELECT user_id, admin FROM occupants WHERE dialog_id = ? ORDER BY user_id",
            (dialog_id,),
        )

    def is_occupant(self, dialog_id: str, user_id: int) -> bool:
        """Whether this user is in this dialog."""
        return (
            self._one(
                "SELECT 1 FROM occupants WHERE dialog_id = ? AND user_id = ?", dialog_id, user_id
            )
            is not None
        )

    def dialogs_of(
        self,
        user_id: int,
        where: str,
        values: Sequence[Any],
        *,
        order: str,
        limit: int,
        skip: int,
    ) -> list[Row]:
        """Return a page of the dialogs this user is in; ``where`` and ``order`` are our own SQL."""
        return self._all(
            "SELECT d.* FROM dialogs d JOIN occupants o ON o.dialog_id = d.id"
            f" WHERE o.user_id = ? AND {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (user_id, *values, limit, skip),
        )

    def count_dialogs_of(self, user_id: int, where: str, values: Sequence[Any]) -> int:
        """Return how many dialogs this user is in."""
        return self._count(
            "dialogs d JOIN occupants o ON o.dialog_id = d.id",
            f"o.user_id = ? AND {where}",
            (user_id, *values),
        )

    # --- messages -------------------------------------------------------------------------------

    def add_message(self, values: Mapping[str, Any], recipients: Iterable[int]) -> bool:
        """Insert a message; return False when a message with this id is stored already."""
        sender = values["sender_id"]
        with self._transaction():
            if self._insert("messages", values, verb="INSERT OR IGNORE").rowcount == 0:
                return False
            self._db.executemany(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, ?)",
                [
                    (values["id"], user_id, values["dialog_id"], own, own)
                    for user_id in {sender, *recipients}
                    for own in (user_id == sender,)
                ],
            )
            self._db.execute(
                "UPDATE dialogs SET last_message = ?, last_message_id = ?,"
                " last_message_user_id = ?, last_message_date_sent = ?, updated_at = ? WHERE id = ?",
                (
                    values["message"],
                    values["id"],
                    sender,
                    values["date_sent"],
                    values["updated_at"],
                    values["dialog_id"],
                ),
            )
        return True

    def message(self, message_id: str) -> Row | None:
        """Return the message with this id, without its receipts."""
        return self._one("SELECT * FROM messages WHERE id = ?", message_id)

    def messages(
        self,
        dialog_id: str,
        where: str = "1",
        values: Sequence[Any] = (),
        *,
        order: str = "seq",
        limit: int = -1,
        skip: int = 0,
    ) -> list[Row]:
        """Return a page of a dialog's messages with ``delivered_ids`` and ``read_ids``."""
        rows = self._all(
            f"SELECT m.* FROM messages m WHERE m.dialog_id = ? AND {where}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (dialog_id, *values, limit, skip),
        )
        self._add_receipts(rows)
        return rows

    def count_messages(self, dialog_id: str, where: str, values: Sequence[Any]) -> int:
        """Return how many messages a dialog has."""
        return self._count("messages m", f"m.dialog_id = ? AND {where}", (dialog_id, *values))

    def _add_receipts(self, rows: Sequence[Row]) -> None:
        by_id = {row["id"]: row for row in rows}
        for row in rows:
            row["attachments"] = json.loads(row["attachments"])
            row["custom"] = json.loads(row["custom"])
            row["delivered_ids"], row["read_ids"] = [], []
        for ids in _slices(list(by_id)):
            marks = ", ".join("?" * len(ids))
            for receipt in self._all(
                f"SELECT * FROM receipts WHERE message_id IN ({marks}) ORDER BY user_id", ids
            ):
                row = by_id[receipt["message_id"]]
                if receipt["delivered"]:
                    row["delivered_ids"].append(receipt["user_id"])
                if receipt["read"]:
                    row["read_ids"].append(receipt["user_id"])

    # --- receipts -------------------------------------------------------------------------------

    def mark(self, message_ids: Sequence[str], user_id: int, *, read: bool, now: int) -> None:
        """Note that messages were delivered to a user, and read if ``read``; what is known stays."""
        column = "read" if read else "delivered"
        for ids in _slices(message_ids):
            marks = ", ".join("?" * len(ids))
            changed = [
                row["message_id"]
                for row in self._all(
                    f"SELECT message_id FROM receipts WHERE user_id = ? AND {column} = 0"
                    f" AND message_id IN ({marks})",
                    (user_id, *ids),
                )
            ]
            if changed:
                self._mark(changed, user_id, read=read, now=now)

    def _mark(self, ids: Sequence[str], user_id: int, *, read: bool, now: int) -> None:
        marks = ", ".join("?" * len(ids))
        with self._transaction():
            self._db.execute(
                "UPDATE receipts SET delivered = 1, read = max(read, ?)"
                f" WHERE user_id = ? AND message_id IN ({marks})",
                (read, user_id, *ids),
            )
            self._db.execute(
                f"UPDATE messages SET updated_at = ? WHERE id IN ({marks})", (now, *ids)
            )

    def unread_counts(self, user_id: int, dialog_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of unread messages by dialog; dialogs without any are left out."""
        counts: dict[str, int] = {}
        for ids in _slices(dialog_ids):
            marks = ", ".join("?" * len(ids))
            for row in self._all(
                "SELECT dialog_id, count(*) AS n FROM receipts WHERE user_id = ? AND read = 0"
                f" AND dialog_id IN ({marks}) GROUP BY dialog_id",
                (user_id, *ids),
            ):
                counts[row["dialog_id"]] = row["n"]
        return counts

    def receipts(self, message_id: str) -> list[Row]:
        """Return user_id, delivered and read of everyone a message is for."""
        return self._all("SELECT * FROM receipts WHERE message_id = ?", (message_id,))

    # --- stanzas kept for users without a connection ----------------------------------------------

    def add_offline(self, user_id: int, stanza: str, now: float) -> None:
        """Keep a stanza for a user."""
        self._insert("offline", {"user_id": user_id, "stanza": stanza, "received_at": now})

    def take_offline(self, user_id: int) -> list[Row]:
        """Return and delete what was kept for a user, oldest first."""
        rows = self._all("SELECT * FROM offline WHERE user_id = ? ORDER BY seq", (user_id,))
        if rows:
            self._db.execute(
                "DELETE FROM offline WHERE user_id = ? AND seq <= ?", (user_id, rows[-1]["seq"])
            )
        return rows


def _slices(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (
        items[start : start + _MOST_VARIABLES] for start in range(0, len(items), _MOST_VARIABLES)
    )
