"""Users, dialogs and messages put in by program."""

from __future__ import annotations

import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError


@pytest.mark.parametrize(
    ("login", "fields", "named"),
    [
        ("alice", {}, "login has already been taken"),
        ("al", {}, "login must have 3 to 70"),
        ("carol", {"email": "x"}, "email is not"),
        ("carol", {"fullname": "Carol"}, "fullname is no field"),
        ("carol", {"id": 5}, "id is no field"),
    ],
)
def test_a_wrong_value_for_a_user_is_named(emulator, alice, login, fields, named):
    with pytest.raises(ArgumentValueError, match=named):
        emulator.add_user(login, "secret", **fields)


@pytest.mark.parametrize(
    ("kind", "number", "occupants"),
    [("group", 2, [1, 2]), ("meeting", 5, [1, 2]), ("public", 4, None), ("broadcast", 1, None)],
)
def test_a_dialog_of_each_kind_is_there_over_rest(
    emulator, rest, alice, bob, kind, number, occupants
):
    made = emulator.add_dialog(kind, alice, [bob], name="Hikers", description="Up", photo="p")
    (item,) = rest("bob")("GET", "chat/Dialog").json()["items"]
    assert (item["_id"], item["type"], item["user_id"]) == (made, number, alice)
    assert (item["name"], item["description"], item["photo"]) == ("Hikers", "Up", "p")
    if occupants:
        assert item["occupants_ids"] == occupants


def test_admins_are_occupants(emulator, rest, alice, bob):
    emulator.add_dialog("group", alice, name="Hikers", admins_ids=[bob])
    (item,) = rest("bob")("GET", "chat/Dialog").json()["items"]
    assert (item["occupants_ids"], item["admins_ids"]) == ([alice, bob], [bob])


def test_a_pair_has_one_private_dialog(emulator, alice, bob):
    made = emulator.add_dialog("private", alice, [bob])
    assert emulator.add_dialog("private", bob, [alice]) == made
    assert emulator.private_dialog(alice, bob) == made


@pytest.mark.parametrize(
    ("arguments", "more", "named"),
    [
        (("secret", 1, [2]), {"name": "x"}, "kind"),
        (("group", 9, [2]), {"name": "x"}, "owner_id: User 9"),
        (("group", 1, [9]), {"name": "x"}, "occupants_ids: User 9"),
        (("group", 1, [2]), {"name": "x", "admins_ids": [9]}, "admins_ids: User 9"),
        (("group", 1, [2]), {"name": ""}, "name"),
        (("private", 1, [1]), {}, "occupants_ids"),
        (("private", 1, [2]), {"name": "x"}, "name"),
    ],
)
def test_a_wrong_value_for_a_dialog_is_named(emulator, alice, bob, arguments, more, named):
    with pytest.raises(ArgumentValueError, match=named):
        emulator.add_dialog(*arguments, **more)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("group", "1", [2]), "owner_id"),
        (("group", 1, 2), "occupants_ids"),
        (("group", 1, [2]), "name"),
    ],
)
def test_a_wrong_type_for_a_dialog_is_named(emulator, alice, bob, arguments, named):
    with pytest.raises(ArgumentTypeError, match=named):
        emulator.add_dialog(*arguments)


def test_messages_are_history_with_their_statuses(emulator, rest, alice, bob):
    dialog = emulator.add_dialog("private", alice, [bob])
    first, second = emulator.add_messages(
        dialog,
        [
            {
                "sender_id": bob,
                "message": "Hello",
                "date_sent": 1_700_000_000,
                "custom": {"colour": "blue"},
                "attachments": [{"type": "image", "uid": "u"}],
                "read_ids": [alice],
            },
            {"sender_id": bob, "_id": "ab" * 12},
        ],
    )
    assert second == "ab" * 12
    reader = rest("alice")
    path = f"chat/Message?chat_dialog_id={dialog}&mark_as_read=0&sort_asc=date_sent"
    items = reader("GET", path).json()["items"]
    assert [item["_id"] for item in items] == [first, second]
    assert (items[0]["message"], items[0]["date_sent"], items[0]["colour"]) == (
        *("Hello", 1_700_000_000, "blue"),
    )
    assert items[0]["attachments"] == [{"type": "image", "uid": "u"}]
    assert [item["read_ids"] for item in items] == [[alice, bob], [bob]]
    (listed,) = reader("GET", "chat/Dialog").json()["items"]
    assert (listed["unread_messages_count"], listed["last_message_id"]) == (1, second)


def test_many_messages_are_all_there_in_order(emulator, alice, bob):
    group = emulator.add_dialog("group", alice, [bob], name="Hikers")
    emulator.add_messages(
        group, ({"sender_id": alice, "message": str(number)} for number in range(5_000))
    )
    assert [int(m["message"]) for m in emulator.messages(group)] == list(range(5_000))


def test_no_messages_are_no_error(emulator, alice, bob):
    assert emulator.add_messages(emulator.add_dialog("private", alice, [bob]), []) == []


@pytest.mark.parametrize(
    ("message", "error", "named"),
    [
        ({"sender_id": 9}, ArgumentValueError, r"messages\[1\]: sender_id: 9"),
        ({"sender_id": "1"}, ArgumentTypeError, r"messages\[1\]: sender_id"),
        ({"sender_id": 1, "message": 5}, ArgumentTypeError, r"messages\[1\]: message"),
        ({"sender_id": 1, "date_sent": -1}, ArgumentValueError, r"messages\[1\]: date_sent"),
        ({"sender_id": 1, "_id": "x"}, ArgumentValueError, r"messages\[1\]: _id"),
        ({"sender_id": 1, "read_ids": [9]}, ArgumentValueError, r"messages\[1\]: read_ids: 9"),
        ({"sender_id": 1, "custom": []}, ArgumentTypeError, r"messages\[1\]: custom"),
        ({"sender_id": 1, "text": "x"}, ArgumentValueError, r"messages\[1\]: text"),
        ("Hello", ArgumentTypeError, r"messages\[1\]"),
        ({"sender_id": 1, "_id": "cd" * 12}, ArgumentValueError, "_id is there twice"),
    ],
)
def test_a_wrong_message_is_named_and_none_is_stored(emulator, alice, bob, message, error, named):
    dialog = emulator.add_dialog("private", alice, [bob])
    with pytest.raises(error, match=named):
        emulator.add_messages(dialog, [{"sender_id": alice, "_id": "cd" * 12}, message])
    assert emulator.messages(dialog) == []


def test_an_unknown_dialog_is_named(emulator):
    with pytest.raises(ArgumentValueError, match="no dialog abc"):
        emulator.add_messages("abc", [])


def test_dates_in_milliseconds_stay_as_clients_wrote_them(emulator, rest, alice, bob):
    dialog = emulator.add_dialog("group", alice, [bob], name="Hikers")
    emulator.add_messages(dialog, [{"sender_id": bob, "date_sent": 1_700_000_000_500}])
    path = f"chat/Message?chat_dialog_id={dialog}&mark_as_read=0"
    (item,) = rest("alice")("GET", path).json()["items"]
    assert (item["date_sent"], item["created_at"]) == (1_700_000_000_500, "2023-11-14T22:13:20Z")
