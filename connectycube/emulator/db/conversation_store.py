"""Conversation store: the tables of dialogs and messages, and the statements on them.

The rules are in ``domain``. ``where`` and ``order`` are SQL of the emulator, never user input; dialogs are
``d`` in it, and messages ``m``. Times are unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .database import Database, Row

__all__ = ["ConversationStore", "pair_of"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dialogs (
    id TEXT PRIMARY KEY, type INTEGER NOT NULL, user_id INTEGER NOT NULL,
    pair TEXT UNIQUE, -- "lower id-higher id" of a private dialog
    name TEXT, description TEXT, photo TEXT,
    extra TEXT NOT NULL, -- JSON: pinned_messages_ids, extensions, permissions, data
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    last_message TEXT, last_message_id TEXT, last_message_user_id INTEGER,
    last_message_date_sent INTEGER
);
CREATE INDEX IF NOT EXISTS broadcasts ON dialogs (type) WHERE type = 1;
CREATE TABLE IF NOT EXISTS occupants ( -- of a broadcast: only owner and admins
    dialog_id TEXT NOT NULL, user_id INTEGER NOT NULL, admin INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS occupants_of_user ON occupants (user_id, dialog_id);
CREATE TABLE IF NOT EXISTS preferences ( -- of one user for one dialog; defaults without a row
    dialog_id TEXT NOT NULL, user_id INTEGER NOT NULL,
    notifications INTEGER NOT NULL DEFAULT 1,
    hidden INTEGER NOT NULL DEFAULT 0, -- deleted for this user, until the next message
    PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival, which settles equal date_sent
    id TEXT UNIQUE NOT NULL, dialog_id TEXT NOT NULL,
    sender_id INTEGER NOT NULL, recipient_id INTEGER NOT NULL,
    message TEXT, date_sent INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    attachments TEXT NOT NULL, custom TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_dialog ON messages (dialog_id, date_sent, seq);
CREATE TABLE IF NOT EXISTS receipts ( -- of the sender, each recipient and each reader
    message_id TEXT NOT NULL, user_id INTEGER NOT NULL, dialog_id TEXT NOT NULL,
    delivered INTEGER NOT NULL, read INTEGER NOT NULL,
    PRIMARY KEY (message_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unread ON receipts (user_id, dialog_id) WHERE read = 0;
CREATE TABLE IF NOT EXISTS removals ( -- messages deleted for one user alone
    user_id INTEGER NOT NULL, message_id TEXT NOT NULL, dialog_id TEXT NOT NULL,
    PRIMARY KEY (user_id, message_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reactions (
    message_id TEXT NOT NULL, user_id INTEGER NOT NULL, type TEXT NOT NULL,
    PRIMARY KEY (message_id, user_id)
) WITHOUT ROWID;
"""

# SQLite's default bound on variables is 999 in old builds.
_MOST_VARIABLES = 900

_DIALOGS_OF = (
    "(d.id IN (SELECT dialog_id FROM occupants WHERE user_id = ?) OR d.type = 1)"
    " AND NOT EXISTS (SELECT 1 FROM preferences p"
    " WHERE p.dialog_id = d.id AND p.user_id = ? AND p.hidden)"
)
_NOT_REMOVED = "NOT EXISTS (SELECT 1 FROM removals r WHERE r.user_id = ? AND r.message_id = m.id)"
_TABLES_OF_MESSAGES = ("receipts", "removals", "reactions")


class ConversationStore:
    """Dialogs, occupants, messages, receipts and reactions."""

    def __init__(self, database: Database) -> None:
        self._db = database
        database.create(_SCHEMA)

    # --- dialogs --------------------------------------------------------------------------------

    def add_dialog(
        self, values: Mapping[str, Any], occupants: Iterable[int], admins: Iterable[int] = ()
    ) -> bool:
        """Insert a dialog with its occupants; return False for a pair that has a private dialog."""
        with self._db.transaction():
            if self._db.insert("dialogs", values, verb="INSERT OR IGNORE").rowcount == 0:
                return False
            self._set_occupants(values["id"], occupants)
            self._set_admins(values["id"], admins, True)
        return True

    def update_dialog(
        self,
        dialog_id: str,
        values: Mapping[str, Any] = MappingProxyType({}),
        *,
        add: Iterable[int] = (),
        remove: Sequence[int] = (),
        add_admins: Iterable[int] = (),
        remove_admins: Iterable[int] = (),
    ) -> None:
        """Change columns, occupants and admins of a dialog; an admin becomes an occupant."""
        with self._db.transaction():
            if values:
                self._db.update("dialogs", dialog_id, values)
            self._set_occupants(dialog_id, add)
            self._set_admins(dialog_id, remove_admins, False)
            self._set_admins(dialog_id, add_admins, True)
            for user_id in remove:
                for table in ("occupants", "preferences"):
                    self._db.run(
                        f"DELETE FROM {table} WHERE dialog_id = ? AND user_id = ?",
                        dialog_id,
                        user_id,
                    )

    def _set_occupants(self, dialog_id: str, user_ids: Iterable[int]) -> None:
        self._db.connection.executemany(
            "INSERT OR IGNORE INTO occupants (dialog_id, user_id) VALUES (?, ?)",
            [(dialog_id, user_id) for user_id in user_ids],
        )

    def _set_admins(self, dialog_id: str, user_ids: Iterable[int], admin: bool) -> None:
        user_ids = list(user_ids)
        if admin:
            self._set_occupants(dialog_id, user_ids)
        self._db.connection.executemany(
            "UPDATE occupants SET admin = ? WHERE dialog_id = ? AND user_id = ?",
            [(admin, dialog_id, user_id) for user_id in user_ids],
        )

    def delete_dialog(self, dialog_id: str) -> None:
        """Delete a dialog with everything in it."""
        with self._db.transaction():
            self._delete_messages("dialog_id = ?", (dialog_id,))
            for table in ("occupants", "preferences"):
                self._db.run(f"DELETE FROM {table} WHERE dialog_id = ?", dialog_id)
            self._db.run("DELETE FROM dialogs WHERE id = ?", dialog_id)

    def dialog(self, dialog_id: str) -> Row | None:
        """Return the dialog with this id."""
        return self._db.one("SELECT * FROM dialogs WHERE id = ?", dialog_id)

    def all_dialogs(self, ids: Sequence[Any] | None = None) -> list[Row]:
        """Return every dialog, or those with some ids, by id."""
        if ids is None:
            return self._db.all("SELECT * FROM dialogs ORDER BY id")
        wanted = "(SELECT value FROM json_each(?))"
        return self._db.all(
            f"SELECT * FROM dialogs WHERE id IN {wanted} ORDER BY id", (json.dumps(list(ids)),)
        )

    def private_dialog(self, user_id: int, other_id: int) -> Row | None:
        """Return the private dialog of two users."""
        return self._db.one("SELECT * FROM dialogs WHERE pair = ?", pair_of(user_id, other_id))

    def occupants(self, dialog_id: str, *, limit: int = -1, skip: int = 0) -> list[Row]:
        """Return user_id and admin of each occupant."""
        return self._db.all(
            "SELECT user_id, admin FROM occupants WHERE dialog_id = ? ORDER BY user_id"
            " LIMIT ? OFFSET ?",
            (dialog_id, limit, skip),
        )

    def admins(self, dialog_id: str) -> list[int]:
        """Return the ids of a dialog's admins."""
        rows = self._db.all(
            "SELECT user_id FROM occupants WHERE dialog_id = ? AND admin ORDER BY user_id",
            (dialog_id,),
        )
        return [row["user_id"] for row in rows]

    def count_occupants(self, dialog_id: str) -> int:
        """Return how many occupants a dialog has."""
        return self._db.count("occupants", "dialog_id = ?", (dialog_id,))

    def forget_user(self, user_id: int) -> None:
        """Remove a deleted user from all dialogs but the private ones, which the other user keeps."""
        with self._db.transaction():
            self._db.run(
                "DELETE FROM occupants WHERE user_id = ? AND dialog_id IN"
                " (SELECT id FROM dialogs WHERE pair IS NULL)",
                user_id,
            )
            self._db.run("DELETE FROM preferences WHERE user_id = ?", user_id)

    def occupant(self, dialog_id: str, user_id: int) -> Row | None:
        """Return user_id and admin of an occupant; None if the user is not in this dialog."""
        return self._db.one(
            "SELECT user_id, admin FROM occupants WHERE dialog_id = ? AND user_id = ?",
            dialog_id,
            user_id,
        )

    def dialogs_of(
        self,
        user_id: int,
        where: str = "1",
        values: Sequence[Any] = (),
        *,
        order: str = "d.id",
        limit: int = -1,
        skip: int = 0,
    ) -> list[Row]:
        """Return a page of the dialogs that this user's list shows."""
        return self._db.all(
            f"SELECT d.* FROM dialogs d WHERE {_DIALOGS_OF} AND {where}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (user_id, user_id, *values, limit, skip),
        )

    def count_dialogs_of(self, user_id: int, where: str, values: Sequence[Any]) -> int:
        """Return how many dialogs this user's list shows."""
        return self._db.count(
            "dialogs d", f"{_DIALOGS_OF} AND {where}", (user_id, user_id, *values)
        )

    def list_dialogs(
        self, where: str, values: Sequence[Any], *, order: str, limit: int, skip: int
    ) -> list[Row]:
        """Return a page of the dialogs of all users."""
        return self._db.all(
            f"SELECT d.* FROM dialogs d WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*values, limit, skip),
        )

    def count_dialogs(self, where: str, values: Sequence[Any]) -> int:
        """Return how many dialogs of all users fulfil a condition."""
        return self._db.count("dialogs d", where, values)

    # --- preferences ----------------------------------------------------------------------------

    def preference(self, dialog_id: str, user_id: int, name: str) -> int | None:
        """Return a user's preference for a dialog; None if it was never set."""
        row = self._db.one(
            "SELECT * FROM preferences WHERE dialog_id = ? AND user_id = ?", dialog_id, user_id
        )
        return None if row is None else int(row[name])

    def set_preference(self, dialog_id: str, user_id: int, name: str, value: bool) -> None:
        """Set a user's preference for a dialog."""
        self._db.run(
            f"INSERT INTO preferences (dialog_id, user_id, {name}) VALUES (?, ?, ?)"
            f" ON CONFLICT (dialog_id, user_id) DO UPDATE SET {name} = excluded.{name}",
            dialog_id,
            user_id,
            value,
        )

    def muted_by(self, dialog_id: str) -> set[int]:
        """Return the users that want no notifications from a dialog."""
        rows = self._db.all(
            "SELECT user_id FROM preferences WHERE dialog_id = ? AND NOT notifications",
            (dialog_id,),
        )
        return {row["user_id"] for row in rows}

    def hidden_from(self, dialog_id: str) -> list[int]:
        """Return the users that have deleted a dialog for themselves."""
        rows = self._db.all(
            "SELECT user_id FROM preferences WHERE dialog_id = ? AND hidden ORDER BY user_id",
            (dialog_id,),
        )
        return [row["user_id"] for row in rows]

    # --- messages -------------------------------------------------------------------------------

    def add_message(self, values: Mapping[str, Any], recipients: Iterable[int]) -> bool:
        """Insert a message; return False when a message with this id is stored already.

        The dialog becomes visible again to the users that had deleted it for themselves.
        """
        sender, dialog_id = values["sender_id"], values["dialog_id"]
        with self._db.transaction():
            if self._db.insert("messages", values, verb="INSERT OR IGNORE").rowcount == 0:
                return False
            self._db.connection.executemany(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, ?)",
                [
                    (values["id"], user_id, dialog_id, user_id == sender, user_id == sender)
                    for user_id in {sender, *recipients}
                ],
            )
            self._set_last_message(dialog_id, values, updated_at=values["updated_at"])
            self._db.run("UPDATE preferences SET hidden = 0 WHERE dialog_id = ?", dialog_id)
        return True

    def add_history(
        self,
        dialog_id: str,
        messages: Sequence[Mapping[str, Any]],
        receipts: Iterable[tuple[str, int, str, bool, bool]],
        *,
        now: int,
    ) -> None:
        """Insert many messages of a dialog at once, with their receipts as rows of that table."""
        if not messages:
            return
        names = list(messages[0])
        marks = ", ".join(f":{name}" for name in names)
        with self._db.transaction():
            self._db.connection.executemany(
                f"INSERT INTO messages ({', '.join(names)}) VALUES ({marks})", messages
            )
            self._db.connection.executemany("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", receipts)
            self._set_last_message(dialog_id, messages[-1], updated_at=now)
            self._db.run("UPDATE preferences SET hidden = 0 WHERE dialog_id = ?", dialog_id)

    def _set_last_message(
        self, dialog_id: str, message: Row | Mapping[str, Any] | None, **values: Any
    ) -> None:
        # A dialog without messages has None in these columns.
        last = message or dict.fromkeys(("message", "id", "sender_id", "date_sent"))
        self._db.update(
            "dialogs",
            dialog_id,
            {
                "last_message": last["message"],
                "last_message_id": last["id"],
                "last_message_user_id": last["sender_id"],
                "last_message_date_sent": last["date_sent"],
                **values,
            },
        )

    def update_message(self, message_id: str, values: Mapping[str, Any]) -> None:
        """Change columns of a message; the dialog shows the new body if this is its last message."""
        with self._db.transaction():
            self._db.update("messages", message_id, values)
            if "message" in values:
                self._db.run(
                    "UPDATE dialogs SET last_message = ? WHERE last_message_id = ?",
                    values["message"],
                    message_id,
                )

    def message(self, message_id: str) -> Row | None:
        """Return the message with this id, without its receipts."""
        return self._db.one("SELECT * FROM messages WHERE id = ?", message_id)

    def messages_with(self, ids: Sequence[Any]) -> list[Row]:
        """Return messages by their ids, as ``messages`` does, in the order of their arrival."""
        wanted = "(SELECT value FROM json_each(?))"
        return self._with_receipts(
            self._db.all(
                f"SELECT * FROM messages WHERE id IN {wanted} ORDER BY seq",
                (json.dumps(list(ids)),),
            )
        )

    def messages(
        self,
        dialog_id: str,
        where: str = "1",
        values: Sequence[Any] = (),
        *,
        reader: int | None = None,
        order: str = "seq",
        limit: int = -1,
        skip: int = 0,
    ) -> list[Row]:
        """Return a page of a dialog's messages with ``delivered_ids``, ``read_ids`` and ``reactions``.

        Messages that ``reader`` has deleted for himself or herself are left out.
        """
        return self._with_receipts(
            self._db.all(
                f"SELECT m.* FROM messages m WHERE m.dialog_id = ? AND {_NOT_REMOVED} AND {where}"
                f" ORDER BY {order} LIMIT ? OFFSET ?",
                (dialog_id, reader, *values, limit, skip),
            )
        )

    def count_messages(
        self, dialog_id: str, where: str, values: Sequence[Any], *, reader: int | None = None
    ) -> int:
        """Return how many messages ``messages`` would return without a limit."""
        return self._db.count(
            "messages m",
            f"m.dialog_id = ? AND {_NOT_REMOVED} AND {where}",
            (dialog_id, reader, *values),
        )

    def search_messages(
        self, user_id: int, where: str, values: Sequence[Any], *, limit: int
    ) -> list[Row]:
        """Return messages of all dialogs that this user's list shows, newest first."""
        return self._with_receipts(
            self._db.all(
                f"SELECT m.* FROM messages m JOIN dialogs d ON d.id = m.dialog_id"
                f" WHERE {_DIALOGS_OF} AND {_NOT_REMOVED} AND {where}"
                " ORDER BY m.date_sent DESC, m.seq DESC LIMIT ?",
                (user_id, user_id, user_id, *values, limit),
            )
        )

    def list_messages(
        self, where: str, values: Sequence[Any], *, order: str, limit: int, skip: int
    ) -> list[Row]:
        """Return a page of the messages of all dialogs, as ``messages`` does."""
        return self._with_receipts(
            self._db.all(
                f"SELECT m.* FROM messages m WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
                (*values, limit, skip),
            )
        )

    def count_all_messages(self, where: str, values: Sequence[Any]) -> int:
        """Return how many messages of all dialogs fulfil a condition."""
        return self._db.count("messages m", where, values)

    def removed_for(self, ids: Sequence[str]) -> dict[str, list[int]]:
        """Return the users that have deleted messages for themselves, by the ids of these messages."""
        found: dict[str, list[int]] = {}
        wanted = "(SELECT value FROM json_each(?))"
        for row in self._db.all(
            f"SELECT user_id, message_id FROM removals WHERE message_id IN {wanted} ORDER BY user_id",
            (json.dumps(list(ids)),),
        ):
            found.setdefault(row["message_id"], []).append(row["user_id"])
        return found

    def per_day(
        self, table: str, moment: str, where: str, values: Sequence[Any], *, limit: int, skip: int
    ) -> dict[str, int]:
        """Count the rows of a table by the day (UTC) of a column of unix seconds, the earliest day first."""
        rows = self._db.all(
            f"SELECT date({moment}, 'unixepoch') AS day, count(*) AS number FROM {table} WHERE {where}"
            " GROUP BY day ORDER BY day LIMIT ? OFFSET ?",
            (*values, limit, skip),
        )
        return {row["day"]: row["number"] for row in rows}

    def message_ids(self, dialog_id: str) -> list[str]:
        """Return the ids of all messages of a dialog."""
        rows = self._db.all("SELECT id FROM messages WHERE dialog_id = ?", (dialog_id,))
        return [row["id"] for row in rows]

    def is_removed(self, message_id: str, user_id: int) -> bool:
        """Whether this user has deleted a message for himself or herself."""
        return bool(
            self._db.count("removals", "user_id = ? AND message_id = ?", (user_id, message_id))
        )

    def remove_messages(self, user_id: int, dialog_id: str, message_id: str | None = None) -> None:
        """Hide a message, or all messages that a dialog has now, from one user."""
        self._db.run(
            "INSERT OR IGNORE INTO removals SELECT ?, id, dialog_id FROM messages"
            " WHERE dialog_id = ? AND coalesce(id = ?, 1)",
            user_id,
            dialog_id,
            message_id,
        )

    def delete_messages(self, dialog_id: str, message_id: str | None = None) -> None:
        """Delete a message, or all of a dialog, for everybody; the dialog shows its new last message."""
        with self._db.transaction():
            self._delete_messages("dialog_id = ? AND coalesce(id = ?, 1)", (dialog_id, message_id))
            last = self._db.one(
                "SELECT * FROM messages WHERE dialog_id = ? ORDER BY seq DESC LIMIT 1", dialog_id
            )
            self._set_last_message(dialog_id, last)

    def _delete_messages(self, where: str, values: Sequence[Any]) -> None:
        for table in _TABLES_OF_MESSAGES:
            self._db.run(
                f"DELETE FROM {table} WHERE message_id IN (SELECT id FROM messages WHERE {where})",
                *values,
            )
        self._db.run(f"DELETE FROM messages WHERE {where}", *values)

    def _with_receipts(self, rows: list[Row]) -> list[Row]:
        """Add the receipts and reactions to messages, and read their JSON."""
        by_id = {row["id"]: row for row in rows}
        for row in rows:
            row["attachments"] = json.loads(row["attachments"])
            row["custom"] = json.loads(row["custom"])
            row["delivered_ids"], row["read_ids"], row["reactions"] = [], [], {}
        for receipt in self._of_messages("receipts", list(by_id)):
            row = by_id[receipt["message_id"]]
            if receipt["delivered"]:
                row["delivered_ids"].append(receipt["user_id"])
            if receipt["read"]:
                row["read_ids"].append(receipt["user_id"])
        for reaction in self._of_messages("reactions", list(by_id)):
            reactions = by_id[reaction["message_id"]]["reactions"]
            reactions.setdefault(reaction["type"], []).append(reaction["user_id"])
        return rows

    def _of_messages(self, table: str, message_ids: Sequence[str]) -> Iterable[Row]:
        for ids in _slices(message_ids):
            marks = ", ".join("?" * len(ids))
            yield from self._db.all(
                f"SELECT * FROM {table} WHERE message_id IN ({marks}) ORDER BY user_id", ids
            )

    # --- receipts -------------------------------------------------------------------------------

    def mark(self, message_ids: Sequence[str], user_id: int, *, read: bool, now: int) -> None:
        """Note that a user has received messages, or read them; a read message stays read.

        Messages of dialogs that the user is not in do not change.
        """
        column = "read" if read else "delivered"
        for ids in _slices(message_ids):
            marks = ", ".join("?" * len(ids))
            changed = self._db.all(
                "SELECT m.id FROM messages m JOIN dialogs d ON d.id = m.dialog_id"
                " LEFT JOIN receipts r ON r.message_id = m.id AND r.user_id = ?"
                f" WHERE m.id IN ({marks}) AND NOT coalesce(r.{column}, 0)"
                " AND (d.type = 1 OR EXISTS (SELECT 1 FROM occupants o"
                " WHERE o.dialog_id = d.id AND o.user_id = ?))",
                (user_id, *ids, user_id),
            )
            if changed:
                self._mark([row["id"] for row in changed], user_id, read=read, now=now)

    def _mark(self, ids: Sequence[str], user_id: int, *, read: bool, now: int) -> None:
        marks = ", ".join("?" * len(ids))
        with self._db.transaction():
            self._db.run(
                "INSERT INTO receipts SELECT id, ?, dialog_id, 1, ? FROM messages"
                f" WHERE id IN ({marks})"
                " ON CONFLICT (message_id, user_id)"
                " DO UPDATE SET delivered = 1, read = max(read, excluded.read)",
                user_id,
                read,
                *ids,
            )
            self._db.run(f"UPDATE messages SET updated_at = ? WHERE id IN ({marks})", now, *ids)

    def unread_counts(self, user_id: int, dialog_id: str | None = None) -> dict[str, int]:
        """Return the number of unread messages by dialog, of all or one; dialogs without any are left out."""
        rows = self._db.all(
            "SELECT dialog_id, count(*) AS n FROM receipts r WHERE user_id = ? AND read = 0"
            f" AND dialog_id {'IN' if dialog_id is None else '= ? AND dialog_id IN'}"
            " (SELECT dialog_id FROM occupants WHERE user_id = ?)"
            " AND NOT EXISTS (SELECT 1 FROM removals x"
            " WHERE x.user_id = r.user_id AND x.message_id = r.message_id) GROUP BY dialog_id",
            (user_id, *(() if dialog_id is None else (dialog_id,)), user_id),
        )
        return {row["dialog_id"]: row["n"] for row in rows}

    def receipts(self, message_id: str) -> list[Row]:
        """Return user_id, delivered and read of the sender, each recipient and each reader of a message."""
        return self._db.all("SELECT * FROM receipts WHERE message_id = ?", (message_id,))

    # --- reactions ------------------------------------------------------------------------------

    def react(self, message_id: str, user_id: int, *, add: str | None, remove: str | None) -> bool:
        """Remove a user's reaction and set another; return False when nothing changed."""
        with self._db.transaction():
            changed = self._db.run(
                "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND type = ?",
                message_id,
                user_id,
                remove,
            )
            if add is not None:
                changed += self._db.run(
                    "INSERT INTO reactions VALUES (?, ?, ?) ON CONFLICT (message_id, user_id)"
                    " DO UPDATE SET type = excluded.type WHERE type != excluded.type",
                    message_id,
                    user_id,
                    add,
                )
        return changed > 0


def pair_of(user_id: int, other_id: int) -> str:
    """Return the value of the column ``pair`` of the private dialog of two users."""
    return f"{min(user_id, other_id)}-{max(user_id, other_id)}"


def _slices(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (
        items[start : start + _MOST_VARIABLES] for start in range(0, len(items), _MOST_VARIABLES)
    )
