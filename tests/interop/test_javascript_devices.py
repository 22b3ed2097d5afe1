"""One user with several devices: our client on one, the official JavaScript SDK on one or two others."""

from __future__ import annotations

import pytest

from connectycube import DialogRef, Message, MessageDeletion, MessageEdit, ReactionChange
from tests.interop.javascript_messages import (
    ATTACHMENTS,
    CUSTOM,
    SENT_AT,
    TEXT,
    our_message,
    seen_by_them,
    their_message,
)
from tests.interop.javascript_people import JavaScriptUser, in_chat, peer_on
from tests.support.people import PASSWORD, settled
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")


@pytest.fixture
def other_device(service, ours, peers):
    """The user of ``ours`` with the JavaScript SDK."""
    peers[0].call("createSession", {"login": ours.name, "password": PASSWORD})
    with in_chat(service, JavaScriptUser(peers[0], ours.id, ours.name)) as person:
        yield person


@pytest.fixture
def friend(third):
    """Somebody else, with the JavaScript SDK."""
    return third


@pytest.fixture
def dialog(ours, friend):
    """The private dialog of the user and the friend."""
    return ours.cube.dialogs.create_private(friend.id)


@pytest.fixture
def group(ours, friend):
    """A group of both."""
    return ours.cube.dialogs.create_group("Hikers", [friend.id])


def message_of(person, message_id):
    """Take the message that a person heard; return the sender and the message."""
    return person.peer.wait_for_event("onMessageListener", lambda _, m: m["id"] == message_id)


# --- what is said ---------------------------------------------------------------------------------


def test_what_we_write_to_a_friend_is_shown_as_forwarded(ours, other_device, friend, dialog):
    handle = ours.chat.send_message(dialog, Message(body="hello 👋", custom={"k": {"n": 1}}))
    for person in (other_device, friend):
        user_id, seen = message_of(person, handle.id)
        assert (user_id, seen["recipient_id"]) == (ours.id, friend.id)
        assert (seen["dialog_id"], seen["type"]) == (dialog.id, "chat")
        assert (seen["body"], seen["extension"]["k"]) == ("hello 👋", {"n": "1"})
        assert seen["is_forwarded"] is (person is other_device)
    (status,) = ours.events.wait_for("message_delivered")
    assert (status.user_id, status.message_id) == (friend.id, handle.id)
    assert len(other_device.peer.heard("onMessageListener")) == 1
    settled(ours)
    assert ours.events.of("message_delivered") == [status], "the other device delivers nothing"


def test_what_the_other_device_writes_to_a_friend_is_our_own(ours, other_device, friend, dialog):
    extension = {"save_to_history": 1, "k": {"n": 1}}
    sent = other_device.peer.send_private(friend.id, "hello 👋", extension)
    (message,) = ours.events.wait_for("own_message_received")
    assert (message.id, message.body, message.own) == (sent, "hello 👋", True)
    assert (message.sender_id, message.recipient_id) == (ours.id, friend.id)
    assert message.dialog == DialogRef.private(friend.id, dialog.id)
    assert (message.custom, message.save_to_history) == ({"k": {"n": "1"}}, True)
    assert message_of(friend, sent)[1]["is_forwarded"] is False
    ours.chat.reply(message, "and this").result(TIMEOUT)
    _, seen = friend.peer.wait_for_event("onMessageListener")
    assert (seen["body"], seen["dialog_id"]) == ("and this", dialog.id)


def test_what_a_friend_writes_reaches_both_devices(ours, other_device, friend, dialog):
    sent = friend.peer.send_private(ours.id, "to both")
    (message,) = ours.events.wait_for("message_received")
    assert (message.id, message.own, message.sender_id) == (sent, False, friend.id)
    user_id, seen = message_of(other_device, sent)
    assert (user_id, seen["is_forwarded"], seen["body"]) == (friend.id, False, "to both")


def test_what_we_write_in_a_group_is_shown_once_by_the_other_device(
    ours, other_device, friend, group
):
    handle = ours.chat.send_message(group, "to all")
    for person in (other_device, friend):
        user_id, seen = message_of(person, handle.id)
        assert (user_id, seen["dialog_id"], seen["type"]) == (ours.id, group.id, "groupchat")
        assert seen["is_forwarded"] is False, "a room sends to every device itself"
    assert len(other_device.peer.heard("onMessageListener")) == 1
    settled(ours)
    assert ours.bodies == []
    assert handle.server_copy is not None


def test_what_the_other_device_writes_in_a_group_is_our_own(ours, other_device, friend, group):
    message = {"type": "groupchat", "body": "to all", "extension": {"save_to_history": 1}}
    sent = other_device.call("chat.send", group.id, message)
    message_of(friend, sent)
    settled(ours)
    (received,) = ours.events.of("own_message_received")
    assert (received.id, received.sender_id, received.own) == (sent, ours.id, True)
    assert received.dialog == DialogRef.room(group.id)


# --- what is changed ------------------------------------------------------------------------------


def test_our_edit_and_deletion_are_shown_by_the_other_device(ours, other_device, friend, dialog):
    sent = ours.chat.send_message(dialog, "frist").result(TIMEOUT)
    ours.chat.edit_message(dialog, sent, "first").result(TIMEOUT)
    ours.chat.delete_message(dialog, sent).result(TIMEOUT)
    for person in (other_device, friend):
        seen = person.peer.wait_for_event("onMessageUpdateListener")
        assert seen[:5] == [sent.id, True, "first", dialog.id, ours.id]
        seen = person.peer.wait_for_event("onMessageDeleteListener")
        assert seen == [sent.id, dialog.id, ours.id]


@pytest.mark.parametrize("in_group", [False, True])
def test_the_other_devices_edit_and_deletion_are_our_own(
    ours, other_device, friend, dialog, group, in_group
):
    place, to = (group, group.id) if in_group else (dialog, friend.id)
    known = {"to": to, "dialogId": place.id}
    message_id = "ab" * 12
    edit = {**known, "originMessageId": message_id, "body": "first", "last": False}
    other_device.call("chat.editMessage", edit)
    other_device.call("chat.deleteMessage", {**known, "messageId": message_id})
    at = DialogRef.room(place.id) if in_group else DialogRef.private(friend.id, place.id)
    known = {"user_id": ours.id, "message_id": message_id, "dialog": at, "own": True}
    assert ours.events.wait_for("message_edited") == [
        MessageEdit(body="first", is_last=False, **known)
    ]
    assert ours.events.wait_for("message_deleted") == [MessageDeletion(**known)]


@pytest.mark.parametrize("in_group", [False, True])
def test_reactions_of_one_device_are_seen_by_the_other(
    ours, other_device, friend, dialog, group, in_group
):
    place = group if in_group else dialog
    sent = ours.cube.messages.create(place, "well?")
    ours.cube.messages.add_reaction(sent, "👍")
    seen = other_device.peer.wait_for_event("onMessageReactionsListener")
    assert seen == [sent.id, ours.id, place.id, "👍", None]
    other_device.call("chat.message.updateReaction", sent.id, "👋", "👍")
    known = {"user_id": ours.id, "message_id": sent.id, "dialog_id": place.id, "own": True}
    assert ours.events.wait_for("reaction_changed", 2) == [
        ReactionChange(**known, added=("👍",)),
        ReactionChange(**known, added=("👋",), removed=("👍",)),
    ]


# --- statuses and typing --------------------------------------------------------------------------


def test_what_we_have_read_the_other_device_knows(ours, other_device, friend, dialog):
    sent = friend.peer.send_private(ours.id, "read me")
    (message,) = ours.events.wait_for("message_received")
    ours.chat.mark_read(message)
    expected = [sent, dialog.id, ours.id]
    for person in (friend, other_device):
        assert person.peer.wait_for_event("onReadStatusListener") == expected


def test_what_the_other_device_has_read_is_no_status_of_a_message_of_ours(
    ours, other_device, friend, dialog
):
    sent = friend.peer.send_private(ours.id, "read me")
    ours.events.wait_for("message_received")
    other_device.peer.read(friend.id, sent, dialog.id)
    assert friend.peer.wait_for_event("onReadStatusListener") == [sent, dialog.id, ours.id]
    settled(ours)
    assert ours.events.of("message_read") == ours.events.of("message_delivered") == []
    assert ours.chat.statistics().own_echoes >= 1


def test_only_the_javascript_sdk_shows_typing_of_the_users_other_device(
    ours, other_device, friend, dialog
):
    other_device.peer.typing(friend.id)
    listener = "onMessageTypingListener"
    assert friend.peer.wait_for_event(listener) == [True, ours.id, None]
    settled(ours)
    assert ours.events.of("typing_started") == []
    ours.chat.send_typing(dialog)
    assert friend.peer.wait_for_event(listener) == [True, ours.id, None]
    # This SDK takes the copy of what its own user's other device typed for somebody's typing.
    assert other_device.peer.wait_for_event(listener) == [True, ours.id, None]


# --- three devices --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spare_peer(service):
    """One more process of the SDK."""
    with peer_on(service) as peer:
        yield peer


@pytest.fixture
def third_device(service, ours, spare_peer):
    """The user of ``ours`` with the JavaScript SDK, once more."""
    spare_peer.call("createSession", {"login": ours.name, "password": PASSWORD})
    with in_chat(service, JavaScriptUser(spare_peer, ours.id, ours.name)) as person:
        yield person


@pytest.fixture
def javascript_devices(other_device, third_device):
    """The user's two devices that have the JavaScript SDK."""
    return other_device, third_device


PLACES = pytest.mark.parametrize("place", ["dialog", "group", "public"])


@pytest.fixture
def public(ours, friend):
    """A public dialog that both have subscribed to."""
    dialog = ours.cube.dialogs.create_public("Open")
    friend.call("chat.dialog.subscribe", dialog.id)
    return dialog


@PLACES
def test_what_our_client_says_both_other_devices_see_once(
    request, ours, javascript_devices, friend, place
):
    at = request.getfixturevalue(place)
    handle = ours.chat.send_message(at, our_message())
    handle.result(TIMEOUT)
    kind, recipient = ("chat", friend.id) if place == "dialog" else ("groupchat", None)
    expected = seen_by_them(kind, handle.id, at.id, recipient)
    message_of(friend, handle.id)
    for device in javascript_devices:
        ((user_id, seen),) = device.peer.heard("onMessageListener")
        assert user_id == ours.id
        assert seen == {**expected, "is_forwarded": place == "dialog"}
    ((user_id, seen),) = friend.peer.heard("onMessageListener")
    assert (user_id, seen) == (ours.id, expected)
    settled(ours)
    assert ours.bodies == []
    statuses = ours.events.of("message_delivered")
    assert [status.user_id for status in statuses] == [friend.id], (
        "a user's own devices say nothing"
    )


@PLACES
@pytest.mark.parametrize("sender", [0, 1])
def test_what_one_javascript_device_says_the_other_two_see_once(
    request, ours, javascript_devices, friend, place, sender
):
    at = request.getfixturevalue(place)
    speaker, listener = javascript_devices[sender], javascript_devices[1 - sender]
    is_private = place == "dialog"
    kind, to = ("chat", friend.id) if is_private else ("groupchat", at.id)
    sent = speaker.call("chat.send", to, their_message(kind))
    message_of(friend, sent)
    settled(ours)
    (received,) = ours.events.of("own_message_received")
    assert received == Message(
        id=sent,
        dialog_id=at.id,
        body=TEXT,
        sender_id=ours.id,
        recipient_id=friend.id if is_private else None,
        date_sent=SENT_AT,
        attachments=ATTACHMENTS,
        custom=CUSTOM,
        markable=False,
        own=True,
        dialog=DialogRef.private(friend.id, at.id) if is_private else DialogRef.room(at.id),
    )
    ((user_id, seen),) = listener.peer.heard("onMessageListener")
    recipient = friend.id if is_private else None
    assert user_id == ours.id
    assert seen == {**seen_by_them(kind, sent, at.id, recipient), "is_forwarded": is_private}
    assert len(friend.peer.heard("onMessageListener")) == 1
    # A room sends to the device that wrote, too, and this SDK tells of it; nothing else does.
    assert len(speaker.peer.heard("onMessageListener")) == (0 if is_private else 1)


@PLACES
def test_what_a_friend_says_all_three_devices_see_once(
    request, ours, javascript_devices, friend, place
):
    at = request.getfixturevalue(place)
    kind, to = ("chat", ours.id) if place == "dialog" else ("groupchat", at.id)
    sent = friend.call("chat.send", to, their_message(kind))
    (received,) = ours.events.wait_for("message_received")
    assert (received.id, received.own, received.custom) == (sent, False, CUSTOM)
    for device in javascript_devices:
        ((user_id, seen),) = device.peer.heard("onMessageListener")
        assert user_id == friend.id
        recipient = ours.id if place == "dialog" else None
        assert seen == seen_by_them(kind, sent, at.id, recipient)
    settled(ours)
    assert len(ours.bodies) == 1
    delivered = friend.peer.heard("onDeliveredStatusListener")
    assert delivered == [[sent, at.id, ours.id]] * 2, "each of the JavaScript devices says so"


@pytest.mark.parametrize("in_group", [False, True])
def test_what_one_device_changes_the_other_two_see_once(
    ours, javascript_devices, friend, dialog, group, in_group
):
    place, to = (group, group.id) if in_group else (dialog, friend.id)
    speaker, listener = javascript_devices
    sent = ours.cube.messages.create(place, "frist").id
    known = {"to": to, "dialogId": place.id}
    edit = {**known, "originMessageId": sent, "body": TEXT, "last": True}
    speaker.call("chat.editMessage", edit)
    speaker.call("chat.message.addReaction", sent, "👍")
    speaker.call("chat.deleteMessage", {**known, "messageId": sent})
    ours.events.wait_for("message_deleted")
    ours.events.wait_for("reaction_changed")
    speaker.peer.heard("")
    for person in (listener, friend):
        ((*edited, _),) = person.peer.heard("onMessageUpdateListener")
        assert edited == [sent, True, TEXT, place.id, ours.id]
        assert person.peer.heard("onMessageDeleteListener") == [[sent, place.id, ours.id]]
        expected = [sent, ours.id, place.id, "👍", None]
        assert person.peer.heard("onMessageReactionsListener") == [expected]
    settled(ours)
    at = DialogRef.room(place.id) if in_group else DialogRef.private(friend.id, place.id)
    of_it = {"user_id": ours.id, "message_id": sent}
    assert ours.events.of("message_edited") == [
        MessageEdit(body=TEXT, is_last=True, own=True, dialog=at, **of_it)
    ]
    assert ours.events.of("message_deleted") == [MessageDeletion(own=True, dialog=at, **of_it)]
    assert ours.events.of("reaction_changed") == [
        ReactionChange(dialog_id=place.id, added=("👍",), own=True, **of_it)
    ]


def test_a_system_message_reaches_all_three_devices_once(ours, javascript_devices, friend):
    sent = friend.call("chat.sendSystemMessage", ours.id, {"extension": {"albums": "reload"}})
    (received,) = ours.events.wait_for("system_message_received")
    assert (received.id, received.sender_id, received.custom) == (
        sent,
        friend.id,
        {"albums": "reload"},
    )
    for device in javascript_devices:
        ((seen,),) = device.peer.heard("onSystemMessageListener")
        assert (seen["id"], seen["userId"]) == (sent, friend.id)
        assert seen["extension"] == {"albums": "reload"}
    settled(ours)
    assert len(ours.events.of("system_message_received")) == 1
