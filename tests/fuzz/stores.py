"""Fuzzes the durable file: its damage is a DurableStoreError, or is without effect."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Hashable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any
from zlib import crc32

from connectycube import Config, DialogRef, Message
from connectycube.chat.durable.mode import Durability
from connectycube.chat.durable.records import Arrived, Identity, Outcome, Outgoing
from connectycube.chat.durable.serialization import message_of, text_of
from connectycube.chat.durable.store import DurableStore
from connectycube.chat.send_handle import SendHandle
from connectycube.errors import DurableStoreError
from connectycube.models import Attachment
from connectycube.models._json import EPOCH
from tests.fuzz.connection import Connection
from tests.fuzz.responses import damaged_json
from tests.fuzz.target import NASTY, Target

__all__ = ["SavedMessages", "Store"]

_ME = Identity(7, 1001, "chat.example")
_PEER = "1002-7@chat.example"
_COLUMNS = {
    "identity": ("app_id", "user_id", "chat_host", "store_id", "opened"),
    "cursor": ("service_time",),
    "arrivals": (
        *("n", "conversation", "sender", "id", "at", "message"),
        *("signal", "done", "receiver", "letter"),
    ),
    "outbox": ("n", "id", "recipient", "inbound", "stanza", "message"),
    "sent": ("n", "id", "recipient", "inbound", "at"),
}
_VALUES: tuple[Any, ...] = (
    *(
        None,
        0,
        1,
        -1,
        2**63 - 1,
        -(2**63),
        0.5,
        1e300,
        float("inf"),
        "",
        "x",
        "1",
        "-1",
        "9" * 30,
        "²",
        "é",
    ),
    *(
        {"hex": ""},
        {"hex": "ff"},
        {"hex": "3100"},
        "{}",
        "[]",
        "null",
        "{",
        '{"id": 1}',
        '{"dialog": 5}',
        "[" * 5000,
    ),
    *(
        '{"date_sent": "x"}',
        '{"attachments": [5]}',
        '{"body": {}}',
        '{"dialog": {"id": [], "type": 9}}',
    ),
    *(
        '{"dialog": {"id": {}, "type": 3, "peer_id": "x"}}',
        '{"attachments": {}}',
        '{"sender_id": []}',
        '{"custom": 1}',
    ),
)
_STATEMENTS = (
    *(f"DELETE FROM {table}" for table in _COLUMNS),
    *(f"DROP TABLE {table}" for table in _COLUMNS),
    *(f"ALTER TABLE {table} RENAME TO other" for table in _COLUMNS),
    *(f"INSERT INTO {table} SELECT * FROM {table}" for table in ("identity", "cursor")),
    *(
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 0",
        "PRAGMA encoding = 'UTF-16'",
    ),
    *(
        "CREATE TABLE extra (a)",
        "CREATE TRIGGER t AFTER INSERT ON arrivals BEGIN SELECT raise(ABORT, 'no'); END",
    ),
    *(
        "CREATE VIEW v AS SELECT * FROM nothing",
        "DROP TABLE arrivals; CREATE VIEW arrivals AS SELECT * FROM sent",
    ),
    *(
        "ALTER TABLE arrivals ADD COLUMN more",
        "CREATE UNIQUE INDEX i ON arrivals (conversation)",
        "VACUUM",
    ),
)


class Store(Target):
    """A store with work in it, damaged: opened, read into a core, written and closed.

    An input is a JSON list of damages: ["value", table, column, value], ["sql", statement] or
    ["bytes", place from 0 to 1, hex]. Anything else is written into the middle of the file.
    """

    name = "store"
    words = (*NASTY, *(json.dumps(value).encode() for value in _VALUES))

    def __enter__(self) -> Store:
        shared = (
            "/dev/shm"  # in memory, where there is such a folder: every commit waits for the disk
        )
        folder = shared if Path(shared).is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-store-", dir=folder))
        self._path = self._folder / "bot.db"
        self._good = _made(self._folder / "good.db")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder)

    def make(self, random: Random) -> bytes:
        return json.dumps(
            [self._damage(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        ).encode()

    def _damage(self, random: Random) -> list[Any]:
        chance = random.random()
        if chance < 0.6:
            table = random.choice(list(_COLUMNS))
            return ["value", table, random.choice(_COLUMNS[table]), random.choice(_VALUES)]
        if chance < 0.75:
            return ["sql", random.choice(_STATEMENTS)]
        return [
            "bytes",
            round(random.random(), 5),
            random.randbytes(random.choice((1, 1, 2, 8, 100))).hex(),
        ]

    def run(self, data: bytes) -> Hashable:
        for path in self._folder.glob("bot.db*"):
            path.unlink(missing_ok=True)  # a store that failed is closed once it is collected
        self._path.write_bytes(self._good)
        what = _damage(self._path, data)
        step = "opened"
        try:
            store = DurableStore(str(self._path), _ME)
            try:
                step = "used"
                _use(store)
            finally:
                with contextlib.suppress(DurableStoreError):
                    store.close()
            step = "restored"
            _restore(self._path)
        except DurableStoreError as error:
            assert str(error) and error.path == str(self._path)
            return what, step, str(error).rpartition(": ")[2][:40]
        return what, "whole"


def _made(path: Path) -> bytes:
    store = DurableStore(str(path), _ME)
    messages = [
        Message(
            id=f"{number:024x}",
            body=f"body {number}",
            date_sent=EPOCH,
            sender_id=1002,
            attachments=(Attachment(type="image", id="a", size=3),),
            custom={"k": "v"},
            dialog=DialogRef.private(1002),
        )
        for number in range(3)
    ]
    store.commit(
        [Arrived((_PEER, 1002, message.id or ""), message) for message in messages], (), 1e9, 1e9
    )
    for message in messages:
        stanza = f"<message id='{message.id}'/>".encode()
        store.add(Outgoing(message.id or "", _PEER, stanza, message, inbound=1))
    store.commit((), [Outcome(messages[0].id or "", _PEER, acknowledged=True, inbound=2)], 1e9, 1e9)
    store.close()
    return path.read_bytes()


def _damage(path: Path, data: bytes) -> Hashable:
    """Do what ``data`` says; return its kind."""
    try:
        damages = json.loads(data)
        kinds = tuple(_damage_one(path, *damage) for damage in damages)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, sqlite3.Error):
        _overwrite(path, (crc32(data) % 1000) / 1000, data)
        return "bytes"
    return kinds


def _damage_one(path: Path, kind: str, *details: Any) -> Hashable:
    if kind == "bytes":
        place, written = details
        _overwrite(path, float(place), bytes.fromhex(written))
        return kind
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        if kind == "sql":
            connection.executescript(str(details[0]))
            return details
        table, column, value = details
        if column not in _COLUMNS[table]:
            raise KeyError(column)
        if isinstance(value, dict):
            value = bytes.fromhex(value["hex"])
        where = f"WHERE n = (SELECT max(n) FROM {table})" if "n" in _COLUMNS[table] else ""
        connection.execute(f"UPDATE {table} SET {column} = ? {where}", (value,))
        return table, column, type(value).__name__


def _overwrite(path: Path, place: float, data: bytes) -> None:
    whole = path.read_bytes()
    start = int(max(0.0, min(1.0, place)) * (len(whole) - 1))
    path.write_bytes(whole[:start] + data + whole[start + len(data) :])


def _use(store: DurableStore) -> None:
    """Read and write everything, as a process does."""
    message = Message(id="f" * 24, body="new", dialog=DialogRef.private(1002))
    (place,) = store.commit([Arrived((_PEER, 1002, "f" * 24), message)], (), 2e9, 2e9)
    assert (
        store.recipient_of_sent("nothing") is None
        and store.recipient_of_outgoing("nothing") is None
    )
    store.handled(place)
    store.withdraw([place])
    store.add(Outgoing("e" * 24, _PEER, b"<message/>", message))
    store.set_cursor(3e9)
    store.prune()


def _restore(path: Path) -> None:
    """Begin a connection from the file, as a login does."""
    config = Config(app_id=7, auth_key="k", chat_host="chat.example", durable=str(path))

    def fail(error: DurableStoreError) -> None:
        raise error

    durability = Durability(
        config,
        service_time=lambda: 1e9,
        new_handle=lambda message_id, message: SendHandle(
            message_id, message, 1.0, contextlib.nullcontext
        ),
        failed=fail,
        warn=fail,
        has_history=True,
    )
    saved = durability.open(1001)
    try:
        connection = Connection()
        connection.login()
        connection.core.begin_from(saved.seen, saved.outbox, saved.cursor, connection.now)
        connection.link_up("managed")
        assert connection.core.is_ready
    finally:
        durability.release()


class SavedMessages(Target):
    """The text of a message in the file: it is refused, or is a message that can be written again."""

    name = "saved_messages"
    words = (
        *NASTY,
        *(json.dumps(value).encode() for value in _VALUES),
        b"[" * 5000,
        b'{"a":' * 5000,
    )

    def make(self, random: Random) -> bytes:
        return json.dumps(damaged_json(random, json.loads(random.choice(self.seeds())))).encode()

    def run(self, data: bytes) -> Hashable:
        try:
            message = message_of(data.decode("utf-8", "replace"))
        except (ValueError, TypeError, KeyError) as error:
            return type(error)
        assert repr(message)
        text = text_of(message)
        assert text_of(message_of(text)) == text
        return tuple(json.loads(text))
