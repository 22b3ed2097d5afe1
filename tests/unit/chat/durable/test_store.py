"""The durable store alone: what was committed is there after any end, and what goes wrong has a name."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectycube import DialogRef, DurableStoreError, Message
from connectycube.chat.durable import store as durable
from connectycube.chat.durable.records import Arrived, Identity, Outcome, Outgoing
from connectycube.chat.durable.store import DurableStore

ME = Identity(1, 5, "localhost")
PEER = "7-1@localhost"


def arrived(name: str, body: str = "hello") -> Arrived:
    return Arrived((PEER, 7, name), Message(id=name, body=body, dialog=DialogRef.private(7)))


def outgoing(name: str, inbound: int | None = None, body: str = "hello") -> Outgoing:
    message = Message(id=name, body=body, dialog=DialogRef.private(7))
    return Outgoing(name, PEER, f"<message id='{name}'/>".encode(), message, inbound)


def acknowledged(name: str, inbound: int | None = None) -> Outcome:
    return Outcome(name, PEER, acknowledged=True, inbound=inbound)


def take(store: DurableStore, *names: str) -> list[int]:
    return store.commit([arrived(name) for name in names], (), None, None)


def waiting(store: DurableStore) -> list[str]:
    return [entry.key[2] for entry in store.inbox()]


@contextmanager
def opened(path: Path, identity: Identity = ME) -> Iterator[DurableStore]:
    store = DurableStore(str(path), identity)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def store(path) -> Iterator[DurableStore]:
    with opened(path) as made:
        yield made


def refusal(path: Path, identity: Identity = ME) -> str:
    """Why the file cannot be opened; the error names the file."""
    with pytest.raises(DurableStoreError) as caught:
        DurableStore(str(path), identity)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- what is in it -------------------------------------------------------------------------------


def test_a_new_store_holds_nothing(store):
    assert (store.inbox(), store.outbox(), store.seen(), store.sent()) == ([], [], [], [])
    assert store.cursor is None


def test_messages_come_back_in_the_order_in_which_they_arrived(path):
    with opened(path) as store:
        take(store, "b", "a")
        take(store, "c")
    with opened(path) as store:
        assert waiting(store) == ["b", "a", "c"]
        assert [entry.event for entry in store.inbox()] == [arrived(name).event for name in "bac"]


def test_a_sender_may_have_any_number(store):
    key = (PEER, 2**63 + 1, "a")
    store.commit([Arrived(key, Message(body="x"))], (), None, None)
    assert [entry.key for entry in store.inbox()] == [key]
    assert store.seen() == [(key, None)]


def test_what_was_handled_is_not_there_any_more_but_known(path):
    with opened(path) as store:
        first, _ = take(store, "a", "b")
        store.handled(first)
    with opened(path) as store:
        assert waiting(store) == ["b"]
        assert [key[2] for key, _ in store.seen()] == ["a", "b"]


def test_what_was_withdrawn_was_never_there(store):
    _, second, third = take(store, "a", "b", "c")
    store.withdraw([second, third])
    assert store.inbox_count == 1
    store.withdraw([second, 99])
    assert store.inbox_count == 1
    assert waiting(store) == ["a"]
    assert [key[2] for key, _ in store.seen()] == ["a"]


def test_the_outbox_keeps_stanzas_and_messages_in_order(path):
    with opened(path) as store:
        for name in "ba":
            store.add(outgoing(name, inbound=3))
    with opened(path) as store:
        assert store.outbox() == [outgoing("b", 3), outgoing("a", 3)]
        assert store.recipient_of_outgoing("a") == PEER
        assert store.recipient_of_sent("a") is None


def test_an_acknowledged_message_moves_to_those_that_were_sent(store):
    store.add(outgoing("a"))
    store.add(outgoing("b"))
    store.commit((), [acknowledged("a")], None, 50.0)
    assert [entry.id for entry in store.outbox()] == ["b"]
    assert store.sent() == [("a", PEER, 50.0)]
    assert store.recipient_of_sent("a") == PEER


def test_a_refused_message_is_forgotten(store):
    store.add(outgoing("a"))
    store.commit((), [Outcome("a", PEER, acknowledged=False)], None, None)
    assert (store.outbox(), store.sent()) == ([], [])


def test_an_id_is_in_the_outbox_once(store):
    store.add(outgoing("a"))
    with pytest.raises(DurableStoreError, match="UNIQUE"):
        store.add(outgoing("a"))
    assert len(store.outbox()) == 1


def test_a_takeover_stores_the_cursor_unless_its_time_is_unknown(path):
    with opened(path) as store:
        store.commit([arrived("a")], (), 100.0, 101.0)
        take(store, "b")
        assert store.cursor == 100.0
        assert store.seen() == [((PEER, 7, "a"), 101.0), ((PEER, 7, "b"), None)]
        store.set_cursor(130.5)
        store.set_cursor(None)
    with opened(path) as store:
        assert store.cursor == 130.5


def test_a_store_has_an_id_of_its_own_that_it_keeps(path, tmp_path):
    with opened(path) as store, opened(tmp_path / "other.db") as other:
        made = store.store_id
        assert other.store_id != made
    with opened(path) as store:
        assert store.store_id == made


def test_a_store_stays_where_it_is_when_the_process_changes_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened(Path("bot.db")) as store:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        take(store, "a")
        assert store.path == str(tmp_path / "bot.db")
    with opened(tmp_path / "bot.db") as store:
        assert waiting(store) == ["a"]


def test_its_files_are_for_its_owner_alone(path, store):
    take(store, "a")
    for name in (path, path.with_name("bot.db-wal")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


def test_a_closed_store_is_one_file(path):
    with opened(path) as store:
        take(store, "a")
    assert os.listdir(path.parent) == ["bot.db"]


# --- what is forgotten ---------------------------------------------------------------------------


@pytest.fixture
def forgetful(monkeypatch) -> None:
    monkeypatch.setattr(durable, "_KEPT", 3)
    monkeypatch.setattr(durable, "_PRUNE_AFTER", 5)


@pytest.mark.usefixtures("forgetful")
def test_the_oldest_keys_and_ids_are_forgotten_beyond_a_bound(store):
    for number in range(10):
        place = take(store, f"in{number}")[0]
        store.handled(place)
        store.commit((), [acknowledged(f"out{number}")], None, None)
    store.prune()
    assert [key[2] for key, _ in store.seen()] == ["in7", "in8", "in9"]
    assert [entry[0] for entry in store.sent()] == ["out7", "out8", "out9"]


@pytest.mark.usefixtures("forgetful")
def test_pruning_happens_by_itself(store):
    for number in range(20):
        store.handled(take(store, f"in{number}")[0])
    assert len(store.seen()) <= 3 + 5


@pytest.mark.usefixtures("forgetful")
def test_keys_that_a_gap_may_need_are_kept_however_many_there_are(store):
    for number in range(10):
        moment = 10_000.0 + number
        store.commit([arrived(f"in{number}")], [acknowledged(f"out{number}")], moment, moment)
    for place in [entry.n for entry in store.inbox()]:
        store.handled(place)
    store.prune()
    assert len(store.seen()) == len(store.sent()) == 10
    store.set_cursor(10_009.0 + durable._KEPT_SECONDS)
    store.prune()
    assert len(store.seen()) == len(store.sent()) == 3


@pytest.mark.usefixtures("forgetful")
def test_pruning_keeps_an_unhandled_message_and_its_answers(store):
    place = take(store, "unhandled")[0]
    store.commit((), [acknowledged("answer", place)], None, None)
    for number in range(10):
        store.handled(take(store, f"in{number}")[0])
        store.commit((), [acknowledged(f"out{number}")], None, None)
    store.prune()
    assert store.seen()[0][0][2] == "unhandled"
    assert store.recipient_of_sent("answer") == PEER
    store.handled(place)
    store.prune()
    assert store.recipient_of_sent("answer") is None


# --- who may open it -----------------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_second_connection_of_this_process_is_refused(path):
    assert "another connection of this one" in refusal(path)


def test_a_refused_second_connection_does_not_harm_the_first(path, store):
    take(store, "a")
    refusal(path)
    take(store, "b")
    assert waiting(store) == ["a", "b"]


def test_another_users_file_is_refused_by_name(path):
    with opened(path):
        pass
    for other in (Identity(1, 6, "localhost"), Identity(2, 5, "localhost"), Identity(1, 5, "x.y")):
        told = refusal(path, other)
        assert "user 5 of application 1 at localhost" in told
        assert f"user {other.user_id} of application {other.app_id} at {other.chat_host}" in told
    with opened(path) as store:
        assert store.inbox() == []


def test_a_database_of_another_program_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    assert "another program" in refusal(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
    other.close()


FIRST_VERSION = (
    "CREATE TABLE identity (app_id INTEGER, user_id INTEGER, chat_host TEXT, store_id TEXT, opened INTEGER)",
    "CREATE TABLE cursor (service_time REAL)",
    "CREATE TABLE seen (n INTEGER PRIMARY KEY, conversation TEXT NOT NULL, sender TEXT NOT NULL,"
    " id TEXT NOT NULL, at REAL, UNIQUE (conversation, sender, id))",
    "CREATE TABLE inbox (n INTEGER PRIMARY KEY, conversation TEXT NOT NULL, sender TEXT NOT NULL,"
    " id TEXT NOT NULL, message TEXT NOT NULL)",
    "CREATE TABLE outbox (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,"
    " inbound INTEGER, stanza BLOB NOT NULL, message TEXT NOT NULL)",
    "CREATE TABLE sent (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,"
    " inbound INTEGER, at REAL)",
    "INSERT INTO cursor VALUES (1000.5)",
    "INSERT INTO identity VALUES (1, 5, 'localhost', 'the store', 3)",
    f"INSERT INTO seen VALUES (1, '{PEER}', '7', 'a', 1000.0), (2, '{PEER}', '7', 'b', 1000.0)",
    f"INSERT INTO inbox VALUES (2, '{PEER}', '7', 'b', '{{\"id\": \"b\", \"body\": \"left\"}}')",
    f"INSERT INTO inbox VALUES (3, '{PEER}', '5', 'e', '{{\"id\": \"e\", \"own\": true}}')",
    f"INSERT INTO outbox VALUES (1, 'c', '{PEER}', 2, x'3c6d2f3e',"
    """ '{"id": "c", "dialog": {"id": null, "type": 3, "peer_id": 7}}')""",
    f"PRAGMA application_id = {0x43756265}",
    "PRAGMA user_version = 1",
)


def test_a_file_of_the_first_version_is_read_and_goes_on(path):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in FIRST_VERSION:
        connection.execute(statement)
    connection.close()
    for _ in range(2):  # the second time it is of the new version
        with opened(path) as store:
            left, own = store.inbox()
            assert (own.n, own.signal) == (3, "own_message_received")
            assert (left.n, left.key, left.signal) == (2, (PEER, 7, "b"), "message_received")
            assert (left.event.body, left.done, left.receiver) == ("left", frozenset(), None)
            assert [entry.id for entry in store.outbox()] == ["c"]
            assert (store.store_id, store.cursor) == ("the store", 1000.5)
    with opened(path) as store:
        assert take(store, "d") == [4]
        store.note_done(2, {"one"})
        assert [entry.done for entry in store.inbox()] == [{"one"}, frozenset(), frozenset()]


SECOND_VERSION = (
    *(
        statement
        for statement in FIRST_VERSION
        if not statement.startswith(("INSERT", "CREATE TABLE inbox"))
    ),
    "CREATE TABLE beginning (service_time REAL)",
    "CREATE TABLE older (conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL)",
    "CREATE TABLE inbox (n INTEGER PRIMARY KEY, conversation TEXT NOT NULL, sender TEXT NOT NULL,"
    " id TEXT NOT NULL, message TEXT NOT NULL, signal TEXT NOT NULL DEFAULT 'message_received',"
    " done TEXT, receiver TEXT, letter INTEGER UNIQUE)",
    "INSERT INTO cursor VALUES (1000.5)",
    "INSERT INTO beginning VALUES (900.0)",
    f"INSERT INTO older VALUES ('{PEER}', '7', 'o')",
    "INSERT INTO identity VALUES (1, 5, 'localhost', 'the store', 3)",
    f"INSERT INTO seen VALUES (1, '{PEER}', '7', 'a', 1000.0), (2, '{PEER}', '7', 'b', 1001.0),"
    f" (6, '{PEER}', '7', 'c', NULL)",
    f"INSERT INTO inbox VALUES (2, '{PEER}', '7', 'b', '{{\"id\": \"b\", \"body\": \"left\"}}',"
    """ 'own_message_received', '["one"]', NULL, NULL)""",
    f"INSERT INTO inbox VALUES (4, '{PEER}', '0', '#5', '{{\"body\": \"new\"}}', 'message_edited',"
    " NULL, NULL, NULL)",
    f"INSERT INTO inbox VALUES (5, '{PEER}', '7', 'a', '{{\"body\": \"dead\"}}', 'message_received',"
    " NULL, 'two', 12)",
    f"INSERT INTO sent VALUES (1, 's', '{PEER}', 2, 1000.0)",
    f"INSERT INTO outbox VALUES (1, 'c', '{PEER}', 2, x'3c6d2f3e',"
    """ '{"id": "c", "dialog": {"id": null, "type": 3, "peer_id": 7}}')""",
    "PRAGMA user_version = 2",
)


def test_a_file_of_the_second_version_is_read_and_goes_on(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in SECOND_VERSION:
            connection.execute(statement)
    for _ in range(2):  # the second time it is of the new version
        with opened(path) as store:
            left, new, dead = store.inbox()
            assert (left.n, left.key, left.event.body) == (2, (PEER, 7, "b"), "left")
            assert (left.signal, left.done) == ("own_message_received", {"one"})
            assert (new.n, new.key, new.signal) == (4, (PEER, 0, "#5"), "message_edited")
            assert (dead.n, dead.key, dead.receiver) == (5, (PEER, 7, "a"), "two")
            assert store.letters() == {5: 12}
            known = [
                ((PEER, 7, name), at) for name, at in (("a", 1000.0), ("b", 1001.0), ("c", None))
            ]
            assert store.seen() == known
            assert (store.inbox_count, store.outbox_count) == (3, 1)
            assert store.sent() == [("s", PEER, 1000.0)]
            assert (store.cursor, store.beginning) == (1000.5, 900.0)
            assert store.older() == [(PEER, 7, "o")]
    with opened(path) as store:
        store.handled(2)
        assert take(store, "d") == [7]
        assert [entry.n for entry in store.inbox()] == [4, 5, 7]
        assert [key[2] for key, _ in store.seen()] == ["a", "b", "c", "d"]


def test_a_file_stays_of_its_version_if_it_cannot_be_brought_up(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in SECOND_VERSION:
            connection.execute(statement)
        connection.execute("CREATE TABLE arrivals (n)")
    assert "table arrivals already exists" in refusal(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM inbox").fetchone() == (3,)


def test_a_key_that_arrives_again_is_known_once_in_its_last_place(path):
    with opened(path) as store:
        take(store, "a", "b")
        store.handled(1)
        store.commit([arrived("a")], (), None, 20.0)
        assert store.seen() == [((PEER, 7, "b"), None), ((PEER, 7, "a"), 20.0)]
        assert [entry.n for entry in store.inbox()] == [2, 3]


def test_a_dead_letter_that_is_retried_is_no_arrival(store):
    take(store, "a")
    letter = Arrived((PEER, 7, "a"), Message(id="a"), "message_received", "one", 12)
    [number] = store.commit([letter], (), None, 20.0)
    assert store.letters() == {number: 12}
    assert store.seen() == [((PEER, 7, "a"), None)]
    store.handled(number)
    assert (store.letters(), store.seen()) == ({}, [((PEER, 7, "a"), None)])


def test_a_handled_event_fails_if_the_store_cannot_be_written(store):
    take(store, "a")
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(DurableStoreError, match=r"cannot be written: .*readonly"):
        store.handled(1)
    assert store.inbox_count == 1


def test_a_file_of_a_later_release_is_refused(path):
    with opened(path) as store:
        store._connection.execute("PRAGMA user_version = 9")
    assert "version is 9" in refusal(path)


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_alone(path):
    path.write_bytes(b"Dear diary, " * 500)
    assert "not a database" in refusal(path)
    assert path.read_bytes() == b"Dear diary, " * 500


DAMAGES = {
    "no owner": "DELETE FROM identity",
    "two owners": "INSERT INTO identity SELECT * FROM identity",
    "an owner without a name": "UPDATE identity SET store_id = NULL",
    "an owner of another type": "UPDATE identity SET user_id = 'x'",
    "no cursor": "DELETE FROM cursor",
    "a cursor that is text": "UPDATE cursor SET service_time = 'x'",
    "a sender that is no number": "UPDATE arrivals SET sender = 'x'",
    "a sender of an odd digit": "UPDATE arrivals SET sender = '\u00b2'",
    "a sender that is too long": f"UPDATE arrivals SET sender = '{'9' * 5000}'",
    "an id that is bytes": "UPDATE arrivals SET id = X'ff'",
    "the last number of SQLite": "UPDATE arrivals SET n = 9223372036854775807",
    "a signal that is no text": "UPDATE arrivals SET signal = X'00'",
    "names of receivers that are nested too deeply": f"UPDATE arrivals SET done = '{'[' * 5000}'",
    "a stanza that is text": "UPDATE outbox SET stanza = 'text'",
    "an inbound that is text": "UPDATE outbox SET inbound = 'x'",
    "a message that is sent to nobody": "UPDATE outbox SET message = '{}'",
    "a message of bytes": "UPDATE arrivals SET message = X'00'",
    "a recipient that is bytes": "UPDATE sent SET recipient = X'00'",
    "a time that is text": "UPDATE sent SET at = 'x'",
    "a table that has gone": "DROP TABLE sent",
    "a table with a name of no text": "PRAGMA writable_schema = ON;"
    " UPDATE sqlite_master SET sql = CAST(X'ff' AS TEXT), name = CAST(X'ff' AS TEXT) WHERE name = 'sent'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_is_an_error_with_its_reason(path, damage):
    with opened(path) as store:
        take(store, "first")
        for name in ("sent", "waiting"):
            store.add(outgoing(name))
        store.commit((), [acknowledged("sent")], 1.0, 1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.executescript(DAMAGES[damage])
    with pytest.raises(DurableStoreError) as caught, opened(path) as store:
        for read in (store.inbox, store.outbox, store.seen, store.sent, lambda: store.cursor):
            read()
    assert caught.value.path == str(path) and "cannot be" in str(caught.value)


def test_a_message_gets_a_number_that_no_other_has(path):
    with opened(path) as store:
        take(store, "first")
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE arrivals SET n = 70")
    with opened(path) as store:
        assert take(store, "second") == [71]


def test_a_damaged_file_is_refused(path):
    with opened(path) as store:
        take(store, *(f"m{number}" for number in range(200)))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    assert "cannot be opened" in refusal(path)


def test_a_truncated_file_is_refused(path):
    with opened(path) as store:
        take(store, *(f"m{number}" for number in range(200)))
    os.truncate(path, path.stat().st_size // 2)
    assert re.search("cannot be (opened|read)", refusal(path))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"body": 5}',
        '{"schema": 1, "model": {"a": "b"}}',
        '{"schema": 9}',
    ],
)
def test_an_event_that_cannot_be_read_costs_itself_and_stays(store, text):
    _, number, _ = take(store, "a", "b", "c")
    store._connection.execute("UPDATE arrivals SET message = ? WHERE n = ?", (text, number))
    one, damaged, three = store.inbox()
    assert (one.event.id, damaged.event, three.event.id) == ("a", None, "c")
    assert one.damage is None and damaged.damage


def test_a_folder_that_is_missing_is_named(tmp_path):
    assert "No such file" in refusal(tmp_path / "nowhere" / "bot.db")


def test_a_file_system_without_a_write_ahead_log_is_named(path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(  # without locks SQLite has no write-ahead log, and says so in a word only
        sqlite3, "connect", lambda name, **more: connect(f"file:{name}?nolock=1", uri=True, **more)
    )
    text = refusal(path)
    assert "cannot keep a write-ahead log: put the file on a local disk" in text
    assert "'delete'" in text


def test_a_log_that_cannot_be_written_is_no_riddle(path):
    path.with_name("bot.db-wal").mkdir()
    assert "may have no locks or no write-ahead log" in refusal(path)


def test_a_folder_in_its_place_is_refused(tmp_path):
    assert "directory" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["bot.db", "bot.db-wal"])
def test_a_store_file_removed_while_in_use_fails_the_next_write(path, name):
    with opened(path) as store:
        take(store, "a")
        path.with_name(name).unlink()
        with pytest.raises(DurableStoreError, match="removed while it was in use"):
            take(store, "b")
        with pytest.raises(DurableStoreError, match="removed while it was in use"):
            store.add(outgoing("c"))


def test_a_file_that_is_replaced_while_in_use_is_noticed(path, tmp_path):
    with opened(path) as store:
        shutil.copy(path, tmp_path / "copy")
        os.replace(tmp_path / "copy", path)
        with pytest.raises(DurableStoreError, match="removed or replaced"):
            take(store, "a")


def test_a_read_only_store_says_so(store):
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(DurableStoreError, match=r"cannot be written: .*readonly"):
        take(store, "a")


def test_a_full_disk_undoes_the_transaction_and_the_store_goes_on_later(store):
    take(store, "a")
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = [arrived("b"), arrived("c", "x" * 100_000)]
    with pytest.raises(DurableStoreError, match=r"cannot be written: .*full"):
        store.commit(big, (), 5.0, 5.0)
    assert waiting(store) == ["a"]
    assert store.cursor is None
    with pytest.raises(DurableStoreError, match="full"):
        store.add(outgoing("d", body="x" * 100_000))
    assert store.outbox() == []
    store._connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    store.commit(big, (), 5.0, 5.0)
    assert waiting(store) == ["a", "b", "c"]


# --- any end -------------------------------------------------------------------------------------

names = st.sampled_from([f"m{number}" for number in range(8)])


class AnyEnd(RuleBasedStateMachine):
    """Whatever was done, a copy of the files, which is what a crash leaves, holds what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "bot.db"
        self.store = DurableStore(str(self.path), ME)
        self.inbox: dict[int, str] = {}
        self.seen: list[str] = []
        self.outbox: list[str] = []
        self.sent: list[str] = []
        self.cursor: float | None = None

    @rule(new=st.lists(names, unique=True, max_size=4), cursor=st.none() | st.integers(1, 99))
    def commit(self, new, cursor):
        places = self.store.commit([arrived(name) for name in new], (), cursor, cursor)
        for place, name in zip(places, new, strict=True):
            self.inbox[place] = name
            if name in self.seen:
                self.seen.remove(name)
            self.seen.append(name)
        self.cursor = self.cursor if cursor is None else cursor

    @precondition(lambda self: self.inbox)
    @rule(data=st.data())
    def handled(self, data):
        place = data.draw(st.sampled_from(sorted(self.inbox)))
        for _ in range(2):  # the second one finds nothing
            self.store.handled(place)
        del self.inbox[place]

    @rule(name=names)
    def add(self, name):
        if name in self.outbox:
            with pytest.raises(DurableStoreError):
                self.store.add(outgoing(name))
        else:
            self.store.add(outgoing(name))
            self.outbox.append(name)

    @precondition(lambda self: self.outbox)
    @rule(data=st.data(), is_sent=st.booleans())
    def outcome(self, data, is_sent):
        name = data.draw(st.sampled_from(self.outbox))
        for _ in range(2):  # the second one finds nothing
            self.store.commit((), [Outcome(name, PEER, is_sent)], None, None)
        self.outbox.remove(name)
        if is_sent:
            if name in self.sent:
                self.sent.remove(name)
            self.sent.append(name)

    @rule(cursor=st.integers(1, 99))
    def set_cursor(self, cursor):
        self.store.set_cursor(cursor)
        self.cursor = cursor

    @rule()
    def reopen(self):
        self.store.close()
        self.store = DurableStore(str(self.path), ME)

    @rule()
    def checkpoint(self):
        self.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @invariant()
    def the_entries_are_counted(self):
        counts = self.store.inbox_count, self.store.outbox_count
        assert counts == (len(self.inbox), len(self.outbox))

    @invariant()
    def a_crash_now_loses_nothing(self):
        copy = self.folder / "copy.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
        with opened(copy) as left:
            assert {entry.n: entry.key[2] for entry in left.inbox()} == self.inbox
            assert [key[2] for key, _ in left.seen()] == self.seen
            assert [entry.id for entry in left.outbox()] == self.outbox
            assert [entry[0] for entry in left.sent()] == self.sent
            assert left.cursor == self.cursor

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestAnyEnd = AnyEnd.TestCase
TestAnyEnd.settings = settings(max_examples=20, stateful_step_count=20)
