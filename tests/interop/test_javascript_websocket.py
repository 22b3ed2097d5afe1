"""The official JavaScript SDK over WebSocket, our client over TLS: one service, whatever the transport."""

from __future__ import annotations

import pytest

from connectycube import MessageEdit
from tests.interop.javascript_people import go_offline, peer_on
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.referee("javascript")

TEXT = "Grüße, <you> & 'me' \"👩‍🚀\"\tשלום\nnext line"


@pytest.fixture(scope="module")
def peers(service):
    """Two processes of the SDK that chat over WebSocket; the host in the address is not the domain."""
    url = service.websocket_url
    assert (service.host, service.domain) == ("127.0.0.1", "localhost")
    with peer_on(service, chat_url=url) as one, peer_on(service, chat_url=url) as other:
        yield one, other


@pytest.fixture
def group(ours, theirs, third):
    """A group of all three; ``ours`` has our client, the others WebSockets."""
    return ours.cube.dialogs.create_group("all", [theirs.id, third.id])


def test_the_link_is_a_websocket(service, theirs):
    assert theirs.call("chat.xmppClient.socket.url") == service.websocket_url
    assert theirs.call("chat.isConnected") is True
    assert [session["user_id"] for session in service.sessions(theirs.id)] == [theirs.id]


def test_a_private_message_of_ours_and_the_statuses_it_gets(service, ours, theirs):
    sent = ours.chat.send_private(theirs.id, TEXT).result(TIMEOUT)
    user_id, received = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, received["id"], received["body"]) == (ours.id, sent.id, TEXT)
    assert ours.events.wait_for("message_delivered")[0].message_id == sent.id
    theirs.peer.read(ours.id, sent.id, received["dialog_id"])
    read = ours.events.wait_for("message_read")[0]
    assert (read.user_id, read.message_id) == (theirs.id, sent.id)
    assert read.dialog_id == service.private_dialog(ours.id, theirs.id)


def test_a_private_message_of_theirs_and_the_statuses_it_gets(service, ours, theirs):
    sent = theirs.peer.send_private(ours.id, TEXT, markable=1)
    message = ours.events.wait_for("message_received")[0]
    assert (message.id, message.body, message.sender_id) == (sent, TEXT, theirs.id)
    dialog_id = service.private_dialog(ours.id, theirs.id)
    assert theirs.peer.wait_for_event("onSentMessageCallback")[1]["id"] == sent
    ours.chat.mark_delivered(message)
    ours.chat.mark_read(message)
    for listener in ("onDeliveredStatusListener", "onReadStatusListener"):
        assert theirs.peer.wait_for_event(listener) == [sent, dialog_id, ours.id]


def test_two_websockets_talk(theirs, third):
    sent = theirs.peer.send_private(third.id, TEXT)
    user_id, received = third.peer.wait_for_event("onMessageListener")
    assert (user_id, received["id"], received["body"]) == (theirs.id, sent, TEXT)


def test_a_group_message_reaches_everybody(ours, theirs, third, group):
    message = {"type": "groupchat", "body": TEXT, "extension": {"save_to_history": 1}}
    sent = theirs.call("chat.send", group.id, message)
    received = ours.events.wait_for("message_received")[0]
    assert (received.id, received.body, received.dialog_id) == (sent, TEXT, group.id)
    assert third.peer.wait_for_event("onMessageListener")[1]["id"] == sent
    handle = ours.chat.send_message(group, "back")
    for person in (theirs, third):
        got = person.peer.wait_for_event(
            "onMessageListener", lambda user_id, message: message["body"] == "back"
        )
        assert (got[0], got[1]["id"], got[1]["dialog_id"]) == (ours.id, handle.id, group.id)


def test_typing_both_ways(ours, theirs):
    theirs.peer.typing(ours.id)
    assert ours.events.wait_for("typing_started")[0].user_id == theirs.id
    theirs.peer.typing(ours.id, stop=True)
    assert ours.events.wait_for("typing_stopped")[0].user_id == theirs.id
    dialog = ours.cube.dialogs.create_private(theirs.id)
    ours.chat.send_typing(dialog)
    ours.chat.send_stop_typing(dialog)
    for typing in (True, False):
        assert theirs.peer.wait_for_event("onMessageTypingListener")[:2] == [typing, ours.id]


def test_edits_and_deletions_both_ways(ours, theirs):
    dialog = ours.cube.dialogs.create_private(theirs.id)
    sent = ours.chat.send_message(dialog, "frist").result(TIMEOUT)
    ours.chat.edit_message(dialog, sent.id, TEXT, is_last=True).result(TIMEOUT)
    edited = theirs.peer.wait_for_event("onMessageUpdateListener")
    assert edited[:5] == [sent.id, True, TEXT, dialog.id, ours.id]
    ours.chat.delete_message(dialog, sent.id).result(TIMEOUT)
    deleted = theirs.peer.wait_for_event("onMessageDeleteListener")
    assert deleted == [sent.id, dialog.id, ours.id]

    known = {"to": ours.id, "dialogId": dialog.id}
    sent_back = theirs.peer.send_private(ours.id, "scond")
    edit = {"originMessageId": sent_back, "body": TEXT, "last": True}
    theirs.call("chat.editMessage", {**known, **edit})
    (edit,) = ours.events.wait_for("message_edited")
    assert isinstance(edit, MessageEdit)
    assert (edit.user_id, edit.message_id, edit.body) == (theirs.id, sent_back, TEXT)
    theirs.call("chat.deleteMessage", {**known, "messageId": sent_back})
    (deletion,) = ours.events.wait_for("message_deleted")
    assert (deletion.user_id, deletion.message_id) == (theirs.id, sent_back)


def test_system_messages_both_ways(ours, theirs):
    handle = ours.chat.send_system_message(theirs.id, {"albums": "reload"})
    (seen,) = theirs.peer.wait_for_event("onSystemMessageListener")
    assert (seen["id"], seen["extension"]) == (handle.id, {"albums": "reload"})
    sent = theirs.call("chat.sendSystemMessage", ours.id, {"extension": {"k": "v"}})
    (received,) = ours.events.wait_for("system_message_received")
    assert (received.id, received.custom) == (sent, {"k": "v"})


def test_last_activity_both_ways(service, ours, theirs):
    assert theirs.call("chat.getLastUserActivity", ours.id) == {"userId": ours.id, "seconds": 0}
    assert ours.chat.last_activity(theirs.id) == 0
    theirs.call("chat.subscribeToUserLastActivityStatus", ours.id)
    theirs.peer.heard("")
    ours.chat.logout()
    listener = "onLastUserActivityListener"  # called for the answer above, too
    assert theirs.peer.wait_for_event(listener, lambda *args: args == (ours.id, 1))


def test_it_connects_again_after_a_cut(service, ours, theirs):
    assert service.cut(theirs.id) == 1
    theirs.peer.wait_for_event("onDisconnectedListener")
    theirs.peer.wait_for_event("onReconnectListener")
    wait_until(lambda: theirs.call("chat.streamManagement.enabled"), "stream management")
    theirs.peer.heard("")
    ours.chat.send_private(theirs.id, "welcome back").result(TIMEOUT)
    assert theirs.peer.wait_for_event("onMessageListener")[1]["body"] == "welcome back"
    theirs.peer.send_private(ours.id, "thanks")
    assert ours.events.wait_for("message_received")[0].body == "thanks"


def test_a_logout_ends_the_session(service, theirs):
    go_offline(service, theirs)
    assert service.sessions(theirs.id) == []
