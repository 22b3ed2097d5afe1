"""Dialogs and messages, as the official JavaScript SDK finds them over REST."""

from __future__ import annotations

import pytest

from tests.interop.javascript_people import NO_SUCH_ID, OBJECT_ID, person_at

pytestmark = pytest.mark.referee("javascript")

# --- dialogs ------------------------------------------------------------------------------------


def private(person, other):
    return person.call("chat.dialog.create", {"type": 3, "occupants_ids": [other.id]})


def listed(person, **query):
    return person.call("chat.dialog.list", query)


def test_a_private_dialog_is_one_for_both(service, alice, bob):
    made = private(alice, bob)
    assert OBJECT_ID.fullmatch(made["_id"])
    assert (made["type"], made["user_id"]) == (3, alice.id)
    assert sorted(made["occupants_ids"]) == sorted([alice.id, bob.id])
    assert made["xmpp_room_jid"] is None
    assert (made["last_message"], made["unread_messages_count"]) == (None, 0)
    assert private(bob, alice)["_id"] == made["_id"]
    assert service.private_dialog(alice.id, bob.id) == made["_id"]


def test_a_page_of_dialogs_and_its_filters(service, alice, bob):
    other = person_at(service, bob.peer)
    first, second = private(alice, bob), private(alice, other)
    page = listed(alice)
    assert (page["total_entries"], page["skip"], page["limit"]) == (2, 0, 100)
    assert {item["_id"] for item in page["items"]} == {first["_id"], second["_id"]}
    assert [item["_id"] for item in listed(alice, _id=first["_id"])["items"]] == [first["_id"]]
    chosen = listed(alice, _id={"in": [second["_id"], NO_SUCH_ID]})
    assert [item["_id"] for item in chosen["items"]] == [second["_id"]]
    assert len(listed(alice, type={"in": [2, 3]})["items"]) == 2
    assert listed(alice, type=2)["items"] == []
    assert listed(alice, updated_at={"gt": 4_000_000_000})["total_entries"] == 0
    assert listed(alice, count=1)["items"]["count"] == 2
    skipped = listed(alice, limit=1, skip=1, sort_desc="last_message_date_sent")
    assert (len(skipped["items"]), skipped["skip"], skipped["limit"]) == (1, 1, 1)


# --- messages -----------------------------------------------------------------------------------


def say(person, dialog, text, **more):
    return person.call(
        "chat.message.create", {"chat_dialog_id": dialog["_id"], "message": text, **more}
    )


def history(person, dialog, **query):
    return person.call("chat.message.list", {"chat_dialog_id": dialog["_id"], **query})


def test_a_message_over_rest_and_both_see_it_in_the_history(alice, bob):
    dialog = private(alice, bob)
    picture = {"type": "image", "uid": "a uid", "size": 123, "url": "https://example.com/?a=1&b=2"}
    made = say(alice, dialog, "Grüße & 👋", attachments=[picture], colour="blue")
    assert OBJECT_ID.fullmatch(made["_id"])
    assert (made["chat_dialog_id"], made["message"]) == (dialog["_id"], "Grüße & 👋")
    assert (made["sender_id"], made["recipient_id"]) == (alice.id, bob.id)
    assert made["attachments"] == [picture]
    assert made["colour"] == "blue"
    assert isinstance(made["date_sent"], int)
    page = history(bob, dialog)
    assert [item["_id"] for item in page["items"]] == [made["_id"]]
    assert page["items"][0]["message"] == made["message"]
    assert page["skip"] == 0
    shown = listed(bob)["items"][0]
    assert (shown["last_message"], shown["last_message_id"]) == (made["message"], made["_id"])
    assert shown["last_message_user_id"] == alice.id
    assert shown["last_message_date_sent"] == made["date_sent"]


def test_a_message_to_a_user_makes_the_dialog(service, alice, bob):
    made = alice.call("chat.message.create", {"recipient_id": bob.id, "message": "first words"})
    assert made["chat_dialog_id"] == service.private_dialog(alice.id, bob.id)
    assert made["recipient_id"] == bob.id


def test_history_is_read_by_filter_page_and_order(alice, bob):
    dialog = private(alice, bob)
    made = [say(alice, dialog, f"number {n}", date_sent=1_700_000_000 + n) for n in range(5)]
    ids = [message["_id"] for message in made]

    def found(**query):
        return [item["_id"] for item in history(bob, dialog, mark_as_read=0, **query)["items"]]

    assert found() == found(sort_asc="date_sent") == ids
    assert found(sort_desc="date_sent") == ids[::-1]
    assert found(limit=2, skip=1) == ids[1:3]
    assert found(date_sent={"gt": 1_700_000_002}) == ids[3:]
    assert found(date_sent={"gte": 1_700_000_002, "lt": 1_700_000_004}) == ids[2:4]
    assert found(sender_id=bob.id) == []
    assert history(bob, dialog, count=1)["items"]["count"] == 5


def test_reading_marks_as_read_unless_it_is_told_not_to(alice, bob):
    dialog = private(alice, bob)
    say(alice, dialog, "look at me")
    history(bob, dialog, mark_as_read=0)
    assert listed(bob)["items"][0]["unread_messages_count"] == 1
    assert history(alice, dialog)["items"][0]["read_ids"] == [alice.id]
    history(bob, dialog)
    assert listed(bob)["items"][0]["unread_messages_count"] == 0
    assert history(alice, dialog)["items"][0]["read_ids"] == sorted([alice.id, bob.id])
    assert listed(alice)["items"][0]["last_message_status"] == "read"


def test_a_stranger_reads_nothing_of_a_dialog(service, alice, bob):
    dialog = private(alice, bob)
    stranger = person_at(service, bob.peer)
    query = {"chat_dialog_id": dialog["_id"]}
    assert stranger.refused("chat.message.list", query)[0] == 403
    assert stranger.refused("chat.message.create", {**query, "message": "hello"})[0] == 403
    assert alice.refused("chat.message.list", {"chat_dialog_id": NO_SUCH_ID})[0] == 404
