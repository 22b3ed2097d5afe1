"""What is saved is loaded again: users with their passwords, dialogs, messages, and who has read them."""

from __future__ import annotations

import json

import pytest

from connectycube.emulator import Emulator
from connectycube.errors import ArgumentValueError
from tests.support.inside import on_emulator


def looks(emulator):
    """The state as a document would say it, without ids and times of creation."""
    names = {user["id"]: user["login"] or user["email"] for user in emulator.users()}
    dialogs = []
    for dialog in emulator.dialogs():
        messages = [
            (
                *(names[one["sender_id"]], one["message"], one["date_sent"], one["_id"]),
                *(one.get("colour"), one["attachments"]),
                sorted(names[each] for each in one["read_ids"]),
            )
            for one in emulator.messages(dialog["_id"])
        ]
        members = sorted(names[each] for each in dialog["occupants_ids"])
        admins = sorted(names[each] for each in dialog["admins_ids"])
        about = (dialog["type"], dialog["name"], dialog["description"], names[dialog["user_id"]])
        dialogs.append((*about, members, admins, messages))
    return sorted(names.values()), sorted(dialogs, key=str)


@pytest.fixture
def filled(emulator):
    alice = emulator.add_user("alice", "secret", full_name="Alice", tag_list="a,b")
    bob = emulator.add_user("bob", "secret", email="bob@example.org", custom_data="{}")
    carol = emulator.add_user("carol", "secret")
    hikers = emulator.add_dialog("group", alice, [bob], admins_ids=[carol], name="Hikers")
    twin = emulator.add_dialog("group", bob, [carol], name="Hikers", description="others")
    pair = emulator.add_dialog("private", alice, [bob])
    emulator.add_dialog("public", alice, [carol], name="Square")
    emulator.add_broadcast_dialog("News", carol)
    messages = [
        {"sender_id": alice, "message": "one", "date_sent": 5, "read_ids": [bob]},
        {"sender_id": bob, "attachments": [{"type": "image"}], "custom": {"colour": "red"}},
    ]
    for dialog in (hikers, twin, pair):
        emulator.add_messages(dialog, messages)
    return emulator


def test_a_saved_state_is_loaded_into_another_emulator(filled, rest):
    saved = json.loads(json.dumps(filled.save()))
    with Emulator() as other:
        other.load(saved)
        assert looks(other) == looks(filled)
        assert other.save() == saved


def test_passwords_are_saved_as_hashes_and_stay_good(filled, rest):
    saved = filled.save()
    assert "secret" not in json.dumps(saved)
    filled.reset()
    filled.load(saved)
    assert rest("alice").token


def test_what_deleted_users_have_left_is_left_out(filled, rest):
    bob = next(user["id"] for user in filled.users() if user["login"] == "bob")
    rest("bob")("DELETE", f"users/{bob}")
    saved = filled.save()
    assert [user["login"] for user in saved["users"]] == ["alice", "carol"]
    assert {message["sender"] for message in saved["messages"]} == {"alice"}
    filled.reset()
    filled.load(saved)
    assert filled.save() == saved


def test_a_user_without_login_and_email_gets_a_login(emulator):
    on_emulator(emulator, lambda service: service.accounts._add({"facebook_id": "7"}))
    (user,) = emulator.save()["users"]
    assert user == {"login": "user-1", "facebook_id": "7", "password_hash": None}


@pytest.mark.parametrize(
    ("user", "word"),
    [
        ({"login": "alice", "password_hash": "x"}, "password_hash"),
        ({"login": "alice", "password_hash": 5}, "password_hash"),
        ({"login": "alice", "password": "secret", "password_hash": None}, "both"),
        ({"password_hash": None}, "login"),
    ],
)
def test_a_hash_that_no_emulator_has_saved_is_refused(emulator, user, word):
    with pytest.raises((ArgumentValueError, TypeError), match=word):
        emulator.load({"users": [user]})
    assert emulator.users() == []
