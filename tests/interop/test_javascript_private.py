"""Between two users: our client on one side, the official JavaScript SDK on the other.

Messages with all their fields, statuses, typing, edits, deletions, reactions, signals to programs, refusals
and who is active, in both directions; rooms are in ``test_javascript_rooms.py``.
"""

from __future__ import annotations

import time

import pytest

from connectycube import (
    Attachment,
    DialogRef,
    LastActivity,
    Message,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageStatus,
    ReactionChange,
    StanzaError,
    SystemMessage,
    Typing,
)
from connectycube.emulator import Emulator
from tests.interop import javascript_messages as material
from tests.interop.javascript_messages import TEXT
from tests.interop.javascript_people import NOBODY, go_offline, person_at
from tests.support.people import PASSWORD, settled
from tests.support.waiting import TIMEOUT, wait_until
from tests.wire.emulator.conftest import ManualClock

pytestmark = pytest.mark.referee("javascript")

NESTED = {"x": "ü & <y>", "deep": {"er": "1", "est": "👋"}}


@pytest.fixture(scope="module")
def clock():
    """The service's clock, which stands still at now."""
    clock = ManualClock()
    clock.now = float(int(time.time()))
    return clock


@pytest.fixture(scope="module")
def service(clock):
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
def dialog(ours, theirs):
    """The private dialog of both."""
    return ours.cube.dialogs.create_private(theirs.id)


@pytest.fixture
def our_message(ours, theirs, dialog):
    """The id of a message of ours that they have."""
    sent = ours.chat.send_message(dialog, "frist").result(TIMEOUT)
    theirs.peer.wait_for_event("onMessageListener")
    return sent.id


@pytest.fixture
def their_message(ours, theirs, dialog):
    """The id of a message of theirs that we have."""
    sent = theirs.peer.send_private(ours.id, "frist")
    assert ours.events.wait_for("message_received")[0].id == sent
    return sent


# --- messages -------------------------------------------------------------------------------------


def test_what_we_say_reaches_them_with_all_its_fields(ours, theirs, dialog):
    handle = ours.chat.send_message(dialog, material.our_message())
    handle.result(TIMEOUT)
    user_id, seen = theirs.peer.wait_for_event("onMessageListener")
    assert user_id == ours.id
    assert seen == material.seen_by_them("chat", handle.id, dialog.id, theirs.id)
    (stored,) = theirs.call("chat.message.list", {"chat_dialog_id": dialog.id})["items"]
    known = (stored["_id"], stored["message"], stored["sender_id"], stored["recipient_id"])
    assert known == (handle.id, TEXT, ours.id, theirs.id)
    assert stored["date_sent"] == int(material.SENT_AT.timestamp())
    assert [found["uid"] for found in stored["attachments"]] == ["f1", "f2", "f3"]
    assert stored["nested"] == material.CUSTOM["nested"]


def test_what_they_say_reaches_us_with_all_its_fields(ours, theirs, dialog):
    sent = theirs.call("chat.send", ours.id, material.their_message("chat"))
    (received,) = ours.events.wait_for("message_received")
    assert received == Message(
        id=sent,
        dialog_id=dialog.id,
        body=TEXT,
        sender_id=theirs.id,
        recipient_id=ours.id,
        date_sent=material.SENT_AT,
        attachments=material.ATTACHMENTS,
        custom=material.CUSTOM,
        markable=False,
        dialog=DialogRef.private(theirs.id, dialog.id),
    )
    failed, acknowledged = theirs.peer.wait_for_event("onSentMessageCallback")
    assert (failed, acknowledged["id"]) == (None, sent)
    (stored,) = ours.cube.messages.list(dialog, mark_as_read=False)
    assert (stored.id, stored.body, stored.sender_id) == (sent, TEXT, theirs.id)
    assert (stored.recipient_id, stored.date_sent) == (ours.id, material.SENT_AT)
    assert stored.attachments == material.ATTACHMENTS
    assert stored.custom["nested"] == material.CUSTOM["nested"]


def test_a_message_without_a_body_carries_its_attachment_either_way(ours, theirs, dialog):
    ours.chat.send_message(dialog, Message(attachments=(Attachment(type="image", uid="f1"),)))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert seen["body"] is None
    assert seen["extension"]["attachments"] == [{"type": "image", "id": "f1", "uid": "f1"}]
    extension = {"save_to_history": 1, "attachments": [{"type": "image", "uid": "f2"}]}
    theirs.call("chat.send", ours.id, {"type": "chat", "extension": extension})
    (received,) = ours.events.wait_for("message_received")
    assert not received.body
    assert received.attachments == (Attachment(type="image", id="f2", uid="f2"),)


def test_a_message_for_the_moment_is_in_no_history_either_way(service, ours, theirs, dialog):
    ours.chat.send_message(dialog, Message(body="psst", save_to_history=False))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (seen["body"], "save_to_history" in seen["extension"]) == ("psst", False)
    theirs.peer.send_private(ours.id, "ssh", {})
    (received,) = ours.events.wait_for("message_received")
    assert (received.body, received.save_to_history) == ("ssh", False)
    assert service.messages(dialog.id) == []


def test_a_silent_message_says_so_either_way(ours, theirs, dialog):
    ours.chat.send_message(dialog, Message(body="quiet", silent=True))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert seen["extension"]["silent"] == "1"
    theirs.peer.send_private(ours.id, "quiet", {"save_to_history": 1, "silent": 1})
    (received,) = ours.events.wait_for("message_received")
    assert (received.silent, received.custom) == (True, {})


@pytest.mark.parametrize("in_group", [False, True])
def test_a_self_destroying_message_reaches_them_and_no_history(
    service, ours, theirs, dialog, in_group
):
    place = ours.cube.dialogs.create_group("Hikers", [theirs.id]) if in_group else dialog
    handle = ours.chat.send_message(place, Message(body="burn this", destroy_after=30))
    handle.result(TIMEOUT)
    user_id, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, seen["id"], seen["body"]) == (ours.id, handle.id, "burn this")
    assert seen["dialog_id"] == place.id
    # This SDK neither sends such messages nor tells after how many seconds one is to be destroyed.
    assert "destroy" not in str(seen)
    assert service.messages(place.id) == []


# --- statuses and typing --------------------------------------------------------------------------


def test_they_deliver_and_read_what_we_say(service, ours, theirs, dialog):
    handle = ours.chat.send_message(dialog, "seen?")
    theirs.peer.wait_for_event("onMessageListener")
    expected = [MessageStatus(user_id=theirs.id, message_id=handle.id, dialog_id=dialog.id)]
    assert ours.events.wait_for("message_delivered") == expected
    assert [sent.message_id for sent in ours.events.wait_for("message_sent")] == [handle.id]
    theirs.peer.delivered(ours.id, handle.id, dialog.id)
    assert ours.events.wait_for("message_delivered", 2) == expected * 2
    theirs.peer.read(ours.id, handle.id, dialog.id)
    assert ours.events.wait_for("message_read") == expected
    (stored,) = service.messages(dialog.id)
    assert theirs.id in stored["delivered_ids"]
    assert theirs.id in stored["read_ids"]


def test_we_deliver_and_read_what_they_say(service, ours, theirs, dialog):
    sent = theirs.peer.send_private(ours.id, "seen?")
    (received,) = ours.events.wait_for("message_received")
    failed, acknowledged = theirs.peer.wait_for_event("onSentMessageCallback")
    assert (failed, acknowledged["id"]) == (None, sent)
    expected = [sent, dialog.id, ours.id]
    ours.chat.mark_delivered(received)
    assert theirs.peer.wait_for_event("onDeliveredStatusListener") == expected
    ours.chat.mark_read(received)
    assert theirs.peer.wait_for_event("onReadStatusListener") == expected
    (stored,) = service.messages(dialog.id)
    assert ours.id in stored["delivered_ids"]
    assert ours.id in stored["read_ids"]


def test_they_see_us_type_and_stop(ours, theirs, dialog):
    ours.chat.send_typing(dialog)
    ours.chat.send_stop_typing(dialog)
    for typing in (True, False):
        seen = theirs.peer.wait_for_event("onMessageTypingListener")
        assert seen == [typing, ours.id, None]


def test_we_see_them_type_and_stop(ours, theirs):
    theirs.peer.typing(ours.id)
    theirs.peer.typing(ours.id, stop=True)
    expected = [Typing(user_id=theirs.id)]
    assert ours.events.wait_for("typing_started") == expected
    assert ours.events.wait_for("typing_stopped") == expected


# --- what the JavaScript SDK changes --------------------------------------------------------------


def test_javascript_gets_carriage_returns_but_python_reads_line_feeds(ours, theirs):
    ours.chat.send_private(theirs.id, Message(body="a\r\nb\rc", custom={"k": "x\ry"}))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert (seen["body"], seen["extension"]["k"]) == ("a\r\nb\rc", "x\ry")
    # This SDK writes them unescaped, and any XML parser reads a line feed then (XML 1.0, 2.11).
    theirs.peer.send_private(ours.id, "a\r\nb\rc", {"k": "x\ry"})
    (received,) = ours.events.wait_for("message_received")
    assert (received.body, received.custom) == ("a\nb\nc", {"k": "x\ny"})


def test_empty_parameters_of_ours_are_left_out_and_theirs_are_empty_texts(ours, theirs):
    custom = {"empty": "", "nested": {"empty": "", "k": "v"}}
    ours.chat.send_private(theirs.id, Message(body="x", custom=custom))
    _, seen = theirs.peer.wait_for_event("onMessageListener")
    assert "empty" not in seen["extension"]
    assert seen["extension"]["nested"] == {"empty": None, "k": "v"}
    theirs.peer.send_private(ours.id, "x", {"empty": "", "null": None, "nested": {"empty": ""}})
    (received,) = ours.events.wait_for("message_received")
    assert received.custom == {"empty": "", "null": "", "nested": {"empty": ""}}


def test_a_list_among_their_parameters_is_no_xml_and_ends_their_stream(ours, theirs):
    theirs.peer.send_private(ours.id, "not heard", {"list": ["a", "b"]})  # <list><0>a</0>…
    theirs.peer.wait_for_event("onReconnectListener")
    theirs.peer.send_private(ours.id, "heard", {"list": {"a": "b"}})
    (received,) = ours.events.wait_for("message_received")
    assert (received.body, received.custom) == ("heard", {"list": {"a": "b"}})


# --- edits, deletions, reactions ------------------------------------------------------------------


def history_of(person, dialog):
    """The bodies of a dialog's messages, by id."""
    page = person.cube.messages.list(dialog, mark_as_read=False)
    return {message.id: message.body for message in page}


@pytest.mark.parametrize("is_last", [True, False])
def test_they_see_us_edit(ours, theirs, dialog, our_message, is_last):
    ours.chat.edit_message(dialog, our_message, TEXT, is_last=is_last).result(TIMEOUT)
    seen = theirs.peer.wait_for_event("onMessageUpdateListener")
    assert seen == [our_message, is_last, TEXT, dialog.id, ours.id, {"dialog_id": dialog.id}]


@pytest.mark.parametrize("is_last", [True, False])
def test_we_see_them_edit(ours, theirs, dialog, their_message, is_last):
    edit = {"to": ours.id, "dialogId": dialog.id, "originMessageId": their_message, "body": TEXT}
    theirs.call("chat.editMessage", {**edit, "last": is_last})
    assert ours.events.wait_for("message_edited") == [
        MessageEdit(
            user_id=theirs.id,
            message_id=their_message,
            body=TEXT,
            dialog=DialogRef.private(theirs.id, dialog.id),
            is_last=is_last,
            by_author=True,
        )
    ]
    assert history_of(ours, dialog)[their_message] == TEXT


def test_they_see_us_delete(ours, theirs, dialog, our_message):
    ours.chat.delete_message(dialog, our_message).result(TIMEOUT)
    seen = theirs.peer.wait_for_event("onMessageDeleteListener")
    assert seen == [our_message, dialog.id, ours.id]


def test_we_see_them_delete(ours, theirs, dialog, their_message):
    delete = {"to": ours.id, "dialogId": dialog.id, "messageId": their_message}
    theirs.call("chat.deleteMessage", delete)
    assert ours.events.wait_for("message_deleted") == [
        MessageDeletion(
            user_id=theirs.id,
            message_id=their_message,
            dialog=DialogRef.private(theirs.id, dialog.id),
            by_author=True,
        )
    ]
    assert their_message not in history_of(ours, dialog)


def test_they_see_what_we_change_over_rest(ours, theirs, dialog, our_message):
    ours.cube.messages.update(dialog, our_message, body=TEXT)
    seen = theirs.peer.wait_for_event("onMessageUpdateListener")
    assert seen[:5] == [our_message, True, TEXT, dialog.id, ours.id]
    ours.cube.messages.delete(our_message, force=True)
    seen = theirs.peer.wait_for_event("onMessageDeleteListener")
    assert seen == [our_message, dialog.id, ours.id]


def test_we_see_what_they_change_over_rest(ours, theirs, dialog, their_message):
    change = {"chat_dialog_id": dialog.id, "message": TEXT}
    theirs.call("chat.message.update", their_message, change)
    (edit,) = ours.events.wait_for("message_edited")
    assert (edit.user_id, edit.message_id, edit.body) == (theirs.id, their_message, TEXT)
    assert (edit.dialog_id, edit.is_last) == (dialog.id, True)
    theirs.call("chat.message.delete", their_message, {"force": 1})
    (deletion,) = ours.events.wait_for("message_deleted")
    assert (deletion.user_id, deletion.message_id) == (theirs.id, their_message)
    assert deletion.dialog_id == dialog.id


def test_they_see_our_reactions(ours, theirs, dialog, their_message):
    listener, known = "onMessageReactionsListener", [their_message, ours.id, dialog.id]
    ours.cube.messages.add_reaction(their_message, "👍")
    assert theirs.peer.wait_for_event(listener) == [*known, "👍", None]
    ours.cube.messages.add_reaction(their_message, "👩‍🚀", remove="👍")
    assert theirs.peer.wait_for_event(listener) == [*known, "👩‍🚀", "👍"]
    ours.cube.messages.remove_reaction(their_message, "👩‍🚀")
    assert theirs.peer.wait_for_event(listener) == [*known, None, "👩‍🚀"]


def test_we_see_their_reactions(ours, theirs, dialog, our_message):
    theirs.call("chat.message.addReaction", our_message, "👍")
    theirs.call("chat.message.updateReaction", our_message, "👩‍🚀", "👍")
    theirs.call("chat.message.removeReaction", our_message, "👩‍🚀")
    known = {"user_id": theirs.id, "message_id": our_message, "dialog_id": dialog.id}
    assert ours.events.wait_for("reaction_changed", 3) == [
        ReactionChange(**known, added=("👍",)),
        ReactionChange(**known, added=("👩‍🚀",), removed=("👍",)),
        ReactionChange(**known, removed=("👩‍🚀",)),
    ]


# --- signals to programs --------------------------------------------------------------------------


def test_our_system_message_reaches_their_program(ours, theirs):
    custom = {"albums": "reload", "count": 5, "yes": True, "nested": NESTED}
    handle = ours.chat.send_system_message(theirs.id, custom)
    (seen,) = theirs.peer.wait_for_event("onSystemMessageListener")
    extension = {"albums": "reload", "count": "5", "yes": "true", "nested": NESTED}
    assert seen == {"id": handle.id, "userId": ours.id, "body": None, "extension": extension}
    assert theirs.peer.heard("onMessageListener") == []


def test_their_system_message_reaches_our_program(ours, theirs):
    extension = {"albums": "reload", "count": 5, "yes": True, "nested": NESTED}
    message = {"body": TEXT, "extension": extension}
    sent = theirs.call("chat.sendSystemMessage", ours.id, message)
    assert ours.events.wait_for("system_message_received") == [
        SystemMessage(
            id=sent,
            sender_id=theirs.id,
            recipient_id=ours.id,
            body=TEXT,
            custom={"albums": "reload", "count": "5", "yes": "true", "nested": NESTED},
        )
    ]
    assert ours.bodies == []


def test_our_system_message_over_rest_reaches_their_program(ours, theirs):
    answer = ours.cube.messages.create_system(theirs.id, {"albums": "reload", "nested": NESTED})
    (seen,) = theirs.peer.wait_for_event("onSystemMessageListener")
    extension = {"albums": "reload", "nested": NESTED}
    assert seen == {"id": answer.id, "userId": ours.id, "body": None, "extension": extension}


def test_their_system_message_over_rest_reaches_our_program(ours, theirs):
    extra = {"albums": "reload", "nested": NESTED}
    answer = theirs.call("chat.message.createSystem", {"recipientId": ours.id, **extra})
    (received,) = ours.events.wait_for("system_message_received")
    assert (received.id, received.sender_id) == (answer["messageId"], theirs.id)
    assert (received.recipient_id, received.custom) == (ours.id, extra)


def test_the_signalling_of_their_calls_is_counted_and_nothing_else(ours, theirs):
    call = {
        "moduleIdentifier": "WebRTCVideoChat",
        "signalType": "call",
        "sessionID": "5f1e0a0b-0c0d-4e0f-9011-121314151617",
        "callType": 1,
        "callerID": theirs.id,
        "opponentsIDs": [ours.id],
        "sdp": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n",
        "userInfo": {"name": "<A> & B"},
    }
    candidates = [{"candidate": "candidate:1 1 UDP 1 127.0.0.1 9 typ host", "sdpMid": "0"}]
    trickle = {**call, "signalType": "iceCandidates", "iceCandidates": candidates}
    hang_up = {**call, "signalType": "hangUp"}
    for extension in (call, trickle, hang_up):
        theirs.call("chat.sendWebRTCSignalingMessage", ours.id, {"extension": extension})
    theirs.peer.send_private(ours.id, "no answer?")
    ours.events.wait_for("message_received")
    assert ours.bodies == ["no answer?"]
    assert ours.events.of("system_message_received") == ours.events.of("message_failed") == []
    statistics = ours.chat.statistics()
    assert (statistics.calls, statistics.not_understood) == (3, 0)


# --- refusals -------------------------------------------------------------------------------------


def test_a_message_to_who_does_not_exist_is_refused_to_them_by_its_id(theirs):
    sent = theirs.peer.send_private(NOBODY, "anybody?")
    told, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (told, error["code"]) == (sent, 503)
    assert str(NOBODY) in error["info"]


def test_a_message_to_who_does_not_exist_is_refused_to_us_by_its_id(ours):
    handle = ours.chat.send_private(NOBODY, "anybody?")
    (failure,) = ours.events.wait_for("message_failed")
    assert isinstance(failure, MessageFailure)
    assert (failure.message_id, failure.user_id) == (handle.id, NOBODY)
    assert failure.condition == "service-unavailable"
    assert str(NOBODY) in failure.text


def test_a_system_message_to_who_does_not_exist_is_refused_either_way(ours, theirs):
    sent = theirs.call("chat.sendSystemMessage", NOBODY, {"extension": {"k": "v"}})
    told, error = theirs.peer.wait_for_event("onMessageErrorListener")
    assert (told, error["code"]) == (sent, 503)
    handle = ours.chat.send_system_message(NOBODY, {"k": "v"})
    (failure,) = ours.events.wait_for("system_message_failed")
    assert (failure.message_id, failure.condition) == (handle.id, "service-unavailable")


@pytest.mark.parametrize("mutual", [False, True])
def test_typing_and_statuses_to_who_blocks_us_are_no_messages_that_failed(
    ours, theirs, dialog, their_message, mutual
):
    item = {"user_id": ours.id, "action": "deny", "mutualBlock": mutual}
    theirs.call("chat.privacylist.create", {"name": "myList", "items": [item]})
    theirs.call("chat.privacylist.setAsDefault", "myList")
    (message,) = ours.events.of("message_received")
    ours.chat.send_typing(dialog)
    ours.chat.send_stop_typing(dialog)
    ours.chat.mark_delivered(message)
    ours.chat.mark_read(message)
    settled(ours)
    assert ours.chat.statistics().refused == 4
    for listener in (
        "onMessageTypingListener",
        "onDeliveredStatusListener",
        "onReadStatusListener",
    ):
        assert theirs.peer.heard(listener) == []
    handle = ours.chat.send_message(dialog, "not heard")
    (failure,) = ours.events.wait_for("message_failed")
    assert (failure.message_id, failure.user_id) == (handle.id, theirs.id)
    assert failure.condition == "service-unavailable"


def test_whom_we_block_does_not_reach_us_with_typing_or_statuses(ours, theirs, dialog, our_message):
    before = ours.events.wait_for("message_delivered")
    ours.chat.privacy.block(theirs.id)
    theirs.peer.typing(ours.id)
    theirs.peer.read(ours.id, our_message, dialog.id)
    for _ in ("typing", "read"):
        _, error = theirs.peer.wait_for_event("onMessageErrorListener")
        assert error["code"] == 503
    settled(ours)
    assert ours.events.of("typing_started") == ours.events.of("message_read") == []
    assert ours.events.of("message_delivered") == before


# --- who is active --------------------------------------------------------------------------------


def test_they_ask_when_we_were_last_active(service, clock, ours, theirs):
    ask = ("chat.getLastUserActivity", ours.id)
    assert theirs.call(*ask) == {"userId": ours.id, "seconds": 0}
    ours.chat.logout()
    wait_until(lambda: not service.sessions(ours.id), "the end of the session")
    clock.now += 77
    assert theirs.call(*ask) == {"userId": ours.id, "seconds": 77}


def test_we_ask_when_they_were_last_active(service, clock, ours, theirs):
    assert ours.chat.last_activity(theirs.id) == 0
    go_offline(service, theirs)
    clock.now += 77
    assert ours.chat.last_activity(theirs.id) == 77


def test_nobody_knows_of_who_was_never_there(service, ours, theirs, peers):
    stranger = person_at(service, peers[1])
    assert str(theirs.refused("chat.getLastUserActivity", stranger.id)[0]) == "404"
    with pytest.raises(StanzaError, match="is not known") as refused:
        ours.chat.last_activity(stranger.id)
    assert refused.value.condition == "item-not-found"


def test_they_watch_us_come_and_go(ours, theirs):
    listener = "onLastUserActivityListener"
    theirs.call("chat.subscribeToUserLastActivityStatus", ours.id)
    assert theirs.peer.heard(listener) == []
    ours.chat.logout()
    assert theirs.peer.wait_for_event(listener) == [ours.id, 1]
    ours.chat.login()
    assert theirs.peer.wait_for_event(listener) == [ours.id, 0]
    theirs.call("chat.unsubscribeFromUserLastActivityStatus", ours.id)
    before = theirs.peer.heard(listener)
    ours.chat.logout()
    assert theirs.peer.heard(listener) == before


def test_we_watch_them_come_and_go(service, ours, theirs):
    ours.chat.subscribe_last_activity(theirs.id)
    gone, here = (
        LastActivity(user_id=theirs.id, seconds=1),
        LastActivity(user_id=theirs.id, seconds=0),
    )
    go_offline(service, theirs)
    assert ours.events.wait_for("last_activity_changed") == [gone]
    theirs.peer.connect(theirs.id, PASSWORD)
    assert ours.events.wait_for("last_activity_changed", 2) == [gone, here]
    ours.chat.unsubscribe_last_activity(theirs.id)
    go_offline(service, theirs)
    settled(ours)
    assert ours.events.of("last_activity_changed") == [gone, here]


# --- active and inactive --------------------------------------------------------------------------


def pushed(service, user_id):
    """The texts of the push notifications that a user was sent."""
    return [push.payload["message"] for push in service.pushes if push.user_id == user_id]


def test_they_get_pushes_of_our_messages_while_they_are_inactive(service, ours, theirs):
    phone = {
        "notification_channel": "gcm",
        "device": {"platform": "android", "udid": f"phone-{theirs.id}"},
        "push_token": {"environment": "development", "client_identification_sequence": "t"},
    }
    theirs.call("pushnotifications.subscriptions.create", phone)
    group = ours.cube.dialogs.create_group("Hikers", [theirs.id])
    private = DialogRef.private(theirs.id)
    expected = []
    for number, (mark, to, silent) in enumerate(
        [
            ("markActive", private, False),
            ("markInactive", private, False),
            ("markInactive", private, True),
            ("markInactive", group, False),
            ("markInactive", group, True),
            ("markActive", group, False),
            ("markInactive", private, False),
        ]
    ):
        theirs.call(f"chat.{mark}")
        theirs.peer.heard("")
        message = Message(body=f"number {number}", silent=silent)
        ours.chat.send_message(to, message).result(TIMEOUT)
        _, seen = theirs.peer.wait_for_event("onMessageListener")
        assert seen["body"] == message.body
        if mark == "markInactive" and not silent:
            expected.append(message.body)
        assert pushed(service, theirs.id) == expected


def test_we_get_pushes_of_their_messages_while_we_are_inactive(service, ours, theirs):
    phone = {"channel": "gcm", "platform": "android", "udid": f"phone-{ours.id}", "token": "t"}
    ours.cube.push.subscribe(**phone, environment="development")
    expected = []
    for number, (inactive, silent) in enumerate(
        [(False, False), (True, False), (True, True), (False, False), (True, False)], start=1
    ):
        (ours.chat.mark_inactive if inactive else ours.chat.mark_active)()
        extension = {"save_to_history": 1, **({"silent": 1} if silent else {})}
        theirs.peer.send_private(ours.id, f"number {number}", extension)
        ours.events.wait_for("message_received", number)
        if inactive and not silent:
            expected.append(f"number {number}")
        assert pushed(service, ours.id) == expected
