"""Groups, public and broadcast dialogs: our client on one side, the official JavaScript SDK on the other."""

from __future__ import annotations

import pytest

from connectycube import (
    Attachment,
    DialogRef,
    DialogType,
    Message,
    MessageDeletion,
    MessageEdit,
    MessageStatus,
    Occupant,
    ReactionChange,
    RoomLeft,
    Typing,
)
from tests.interop.javascript_messages import (
    ATTACHMENTS,
    CUSTOM,
    SENT_AT,
    TEXT,
    our_message,
    seen_by_them,
    their_message,
)
from tests.support.people import settled
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")

# --- the dialogs ----------------------------------------------------------------------------------


def our_group(service, ours, theirs):
    return ours.cube.dialogs.create_group("Hikers", [theirs.id])


def their_group(service, ours, theirs):
    wanted = {"type": 2, "name": "Hikers", "occupants_ids": [ours.id]}
    made = theirs.call("chat.dialog.create", wanted)
    return ours.cube.dialogs.list(id=made["_id"])[0]


def our_public(service, ours, theirs):
    dialog = ours.cube.dialogs.create_public("Open")
    theirs.call("chat.dialog.subscribe", dialog.id)
    return dialog


def their_public(service, ours, theirs):
    made = theirs.call("chat.dialog.create", {"type": 4, "name": "Open"})
    return ours.cube.dialogs.subscribe(made["_id"])


def our_broadcast(service, ours, theirs):
    made = service.add_broadcast_dialog("News", ours.id)
    return ours.cube.dialogs.list(id=made)[0]


def their_broadcast(service, ours, theirs):
    made = service.add_broadcast_dialog("News", theirs.id)
    return ours.cube.dialogs.list(id=made)[0]


DIALOGS = [our_group, their_group, our_public, their_public]


@pytest.fixture
def group(service, ours, theirs):
    """A group of both."""
    return our_group(service, ours, theirs)


def history(person, dialog_id):
    """A dialog's messages as the JavaScript SDK reads them over REST."""
    query = {"chat_dialog_id": dialog_id, "sort_asc": "date_sent", "mark_as_read": 0}
    return person.call("chat.message.list", query)["items"]


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [*DIALOGS, our_broadcast])
def test_what_we_say_in_a_room_reaches_them_with_all_its_fields(service, ours, theirs, make):
    dialog = make(service, ours, theirs)
    handle = ours.chat.send_message(dialog, our_message())
    handle.result(TIMEOUT)
    user_id, seen = theirs.peer.wait_for_event("onMessageListener")
    assert user_id == ours.id
    assert seen == seen_by_them("groupchat", handle.id, dialog.id, None)
    (stored,) = history(theirs, dialog.id)
    assert (stored["_id"], stored["message"], stored["sender_id"]) == (handle.id, TEXT, ours.id)
    assert stored["date_sent"] == int(SENT_AT.timestamp())
    assert [found["uid"] for found in stored["attachments"]] == ["f1", "f2", "f3"]
    assert stored["nested"] == CUSTOM["nested"]


@pytest.mark.parametrize("make", [*DIALOGS, their_broadcast])
def test_what_they_say_in_a_room_reaches_us_with_all_its_fields(service, ours, theirs, make):
    dialog = make(service, ours, theirs)
    sent = theirs.call("chat.send", dialog.id, their_message("groupchat"))
    (received,) = ours.events.wait_for("message_received")
    assert received == Message(
        id=sent,
        dialog_id=dialog.id,
        body=TEXT,
        sender_id=theirs.id,
        date_sent=SENT_AT,
        attachments=ATTACHMENTS,
        custom=CUSTOM,
        markable=False,
        dialog=DialogRef.room(dialog.id),
    )
    failed, acknowledged = theirs.peer.wait_for_event("onSentMessageCallback")
    assert (failed, acknowledged["id"]) == (None, sent)
    (stored,) = ours.cube.messages.list(dialog, mark_as_read=False)
    assert (stored.id, stored.body, stored.sender_id) == (sent, TEXT, theirs.id)
    assert (stored.date_sent, stored.attachments) == (SENT_AT, received.attachments)
    assert stored.custom["nested"] == received.custom["nested"]


def test_a_message_without_a_body_carries_its_attachment_either_way(ours, theirs, group):
    ours.chat.send_message(group, Message(attachments=(Attachment(type="image", uid="f1"),)))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert seen["body"] is None
    assert seen["extension"]["attachments"] == [{"type": "image", "id": "f1", "uid": "f1"}]
    extension = {"save_to_history": 1, "attachments": [{"type": "image", "uid": "f2"}]}
    theirs.call("chat.send", group.id, {"type": "groupchat", "extension": extension})
    (received,) = ours.events.wait_for("message_received")
    assert not received.body
    assert received.attachments == (Attachment(type="image", id="f2", uid="f2"),)


def test_a_message_for_the_moment_is_in_no_history_either_way(ours, theirs, group, service):
    ours.chat.send_message(group, Message(body="psst", save_to_history=False))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (seen["body"], "save_to_history" in seen["extension"]) == ("psst", False)
    theirs.call("chat.send", group.id, {"type": "groupchat", "body": "ssh", "extension": {}})
    (received,) = ours.events.wait_for("message_received")
    assert (received.body, received.save_to_history) == ("ssh", False)
    assert received.date_sent is not None
    assert service.messages(group.id) == []


def test_a_silent_message_says_so_either_way(ours, theirs, group):
    ours.chat.send_message(group, Message(body="quiet", silent=True))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert seen["extension"]["silent"] == "1"
    extension = {"save_to_history": 1, "silent": 1}
    message = {"type": "groupchat", "body": "quiet", "extension": extension}
    theirs.call("chat.send", group.id, message)
    (received,) = ours.events.wait_for("message_received")
    assert (received.silent, received.custom) == (True, {})


def test_a_message_over_rest_is_heard_in_the_room_either_way(ours, theirs, group):
    picture = Attachment(type="image", uid="f1")
    stored = ours.cube.messages.create(
        group, TEXT, attachments=[picture], send_to_chat=True, colour="blue"
    )
    user_id, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, seen["id"], seen["body"]) == (ours.id, stored.id, TEXT)
    assert (seen["dialog_id"], seen["type"]) == (group.id, "groupchat")
    assert seen["extension"]["colour"] == "blue"
    assert seen["extension"]["attachments"] == [{"type": "image", "id": "f1", "uid": "f1"}]
    body = {
        "chat_dialog_id": group.id,
        "message": TEXT,
        "send_to_chat": 1,
        "colour": "red",
        "attachments": [{"type": "image", "uid": "f2"}],
    }
    made = theirs.call("chat.message.create", body)
    received = ours.events.wait(
        lambda events: [m for m in events.of("message_received") if m.sender_id == theirs.id]
    )[0]
    assert (received.id, received.body) == (made["_id"], TEXT)
    assert received.custom == {"colour": "red"}
    assert received.attachments == (Attachment(type="image", id="f2", uid="f2"),)


def test_we_write_in_a_broadcast_dialog_and_they_read(service, ours, theirs):
    dialog_id = service.add_broadcast_dialog("News", ours.id)
    news = DialogRef.room(dialog_id, DialogType.BROADCAST)
    handle = ours.chat.send_message(news, "read all about it")
    user_id, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, seen["id"], seen["dialog_id"]) == (ours.id, handle.id, dialog_id)
    message = {"type": "groupchat", "body": "me too", "extension": {}}
    refused = theirs.call("chat.send", dialog_id, message)
    told, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (told, error["code"]) == (refused, 403)
    assert "broadcast" in error["info"]
    settled(ours)
    assert ours.bodies == []


def test_they_write_in_a_broadcast_dialog_and_we_read(service, ours, theirs):
    dialog_id = service.add_broadcast_dialog("News", theirs.id)
    news = DialogRef.room(dialog_id, DialogType.BROADCAST)
    ours.chat.join(news)
    sent = theirs.call(
        "chat.send", dialog_id, {"type": "groupchat", "body": "read", "extension": {}}
    )
    (received,) = ours.events.wait_for("message_received")
    assert (received.id, received.sender_id, received.dialog) == (sent, theirs.id, news)
    handle = ours.chat.reply(received, "me too")
    (failure,) = ours.events.wait_for("message_failed")
    assert (failure.message_id, failure.condition) == (handle.id, "forbidden")
    assert all(user_id != ours.id for user_id, _ in theirs.peer.heard("onMessageListener"))


# --- statuses -------------------------------------------------------------------------------------


def check_kept_statuses(service, dialog, reader_id):
    """The only message of a dialog was delivered to this user and read; public dialogs count views."""
    (stored,) = service.messages(dialog.id)
    if dialog.type is DialogType.PUBLIC:
        assert stored["views_count"] == 1
    else:
        assert reader_id in stored["delivered_ids"]
        assert reader_id in stored["read_ids"]


@pytest.mark.parametrize("make", DIALOGS)
def test_they_deliver_and_read_what_we_say_in_a_room(service, ours, theirs, make):
    dialog = make(service, ours, theirs)
    handle = ours.chat.send_message(dialog, "seen?")
    theirs.peer.wait_for_event("onMessageListener")
    expected = [MessageStatus(user_id=theirs.id, message_id=handle.id, dialog_id=dialog.id)]
    assert ours.events.wait_for("message_delivered") == expected
    theirs.peer.read(ours.id, handle.id, dialog.id)
    assert ours.events.wait_for("message_read") == expected
    check_kept_statuses(service, dialog, theirs.id)


@pytest.mark.parametrize("make", DIALOGS)
def test_we_deliver_and_read_what_they_say_in_a_room(service, ours, theirs, make):
    dialog = make(service, ours, theirs)
    message = {"type": "groupchat", "body": "seen?", "extension": {"save_to_history": 1}}
    sent = theirs.call("chat.send", dialog.id, message)
    (received,) = ours.events.wait_for("message_received")
    assert not received.markable, "the SDK never asks, so nothing is delivered by itself"
    ours.chat.mark_delivered(received)
    expected = [sent, dialog.id, ours.id]
    assert theirs.peer.wait_for_event("onDeliveredStatusListener") == expected
    ours.chat.mark_read(received)
    assert theirs.peer.wait_for_event("onReadStatusListener") == expected
    assert theirs.peer.heard("onDeliveredStatusListener") == [expected]
    check_kept_statuses(service, dialog, ours.id)


def test_statuses_in_a_group_are_for_the_sender_alone(ours, theirs, third):
    group = ours.cube.dialogs.create_group("Hikers", [theirs.id, third.id])
    handle = ours.chat.send_message(group, "seen?")
    for person in (theirs, third):
        person.peer.wait_for_event("onMessageListener")
        person.peer.read(ours.id, handle.id, group.id)
    for signal in ("message_delivered", "message_read"):
        statuses = ours.events.wait_for(signal, 2)
        assert {status.user_id for status in statuses} == {theirs.id, third.id}
        assert {(s.message_id, s.dialog_id) for s in statuses} == {(handle.id, group.id)}
    for person in (theirs, third):
        for listener in ("onDeliveredStatusListener", "onReadStatusListener"):
            assert person.peer.heard(listener) == []


# --- typing ---------------------------------------------------------------------------------------


def test_they_see_us_type_in_a_group_and_stop(ours, theirs, group):
    ours.chat.send_typing(group)
    listener = "onMessageTypingListener"
    assert theirs.peer.wait_for_event(listener) == [True, ours.id, group.id]
    ours.chat.send_stop_typing(group)
    assert theirs.peer.wait_for_event(listener) == [False, ours.id, group.id]
    settled(ours)
    assert ours.events.of("typing_started") == []


def test_we_see_them_type_in_a_group_and_stop(ours, theirs, group):
    theirs.call("chat.sendIsTypingStatus", group.id)
    expected = [Typing(user_id=theirs.id, dialog_id=group.id)]
    assert ours.events.wait_for("typing_started") == expected
    theirs.call("chat.sendIsStopTypingStatus", group.id)
    assert ours.events.wait_for("typing_stopped") == expected


def test_the_javascript_sdk_reports_its_own_typing_in_a_group(theirs, group):
    theirs.call("chat.sendIsTypingStatus", group.id)
    assert theirs.peer.heard("onMessageTypingListener") == [[True, theirs.id, group.id]]


# --- edits, deletions, reactions ------------------------------------------------------------------


@pytest.mark.parametrize("is_last", [True, False])
def test_they_see_us_edit_in_a_group(ours, theirs, group, is_last):
    sent = ours.chat.send_message(group, "frist").result(TIMEOUT)
    ours.chat.edit_message(group, sent, TEXT, is_last=is_last).result(TIMEOUT)
    seen = theirs.peer.wait_for_event("onMessageUpdateListener")
    assert seen == [sent.id, is_last, TEXT, group.id, ours.id, {"dialog_id": group.id}]


@pytest.mark.parametrize("is_last", [True, False])
def test_we_see_them_edit_in_a_group(ours, theirs, group, is_last):
    message = {"type": "groupchat", "body": "frist", "extension": {"save_to_history": 1}}
    sent = theirs.call("chat.send", group.id, message)
    edit = {"to": group.id, "dialogId": group.id, "originMessageId": sent, "body": TEXT}
    theirs.call("chat.editMessage", {**edit, "last": is_last, "extension": {"why": "typo"}})
    assert ours.events.wait_for("message_edited") == [
        MessageEdit(
            user_id=theirs.id,
            message_id=sent,
            body=TEXT,
            dialog=DialogRef.room(group.id),
            is_last=is_last,
            by_author=True,
        )
    ]


def test_they_see_us_delete_in_a_group(ours, theirs, group):
    sent = ours.chat.send_message(group, "oops").result(TIMEOUT)
    ours.chat.delete_message(group, sent).result(TIMEOUT)
    seen = theirs.peer.wait_for_event("onMessageDeleteListener")
    assert seen == [sent.id, group.id, ours.id]


def test_we_see_them_delete_in_a_group(ours, theirs, group):
    message = {"type": "groupchat", "body": "oops", "extension": {"save_to_history": 1}}
    sent = theirs.call("chat.send", group.id, message)
    theirs.call("chat.deleteMessage", {"to": group.id, "dialogId": group.id, "messageId": sent})
    assert ours.events.wait_for("message_deleted") == [
        MessageDeletion(
            user_id=theirs.id,
            message_id=sent,
            dialog=DialogRef.room(group.id),
            by_author=True,
        )
    ]


def test_they_see_what_we_change_over_rest(ours, theirs, group):
    first = ours.cube.messages.create(group, "frist")
    last = ours.cube.messages.create(group, "scond")
    for message, is_last in ((first, False), (last, True)):
        ours.cube.messages.update(group, message, body=TEXT)
        seen = theirs.peer.wait_for_event("onMessageUpdateListener")
        assert seen[:5] == [message.id, is_last, TEXT, group.id, ours.id]
    ours.cube.messages.delete(first, force=True)
    seen = theirs.peer.wait_for_event("onMessageDeleteListener")
    assert seen == [first.id, group.id, ours.id]


def test_we_see_what_they_change_over_rest(ours, theirs, group):
    place = {"chat_dialog_id": group.id}
    sent = theirs.call("chat.message.create", {**place, "message": "frist"})["_id"]
    theirs.call("chat.message.update", sent, {**place, "message": TEXT})
    (edit,) = ours.events.wait_for("message_edited")
    assert (edit.user_id, edit.message_id, edit.body) == (theirs.id, sent, TEXT)
    assert (edit.dialog, edit.is_last, edit.own) == (DialogRef.room(group.id), True, False)
    theirs.call("chat.message.delete", sent, {"force": 1})
    assert ours.events.wait_for("message_deleted") == [
        MessageDeletion(user_id=theirs.id, message_id=sent, dialog=DialogRef.room(group.id))
    ]


def test_they_see_our_reactions_in_a_group(ours, theirs, group):
    message = {"type": "groupchat", "body": "well?", "extension": {"save_to_history": 1}}
    sent = theirs.call("chat.send", group.id, message)
    ours.events.wait_for("message_received")
    listener = "onMessageReactionsListener"
    ours.cube.messages.add_reaction(sent, "👍")
    assert theirs.peer.wait_for_event(listener) == [sent, ours.id, group.id, "👍", None]
    ours.cube.messages.add_reaction(sent, "👩‍🚀", remove="👍")
    assert theirs.peer.wait_for_event(listener) == [sent, ours.id, group.id, "👩‍🚀", "👍"]
    assert theirs.call("chat.message.listReactions", sent) == {"👩‍🚀": [ours.id]}
    ours.cube.messages.remove_reaction(sent, "👩‍🚀")
    assert theirs.peer.wait_for_event(listener) == [sent, ours.id, group.id, None, "👩‍🚀"]


def test_we_see_their_reactions_in_a_group(ours, theirs, group):
    sent = ours.chat.send_message(group, "well?").result(TIMEOUT)
    known = {"user_id": theirs.id, "message_id": sent.id, "dialog_id": group.id}
    theirs.call("chat.message.addReaction", sent.id, "👍")
    theirs.call("chat.message.updateReaction", sent.id, "👩‍🚀", "👍")
    theirs.call("chat.message.removeReaction", sent.id, "👩‍🚀")
    assert ours.events.wait_for("reaction_changed", 3) == [
        ReactionChange(**known, added=("👍",)),
        ReactionChange(**known, added=("👩‍🚀",), removed=("👍",)),
        ReactionChange(**known, removed=("👩‍🚀",)),
    ]
    assert ours.cube.messages.reactions(sent) == {}


# --- who is there ---------------------------------------------------------------------------------


def test_python_sees_a_javascript_user_join_and_leave_a_room(ours, theirs, group):
    ours.chat.join(group)
    theirs.peer.begin("chat.muc.join", group.id)
    expected = [Occupant(user_id=theirs.id, dialog_id=group.id)]
    assert ours.events.wait_for("occupant_joined") == expected
    assert set(ours.chat.online_occupants(group)) == {ours.id, theirs.id}
    theirs.peer.begin("chat.muc.leave", group.id)
    assert ours.events.wait_for("occupant_left") == expected


def test_they_see_us_come_go_and_thrown_out(service, ours, theirs, group):
    theirs.peer.begin("chat.muc.join", group.id)
    here = theirs.call("chat.muc.listOnlineUsers", group.id)
    assert set(here) == {ours.id, theirs.id}
    ours.chat.join(group)
    assert theirs.peer.wait_for_event("onJoinOccupant") == [group.id, ours.id]
    ours.chat.leave(group)
    assert theirs.peer.wait_for_event("onLeaveOccupant") == [group.id, ours.id]
    ours.chat.join(group)
    service.kick(group.id, ours.id, actor_id=theirs.id, reason="enough")
    (left,) = ours.events.wait_for("room_left")
    assert (left.dialog_id, left.reason) == (group.id, "kicked")
    assert (left.actor_id, left.text) == (theirs.id, "enough")
    assert len(theirs.peer.heard("onLeaveOccupant")) == 2


def test_their_kick_is_seen_by_us_though_their_sdk_says_nothing_of_it(service, ours, theirs, group):
    ours.chat.join(group)
    theirs.peer.begin("chat.muc.join", group.id)
    ours.events.wait_for("occupant_joined")
    service.kick(group.id, theirs.id, actor_id=ours.id)
    expected = [Occupant(user_id=theirs.id, dialog_id=group.id)]
    assert ours.events.wait_for("occupant_left") == expected
    assert theirs.peer.heard("onKickOccupant") == []


def test_they_remove_us_from_a_group_that_we_are_in(ours, theirs, service):
    group = their_group(service, ours, theirs)
    ours.chat.join(group)
    removal = {"pull_all": {"occupants_ids": [ours.id]}}
    theirs.call("chat.dialog.update", group.id, removal)
    (left,) = ours.events.wait_for("room_left")
    assert left == RoomLeft(dialog_id=group.id, reason="removed", actor_id=theirs.id)
    theirs.call("chat.send", group.id, {"type": "groupchat", "body": "gone?", "extension": {}})
    assert [seen["body"] for _, seen in theirs.peer.heard("onMessageListener")] == ["gone?"]
    settled(ours)
    assert ours.bodies == []
    handle = ours.chat.send_message(DialogRef.room(group.id), "let me in")
    (failure,) = ours.events.wait_for("message_failed")
    assert (failure.message_id, failure.condition) == (handle.id, "forbidden")


def test_we_remove_them_from_a_group_that_they_are_in(ours, theirs, group):
    ours.chat.join(group)
    theirs.peer.begin("chat.muc.join", group.id)
    ours.events.wait_for("occupant_joined")
    ours.cube.dialogs.update(group, remove_occupants=[theirs.id])
    expected = [Occupant(user_id=theirs.id, dialog_id=group.id)]
    assert ours.events.wait_for("occupant_left") == expected
    # This SDK passes over every presence that is about its own user.
    assert theirs.peer.heard("onLeaveOccupant") == theirs.peer.heard("onKickOccupant") == []
    refused = theirs.call("chat.send", group.id, {"type": "groupchat", "body": "let me in"})
    told, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (told, error["code"]) == (refused, 403)
    ours.chat.send_message(group, "just us").result(TIMEOUT)
    assert theirs.peer.heard("onMessageListener") == []


def test_we_end_a_group_that_both_are_in(ours, theirs, service, group):
    ours.chat.join(group)
    theirs.peer.begin("chat.muc.join", group.id)
    ours.events.wait_for("occupant_joined")
    theirs.call("chat.muc.listOnlineUsers", group.id)
    ours.cube.dialogs.delete(group, force=True)
    (left,) = ours.events.wait_for("room_left")
    assert (left.dialog_id, left.reason) == (group.id, "destroyed")
    # This SDK takes the error that it gets, as there is no such room, for a room without anybody.
    assert theirs.call("chat.muc.listOnlineUsers", group.id) == []
    refused = theirs.call("chat.send", group.id, {"type": "groupchat", "body": "still there?"})
    told, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (told, error["code"]) == (refused, 404)


def test_they_end_a_group_that_both_are_in(ours, theirs, service):
    group = their_group(service, ours, theirs)
    ours.chat.join(group)
    theirs.call("chat.dialog.delete", group.id, {"force": 1})
    (left,) = ours.events.wait_for("room_left")
    assert (left.dialog_id, left.reason) == (group.id, "destroyed")
    handle = ours.chat.send_message(DialogRef.room(group.id), "still there?")
    (failure,) = ours.events.wait_for("message_failed")
    assert (failure.message_id, failure.condition) == (handle.id, "item-not-found")


# --- blocking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutual", [False, True])
def test_whom_we_block_we_do_not_hear_in_a_group_and_they_are_not_told(ours, theirs, group, mutual):
    def say(body):
        message = {"type": "groupchat", "body": body, "extension": {"save_to_history": 1}}
        sent = theirs.call("chat.send", group.id, message)
        theirs.peer.wait_for_event("onSentMessageCallback")
        return sent

    ours.chat.privacy.block(theirs.id, mutual=mutual)
    unheard = say("not heard")
    ours.chat.send_message(group, "they hear us").result(TIMEOUT)
    _, seen = theirs.peer.wait_for_event("onMessageListener", lambda user_id, _: user_id == ours.id)
    assert seen["body"] == "they hear us"
    # The SDK tells us by itself that this was delivered, which is a private message to who blocks it.
    refused, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (error["code"], refused == unheard) == (503, False)
    ours.chat.privacy.unblock(theirs.id)
    say("heard")
    ours.events.wait_for("message_received")
    assert ours.bodies == ["heard"]
    assert len(theirs.peer.heard("onMessageErrorListener")) == 1


@pytest.mark.parametrize("mutual", [False, True])
def test_who_blocks_us_does_not_hear_us_in_a_group_and_we_are_not_told(ours, theirs, group, mutual):
    item = {"user_id": ours.id, "action": "deny", "mutualBlock": mutual}
    theirs.call("chat.privacylist.create", {"name": "myList", "items": [item]})
    theirs.call("chat.privacylist.setAsDefault", "myList")
    ours.chat.send_message(group, "not heard").result(TIMEOUT)
    theirs.call("chat.send", group.id, {"type": "groupchat", "body": "hi", "extension": {}})
    assert [message.body for message in ours.events.wait_for("message_received")] == ["hi"]
    theirs.call("chat.privacylist.setAsDefault", None)
    ours.chat.send_message(group, "heard").result(TIMEOUT)
    theirs.peer.wait_for_event("onMessageListener", lambda user_id, _: user_id == ours.id)
    heard = [
        m["body"] for user_id, m in theirs.peer.heard("onMessageListener") if user_id == ours.id
    ]
    assert heard == ["heard"]
    assert ours.events.of("message_failed") == []
