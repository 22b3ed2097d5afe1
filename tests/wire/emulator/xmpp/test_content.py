"""Edits and deletions over the chat: what they change in history, and whose messages they may name."""

from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from tests.support.wire_client import CLIENT, Client, chat
from tests.wire.emulator.xmpp.in_rooms import group_chat

ONE, OTHER = "aa" * 12, "bb" * 12


def edit(message_id, body="new"):
    """Write the children of an edit; without a body if it is None."""
    text = "" if body is None else f"<body>{body}</body>"
    return f"{text}<replace xmlns='urn:xmpp:message-correct:0' id='{message_id}' last='true'/>"


def deletion(message_id):
    return f"<remove xmlns='urn:xmpp:message-delete:0' id='{message_id}'/>"


def to_user(user_id, children):
    return f"<message to='{user_id}-1@localhost' type='chat'>{children}</message>"


def to_room(room, children):
    return f"<message to='{room}' type='groupchat'>{children}</message>"


def history(emulator, dialog_id):
    return [(one["_id"], one["message"]) for one in emulator.messages(dialog_id)]


class TestPrivate:
    @pytest.fixture
    def sender(self, connect, alice, bob):
        client = connect().log_in(alice)
        client.send(chat(bob, "old"))
        client.sync()
        return client

    @pytest.fixture
    def dialog_id(self, emulator, sender, alice, bob):
        return emulator.private_dialog(alice, bob)

    def test_an_edit_changes_the_body_and_the_time_of_change(
        self, emulator, sender, dialog_id, bob, rest
    ):
        before = emulator.messages(dialog_id)[0]["updated_at"]
        emulator.clock.advance(5)
        sender.send(to_user(bob, edit(ONE, "new &lt;")))
        sender.sync()
        (message,) = emulator.messages(dialog_id)
        assert (message["_id"], message["message"]) == (ONE, "new <")
        assert message["updated_at"] > before
        (dialog,) = rest("bob")("GET", "chat/Dialog").json()["items"]
        assert dialog["last_message"] == "new <"

    def test_a_deletion_removes_the_message_for_everybody(
        self, emulator, sender, dialog_id, bob, rest
    ):
        sender.send(chat(bob, "stays", id=OTHER) + to_user(bob, deletion(ONE)))
        sender.sync()
        assert history(emulator, dialog_id) == [(OTHER, "stays")]
        assert rest("bob")("GET", "chat/Message/unread").json()["total"] == 1

    @pytest.mark.parametrize("children", [edit(ONE), deletion(ONE)], ids=["edit", "deletion"])
    def test_the_other_user_is_told_and_may_not_do_it(
        self, emulator, connect, sender, dialog_id, alice, bob, children
    ):
        reader = connect().log_in(bob)
        reader.send(to_user(alice, children))
        assert sender.message().get("from").startswith(f"{bob}-")
        reader.sync()
        assert history(emulator, dialog_id) == [(ONE, "old")]

    @pytest.mark.parametrize("children", [edit(ONE), deletion(ONE)], ids=["edit", "deletion"])
    def test_a_message_of_another_dialog_stays_and_none_is_made(
        self, emulator, sender, dialog_id, alice, children
    ):
        carol = emulator.add_user("carol", "secret")
        sender.send(to_user(carol, children))
        sender.sync()
        assert history(emulator, dialog_id) == [(ONE, "old")]
        assert emulator.private_dialog(alice, carol) is None

    @pytest.mark.parametrize(
        "children",
        [edit(ONE, None), edit("unknown"), deletion("unknown"), deletion(""), edit("")],
        ids=["no body", "unknown edit", "unknown deletion", "no deleted id", "no edited id"],
    )
    def test_what_names_nothing_changes_nothing(self, emulator, sender, dialog_id, bob, children):
        sender.send(to_user(bob, children))
        assert sender.sync() == []
        assert history(emulator, dialog_id) == [(ONE, "old")]


class TestRooms:
    @pytest.mark.parametrize(
        ("name", "changes"), [("carol", True), ("bob", False)], ids=["sender", "admin"]
    )
    def test_only_the_sender_changes_a_message_of_a_group(
        self, emulator, people, logged_in, group, room, name, changes
    ):
        sender, other = logged_in("carol"), logged_in(name)
        sender.send(group_chat(room, "old", id=ONE) + group_chat(room, "second", id=OTHER))
        sender.sync()
        other.sync()
        other.send(to_room(room, edit(ONE)))
        assert sender.message().find(f"{CLIENT}body").text == "new"
        other.send(to_room(room, deletion(OTHER)))
        other.sync()
        expected = [(ONE, "new")] if changes else [(ONE, "old"), (OTHER, "second")]
        assert history(emulator, group["_id"]) == expected

    def test_a_user_who_was_removed_changes_nothing(self, emulator, people, logged_in, group, room):
        sender = logged_in("carol")
        sender.send(group_chat(room, "old", id=ONE))
        sender.sync()
        pull = {"pull_all": {"occupants_ids": [people.carol.id]}}
        people.alice("PUT", f"chat/Dialog/{group['_id']}", json=pull)
        sender.send(to_room(room, edit(ONE)) + to_room(room, deletion(ONE)))
        sender.sync()
        assert history(emulator, group["_id"]) == [(ONE, "old")]

    def test_a_deleted_message_is_not_pinned_any_more(
        self, emulator, people, logged_in, group, room
    ):
        sender = logged_in("bob")
        sender.send(group_chat(room, "old", id=ONE))
        sender.sync()
        pin = {"push_all": {"pinned_messages_ids": [ONE]}}
        people.alice("PUT", f"chat/Dialog/{group['_id']}", json=pin)
        sender.send(to_room(room, deletion(ONE)))
        sender.sync()
        (dialog,) = people.alice("GET", "chat/Dialog").json()["items"]
        assert dialog["pinned_messages_ids"] == []


@pytest.mark.parametrize(
    ("switch", "children"),
    [("edits_change_history", edit(ONE)), ("deletions_change_history", deletion(ONE))],
)
def test_with_a_switch_off_history_changes_over_rest_alone(switch, children):
    with Emulator(**{switch: False}) as emulator, Client(emulator) as sender:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        sender.log_in(alice)
        sender.send(chat(bob, "old") + to_user(bob, children))
        sender.sync()
        assert history(emulator, emulator.private_dialog(alice, bob)) == [(ONE, "old")]
