"""The database notes what has changed while somebody asks, and nothing otherwise."""

from __future__ import annotations

import sqlite3

import pytest

from connectycube.emulator.db.changes import Changes
from connectycube.emulator.db.conversation_store import ConversationStore
from connectycube.emulator.db.store import Store


@pytest.fixture
def store():
    made = Store()
    ConversationStore(made.database)
    yield made
    made.close()


@pytest.fixture
def changes(store):
    made = Changes(store.database)
    made.start()
    return made


def add_user(store, login="alice"):
    return store.add_user(login=login, email=None, password=None, now=1, fields={})


def add_message(store, message_id="m1"):
    values = {
        "id": message_id,
        "dialog_id": "d1",
        "sender_id": 1,
        "recipient_id": 2,
        "message": "x",
        "date_sent": 1,
        "created_at": 1,
        "updated_at": 1,
        "attachments": "[]",
        "custom": "{}",
    }
    return ConversationStore(store.database).add_message(values, [2])


def test_each_change_is_noted_once_with_its_kind(store, changes):
    user = add_user(store)
    store.touch_user(user, 5)
    add_message(store)
    assert changes.take() == {"users": [user], "messages": ["m1"]}
    assert changes.take() == {}


def test_receipts_and_reactions_are_changes_of_their_message(store, changes):
    add_message(store)
    changes.take()
    for statement in (
        "UPDATE receipts SET read = 1 WHERE user_id = 2",
        "INSERT INTO reactions VALUES ('m1', 2, 'like')",
        "DELETE FROM reactions",
    ):
        store.database.run(statement)
        assert changes.take() == {"messages": ["m1"]}


def test_occupants_are_changes_of_their_dialog_and_deletions_are_noted(store, changes):
    store.database.run("INSERT INTO occupants (dialog_id, user_id) VALUES ('d1', 1)")
    assert changes.take() == {"dialogs": ["d1"]}
    user = add_user(store)
    changes.take()
    store.database.run("DELETE FROM users WHERE id = ?", user)
    assert changes.take() == {"users": [user]}


def test_what_is_rolled_back_is_no_change(store, changes):
    with pytest.raises(KeyError), store.database.transaction():
        add_user(store)
        raise KeyError
    assert changes.take() == {}


def test_counts_of_changed_rows_and_ids_stay_right(store, changes):
    assert add_user(store) == 1
    assert add_message(store) is True
    assert add_message(store) is False  # INSERT OR IGNORE
    with pytest.raises(sqlite3.IntegrityError):
        add_user(store)
    assert add_user(store, "bob") == 2
    assert store.database.run("UPDATE users SET email = NULL") == 2


def test_after_the_stop_nothing_is_left(store, changes):
    changes.stop()
    add_user(store)
    left = "SELECT name FROM temp.sqlite_master"
    assert store.database.all(left) == []
    changes.start()
    assert changes.take() == {}
    changes.stop()
