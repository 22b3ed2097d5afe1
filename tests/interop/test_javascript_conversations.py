"""Dialogs and messages, as the official JavaScript SDK finds them over REST."""

from __future__ import annotations

import json

import pytest

from tests.interop.javascript_people import NO_SUCH_ID, OBJECT_ID, fresh, peer_on, person_at
from tests.support.people import PASSWORD

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


def group(person, *others, type=2, **more):
    wanted = {"type": type, "name": "Friends", "occupants_ids": [other.id for other in others]}
    return person.call("chat.dialog.create", {**wanted, **more})


def public(person, **more):
    return person.call("chat.dialog.create", {"type": 4, "name": "Everybody", **more})


def test_a_group_with_all_that_can_be_said_of_it(service, alice, bob):
    wanted = {"description": "who we are", "photo": "a uid", "admins_ids": [bob.id]}
    made = group(alice, bob, **wanted)
    assert OBJECT_ID.fullmatch(made["_id"])
    assert (made["type"], made["name"], made["user_id"]) == (2, "Friends", alice.id)
    assert (made["description"], made["photo"]) == ("who we are", "a uid")
    assert sorted(made["occupants_ids"]) == sorted([alice.id, bob.id])
    assert bob.id in made["admins_ids"]
    room = f"{service.app_id}_{made['_id']}@muc.{service.domain}"
    assert made["xmpp_room_jid"] == room
    assert listed(bob)["items"][0]["_id"] == made["_id"]
    assert listed(bob, name=made["name"])["total_entries"] == 1
    assert listed(bob, name={"ctn": "riend"})["total_entries"] == 1


def test_a_group_changes_name_people_and_pins(service, alice, bob):
    other = person_at(service, bob.peer)
    dialog = group(alice, bob)
    message = say(alice, dialog, "pin this")
    changed = alice.call(
        "chat.dialog.update",
        dialog["_id"],
        {
            "name": "Old friends",
            "description": "still here",
            "push_all": {"occupants_ids": [other.id], "pinned_messages_ids": [message["_id"]]},
        },
    )
    assert (changed["name"], changed["description"]) == ("Old friends", "still here")
    assert sorted(changed["occupants_ids"]) == sorted([alice.id, bob.id, other.id])
    assert changed["pinned_messages_ids"] == [message["_id"]]
    removal = {"pull_all": {"occupants_ids": [other.id], "pinned_messages_ids": [message["_id"]]}}
    changed = alice.call("chat.dialog.update", dialog["_id"], removal)
    assert sorted(changed["occupants_ids"]) == sorted([alice.id, bob.id])
    assert changed["pinned_messages_ids"] == []
    assert listed(other)["total_entries"] == 0


def test_who_is_no_admin_removes_nobody(service, alice, bob):
    other = person_at(service, alice.peer)
    dialog = group(other, alice, bob)
    removal = {"pull_all": {"occupants_ids": [other.id]}}
    assert bob.refused("chat.dialog.update", dialog["_id"], removal)[0] == 403


def test_the_owner_alone_makes_and_unmakes_admins(alice, bob):
    dialog = group(alice, bob)
    assert bob.refused("chat.dialog.addAdmins", dialog["_id"], [bob.id])[0] == 403
    changed = alice.call("chat.dialog.addAdmins", dialog["_id"], [bob.id])
    assert changed["_id"] == dialog["_id"]
    assert bob.id in changed["admins_ids"]
    changed = alice.call("chat.dialog.removeAdmins", dialog["_id"], [bob.id])
    assert bob.id not in changed["admins_ids"]


def test_a_dialog_is_deleted_for_oneself_or_by_force_for_all(alice, bob):
    first, second = private(alice, bob), group(alice, bob)
    bob.call("chat.dialog.delete", second["_id"])
    assert [item["_id"] for item in listed(bob)["items"]] == [first["_id"]]
    assert listed(alice)["total_entries"] == 2
    alice.call("chat.dialog.delete", first["_id"], {"force": 1})
    assert listed(bob)["total_entries"] == 0
    assert [item["_id"] for item in listed(alice)["items"]] == [second["_id"]]


def test_deleting_several_dialogs_tells_which_were_deleted(alice, bob):
    mine, theirs = group(alice, bob), group(bob, alice)
    answer = alice.call(
        "chat.dialog.delete", [mine["_id"], theirs["_id"], NO_SUCH_ID], {"force": 1}
    )
    assert answer["SuccessfullyDeleted"]["ids"] == [mine["_id"]]
    assert answer["NotFound"]["ids"] == [NO_SUCH_ID]
    assert answer["WrongPermissions"]["ids"] == [theirs["_id"]]


def test_clearing_the_history_is_for_oneself(alice, bob):
    dialog = group(alice, bob)
    say(alice, dialog, "soon forgotten")
    bob.call("chat.dialog.clearHistory", dialog["_id"])
    assert history(bob, dialog)["items"] == []
    assert len(history(alice, dialog)["items"]) == 1


def test_a_public_dialog_is_joined_left_and_shows_who_is_there(alice, bob):
    dialog = public(alice, description="come in")
    assert (dialog["type"], dialog["name"]) == (4, "Everybody")
    assert listed(bob)["total_entries"] == 0
    joined = bob.call("chat.dialog.subscribe", dialog["_id"])
    assert (joined["_id"], joined["type"]) == (dialog["_id"], 4)
    assert joined["occupants_count"] == 2
    assert [item["_id"] for item in listed(bob)["items"]] == [dialog["_id"]]
    there = alice.call("chat.dialog.getPublicOccupants", dialog["_id"], {"limit": 10})
    people = {user["id"]: user["full_name"] for user in there["items"]}
    names = {person.id: f"The {person.login}" for person in (alice, bob)}
    assert people == names
    one = alice.call("chat.dialog.getPublicOccupants", dialog["_id"], {"limit": 1, "skip": 1})
    assert len(one["items"]) == 1
    bob.call("chat.dialog.unsubscribe", dialog["_id"])
    assert listed(bob)["total_entries"] == 0


def test_notifications_of_a_dialog_are_on_until_one_turns_them_off(alice, bob):
    dialog = group(alice, bob)
    get, update = (f"chat.dialog.{verb}NotificationsSettings" for verb in ("get", "update"))
    assert bob.call(get, dialog["_id"]) == {"notifications": {"enabled": 1}}
    assert bob.call(update, dialog["_id"], False) == {"notifications": {"enabled": 0}}
    assert bob.call(get, dialog["_id"]) == {"notifications": {"enabled": 0}}
    assert alice.call(get, dialog["_id"]) == {"notifications": {"enabled": 1}}
    assert bob.call(update, dialog["_id"], True) == {"notifications": {"enabled": 1}}


def test_a_dialog_has_at_most_five_admins(service, alice):
    others = [service.add_user(f"admin-{fresh()}", PASSWORD) for _ in range(6)]
    dialog = alice.call(
        "chat.dialog.create", {"type": 2, "name": "Chiefs", "occupants_ids": others}
    )
    changed = alice.call("chat.dialog.addAdmins", dialog["_id"], others[:5])
    assert set(others[:5]) <= set(changed["admins_ids"])
    assert alice.refused("chat.dialog.addAdmins", dialog["_id"], others[5:])[0] in (400, 403, 422)


def test_a_public_dialog_can_be_previewed_when_it_allows_that(alice, bob):
    dialog = public(alice, permissions={"allow_preview": True})
    assert dialog["permissions"] == {"allow_preview": True}
    say(alice, dialog, "look inside")
    page = history(bob, dialog, preview=1)
    assert [item["message"] for item in page["items"]] == ["look inside"]
    hidden = public(alice)
    query = {"chat_dialog_id": hidden["_id"], "preview": 1}
    assert bob.refused("chat.message.list", query)[0] == 403


def test_a_broadcast_dialog_is_seen_by_all_and_written_by_its_admins(emulator):
    # On an emulator of its own: everybody has this dialog.
    with peer_on(emulator) as peer:
        owner = person_at(emulator, peer)
        dialog_id = emulator.add_broadcast_dialog("News", owner.id)
        news = say(owner, {"_id": dialog_id}, "we are open")
        reader = person_at(emulator, peer)
        (dialog,) = listed(reader)["items"]
        assert (dialog["_id"], dialog["type"], dialog["name"]) == (dialog_id, 1, "News")
        assert [item["_id"] for item in history(reader, dialog)["items"]] == [news["_id"]]
        answer = {"chat_dialog_id": dialog_id, "message": "are you?"}
        assert reader.refused("chat.message.create", answer)[0] == 403


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


def test_a_message_is_edited_and_marked(alice, bob):
    dialog = private(alice, bob)
    first, second = say(alice, dialog, "frist"), say(alice, dialog, "second")
    place = {"chat_dialog_id": dialog["_id"]}
    alice.call("chat.message.update", first["_id"], {**place, "message": "first"})
    bob.call("chat.message.update", first["_id"], {**place, "delivered": 1})
    items = history(alice, dialog)["items"]
    assert [item["message"] for item in items] == ["first", "second"]
    assert bob.id in items[0]["delivered_ids"]
    assert bob.id not in items[1]["delivered_ids"]
    bob.call("chat.message.update", f"{first['_id']},{second['_id']}", {**place, "read": 1})
    assert all(bob.id in item["read_ids"] for item in history(alice, dialog)["items"])


def test_a_whole_dialog_is_marked_as_read(alice, bob):
    dialog = private(alice, bob)
    for number in range(3):
        say(alice, dialog, f"number {number}")
    bob.call("chat.message.update", "", {"chat_dialog_id": dialog["_id"], "read": 1})
    assert listed(bob)["items"][0]["unread_messages_count"] == 0
    assert all(bob.id in item["read_ids"] for item in history(alice, dialog)["items"])


def test_the_words_of_another_are_not_for_editing(alice, bob):
    dialog = private(alice, bob)
    message = say(alice, dialog, "my own words")
    change = {"chat_dialog_id": dialog["_id"], "message": "never said"}
    assert bob.refused("chat.message.update", message["_id"], change)[0] == 403


def deleted(person, ids, *params):
    return json.loads(person.call("chat.message.delete", ids, *params))


def test_a_message_is_deleted_for_oneself_or_for_all(alice, bob):
    dialog = private(alice, bob)
    first, second = say(alice, dialog, "first"), say(alice, dialog, "second")
    answer = deleted(alice, [first["_id"], NO_SUCH_ID])
    assert answer["SuccessfullyDeleted"]["ids"] == [first["_id"]]
    assert answer["NotFound"]["ids"] == [NO_SUCH_ID]
    assert answer["WrongPermissions"]["ids"] == []
    assert [item["message"] for item in history(alice, dialog)["items"]] == ["second"]
    assert [item["message"] for item in history(bob, dialog)["items"]] == ["first", "second"]
    assert deleted(bob, second["_id"], {"force": 1})["WrongPermissions"]["ids"] == [second["_id"]]
    answer = deleted(alice, second["_id"], {"force": 1})
    assert answer["SuccessfullyDeleted"]["ids"] == [second["_id"]]
    assert [item["message"] for item in history(bob, dialog)["items"]] == ["first"]


def test_unread_messages_are_counted_together_and_by_dialog(alice, bob):
    one, other = private(alice, bob), group(alice, bob)
    for dialog, count in ((one, 2), (other, 3)):
        for number in range(count):
            say(alice, dialog, f"number {number}")
    assert bob.call("chat.message.unreadCount")["total"] == 5
    counts = bob.call("chat.message.unreadCount", {"chat_dialog_ids": [one["_id"], other["_id"]]})
    assert counts == {"total": 5, one["_id"]: 2, other["_id"]: 3}


def test_reactions_are_one_a_user_and_can_be_changed_and_taken_back(alice, bob):
    message = say(alice, private(alice, bob), "what do you think?")["_id"]
    alice.call("chat.message.addReaction", message, "👍")
    bob.call("chat.message.addReaction", message, "👍")
    found = alice.call("chat.message.listReactions", message)
    assert {name: sorted(ids) for name, ids in found.items()} == {"👍": sorted([alice.id, bob.id])}
    bob.call("chat.message.updateReaction", message, "🚀", "👍")
    found = alice.call("chat.message.listReactions", message)
    assert found == {"👍": [alice.id], "🚀": [bob.id]}
    alice.call("chat.message.removeReaction", message, "👍")
    assert bob.call("chat.message.listReactions", message) == {"🚀": [bob.id]}


def test_a_system_message_over_rest(alice, bob):
    extra = {"needToUpdate": "1", "place": {"city": "Köln"}}
    answer = alice.call("chat.message.createSystem", {"recipientId": bob.id, **extra})
    assert OBJECT_ID.fullmatch(answer["messageId"])
    assert answer["recipientId"] == bob.id
    assert answer["extensionParams"] == extra


def test_a_search_finds_messages_and_dialogs(alice, bob):
    word = f"needle{fresh()}"
    dialog = group(alice, bob, name=f"About {word}")
    message = say(alice, dialog, f"in the haystack a {word} hides")
    say(alice, dialog, "nothing to see here")
    results = bob.call("chat.search", {"search_text": word, "limit": 10})["results"]
    assert [item["_id"] for item in results["messages"]] == [message["_id"]]
    assert [item["_id"] for item in results["dialogs"]] == [dialog["_id"]]
    assert isinstance(results["users"], list)
    narrowed = {"search_text": word, "chat_dialog_ids": [dialog["_id"], NO_SUCH_ID]}
    results = bob.call("chat.search", narrowed)["results"]
    assert [item["_id"] for item in results["messages"]] == [message["_id"]]


def test_a_search_for_too_little_or_over_too_long_is_refused(alice):
    assert alice.refused("chat.search", {"search_text": "four"})[0] in (400, 422)
    year = {"start_date": "2024-12-31T00:00:00.000Z", "end_date": "2024-01-01T00:00:00.000Z"}
    assert alice.refused("chat.search", {"search_text": "a needle", **year})[0] in (400, 422)


# --- what REST shows to those who are in the chat -----------------------------------------------


@pytest.fixture
def bob_online(bob):
    """Bob, in the chat as well."""
    bob.peer.connect(bob.id, PASSWORD)
    yield bob
    bob.call("chat.disconnect")
    bob.peer.user_id = 0


def test_a_message_over_rest_reaches_the_chat_when_it_is_told_to(alice, bob_online):
    dialog = private(alice, bob_online)
    say(alice, dialog, "for the history alone")
    picture = {"type": "image", "uid": "a uid", "size": "123"}
    sent = say(alice, dialog, "Grüße & 👋", send_to_chat=1, attachments=[picture], colour="blue")
    sender, message = bob_online.peer.wait_for_event("onMessageListener")
    assert sender == alice.id
    assert (message["id"], message["body"]) == (sent["_id"], sent["message"])
    assert (message["dialog_id"], message["type"]) == (dialog["_id"], "chat")
    assert message["extension"]["colour"] == "blue"
    assert message["extension"]["date_sent"] == str(sent["date_sent"])
    assert message["extension"]["attachments"] == [{**picture, "size": 123}]


def test_an_edit_over_rest_reaches_the_chat(alice, bob_online):
    dialog = private(alice, bob_online)
    sent = say(alice, dialog, "frist")
    change = {"chat_dialog_id": dialog["_id"], "message": "first"}
    alice.call("chat.message.update", sent["_id"], change)
    seen = bob_online.peer.wait_for_event("onMessageUpdateListener")
    assert seen[:5] == [sent["_id"], True, "first", dialog["_id"], alice.id]


def test_a_deletion_for_all_reaches_the_chat(alice, bob_online):
    dialog = private(alice, bob_online)
    sent = say(alice, dialog, "never mind")
    deleted(alice, sent["_id"], {"force": 1})
    seen = bob_online.peer.wait_for_event("onMessageDeleteListener")
    assert seen == [sent["_id"], dialog["_id"], alice.id]


def test_a_reaction_reaches_the_chat(alice, bob_online):
    dialog = private(alice, bob_online)
    sent = say(bob_online, dialog, "what do you think?")
    alice.call("chat.message.updateReaction", sent["_id"], "👍")
    seen = bob_online.peer.wait_for_event("onMessageReactionsListener")
    assert seen == [sent["_id"], alice.id, dialog["_id"], "👍", None]
    alice.call("chat.message.updateReaction", sent["_id"], "🚀", "👍")
    seen = bob_online.peer.wait_for_event("onMessageReactionsListener")
    assert seen == [sent["_id"], alice.id, dialog["_id"], "🚀", "👍"]


def test_a_system_message_over_rest_reaches_the_chat(alice, bob_online):
    extra = {"needToUpdate": "1", "place": {"city": "Köln"}}
    answer = alice.call("chat.message.createSystem", {"recipientId": bob_online.id, **extra})
    (seen,) = bob_online.peer.wait_for_event("onSystemMessageListener")
    assert (seen["id"], seen["userId"]) == (answer["messageId"], alice.id)
    assert seen["extension"] == extra
