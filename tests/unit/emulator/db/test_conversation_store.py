"""What the rules above the tables rely on, and REST alone cannot show."""

from __future__ import annotations

import pytest

from connectycube.emulator.db.conversation_store import ConversationStore
from connectycube.emulator.db.database import Database

ALICE, BOB, MALLORY = 1, 2, 3


@pytest.fixture
def store():
    database = Database()
    yield ConversationStore(database)
    database.connection.close()


@pytest.fixture
def group(store):
    return add_dialog(store, "group", kind=2)


def add_dialog(store, dialog_id, *, kind, **values):
    row = {"id": dialog_id, "type": kind, "user_id": ALICE, "extra": "{}", **values}
    assert store.add_dialog({**row, "created_at": 1, "updated_at": 1}, [ALICE, BOB])
    return dialog_id


def add_message(store, dialog_id, message_id="m"):
    values = {
        "id": message_id,
        "dialog_id": dialog_id,
        "sender_id": ALICE,
        "recipient_id": 0,
        "message": "hi",
        "date_sent": 5,
        "created_at": 5,
        "updated_at": 5,
        "attachments": "[]",
        "custom": "{}",
    }
    return store.add_message(values, [BOB])


def test_a_pair_has_one_dialog(store):
    add_dialog(store, "one", kind=3, pair="1-2")
    row = {"id": "two", "type": 3, "user_id": BOB, "extra": "{}", "pair": "1-2"}
    assert not store.add_dialog({**row, "created_at": 1, "updated_at": 1}, [BOB, ALICE])
    assert store.private_dialog(2, 1)["id"] == "one"


def test_a_repeated_id_is_stored_once_and_leaves_receipts_as_they_are(store, group):
    assert add_message(store, group)
    store.mark(["m"], BOB, read=True, now=6)
    assert not add_message(store, group)
    assert store.messages(group)[0]["read_ids"] == [ALICE, BOB]


def test_strangers_cannot_mark(store, group):
    add_message(store, group)
    store.mark(["m"], MALLORY, read=True, now=6)
    (message,) = store.messages(group)
    assert (message["read_ids"], message["updated_at"]) == ([ALICE], 5)


def test_a_mark_changes_a_messages_time_only_if_it_says_something_new(store, group):
    add_message(store, group)
    store.mark(["m"], BOB, read=True, now=6)
    store.mark(["m"], BOB, read=False, now=7)
    store.mark(["m"], BOB, read=True, now=8)
    (message,) = store.messages(group)
    assert (message["delivered_ids"], message["updated_at"]) == ([ALICE, BOB], 6)


def test_more_ids_than_a_statement_takes_are_marked(store, group):
    ids = [f"m{number}" for number in range(2_000)]
    for message_id in ids:
        add_message(store, group, message_id)
    assert store.unread_counts(BOB) == store.unread_counts(BOB, group) == {group: 2_000}
    store.mark(ids, BOB, read=True, now=6)
    assert store.unread_counts(BOB) == {}


@pytest.mark.parametrize("what", ["delete_dialog", "delete_messages"])
def test_nothing_of_a_deleted_message_is_left(store, group, what):
    add_message(store, group)
    store.react("m", BOB, add="👍", remove=None)
    store.remove_messages(BOB, group)
    getattr(store, what)(group)
    tables = ("messages", "receipts", "reactions", "removals")
    assert [store._db.count(table, "1") for table in tables] == [0, 0, 0, 0]
