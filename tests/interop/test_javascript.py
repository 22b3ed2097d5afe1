"""The official JavaScript SDK as the other person, on the emulator: it says whether this is ConnectyCube."""

from __future__ import annotations

import pytest

from connectycube import ConnectyCube, DialogRef, Message
from tests.support.inside import signals_of
from tests.support.people import FAST, PASSWORD, Events
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")


@pytest.fixture
def ours(emulator):
    """A Python user with a session and a chat, logged in."""
    with ConnectyCube(config=emulator.config(reconnect=FAST)) as cube:
        emulator.add_user(f"python-user-{id(cube)}", PASSWORD)
        cube.login(login=f"python-user-{id(cube)}", password=PASSWORD)
        cube.events = Events(*signals_of(cube.chat))
        cube.chat.login()
        yield cube


@pytest.fixture
def theirs(emulator, ours, javascript_on):
    """A JavaScript user with a session, connected."""
    return javascript_on(emulator, f"javascript-user-{id(ours)}")


def test_a_message_to_javascript_and_the_delivered_it_sends(emulator, ours, theirs):
    message = Message(body="Grüße <&> 👋 \t", custom={"colour": "blue", "place": {"city": "Köln"}})
    handle = ours.chat.send_private(theirs.user_id, message)
    handle.result(TIMEOUT)

    user_id, received = theirs.wait_for_event("onMessageListener")
    dialog_id = emulator.private_dialog(ours.user.id, theirs.user_id)
    assert user_id == ours.user.id
    assert received["id"] == handle.id
    assert received["body"] == message.body
    assert received["type"] == "chat"
    assert received["dialog_id"] == dialog_id
    assert received["recipient_id"] == theirs.user_id
    assert received["extension"]["colour"] == "blue"
    assert received["extension"]["place"] == {"city": "Köln"}
    assert received["extension"]["date_sent"] == str(int(handle.message.date_sent.timestamp()))
    delivered = ours.events.wait_for("message_delivered")[0]
    assert (delivered.user_id, delivered.message_id) == (theirs.user_id, handle.id)
    assert delivered.dialog_id == dialog_id


def test_a_message_from_javascript_and_the_statuses_it_gets(emulator, ours, theirs):
    sent = theirs.send_private(
        ours.user.id,
        "Здравствуй, <you> & 🚀",
        {"save_to_history": 1, "colour": "red", "place": {"city": "Minsk"}},
        markable=1,
    )
    message = ours.events.wait_for("message_received")[0]
    dialog_id = emulator.private_dialog(ours.user.id, theirs.user_id)
    assert (message.id, message.body) == (sent, "Здравствуй, <you> & 🚀")
    assert (message.sender_id, message.recipient_id) == (theirs.user_id, ours.user.id)
    assert message.custom == {"colour": "red", "place": {"city": "Minsk"}}
    assert message.dialog == DialogRef.private(theirs.user_id, dialog_id)
    assert message.date_sent is not None
    ours.chat.mark_delivered(message)
    assert theirs.wait_for_event("onDeliveredStatusListener") == [sent, dialog_id, ours.user.id]
    ours.chat.mark_read(message)
    assert theirs.wait_for_event("onReadStatusListener") == [sent, dialog_id, ours.user.id]


def test_a_callback_of_ours_answers_javascript(ours, theirs):
    ours.chat.message_received.connect(lambda chat, message: chat.reply(message, message.body * 2))
    for text in ("ab", "шалом", "👩‍🚀"):
        theirs.send_private(ours.user.id, text)
        _, answer = theirs.wait_for_event("onMessageListener")
        assert answer["body"] == text * 2


def test_read_from_javascript(ours, theirs):
    handle = ours.chat.send_private(theirs.user_id, "read me")
    _, received = theirs.wait_for_event("onMessageListener")
    theirs.call(
        "chat.sendReadStatus",
        {"messageId": handle.id, "userId": ours.user.id, "dialogId": received["dialog_id"]},
    )
    status = ours.events.wait_for("message_read")[0]
    assert (status.user_id, status.message_id) == (theirs.user_id, handle.id)
    assert status.dialog_id == received["dialog_id"]


def test_typing_both_ways(ours, theirs):
    ours.chat.send_typing(DialogRef.private(theirs.user_id))
    assert theirs.wait_for_event("onMessageTypingListener")[:2] == [True, ours.user.id]
    ours.chat.send_stop_typing(DialogRef.private(theirs.user_id))
    assert theirs.wait_for_event("onMessageTypingListener")[:2] == [False, ours.user.id]
    theirs.typing(ours.user.id)
    assert ours.events.wait_for("typing_started")[0].user_id == theirs.user_id
    theirs.typing(ours.user.id, stop=True)
    assert ours.events.wait_for("typing_stopped")[0].user_id == theirs.user_id


def test_both_read_the_same_history(ours, theirs):
    ours.chat.send_private(theirs.user_id, Message(body="one", custom={"k": "v"})).result(TIMEOUT)
    theirs.wait_for_event("onMessageListener")
    theirs.send_private(ours.user.id, "two")
    ours.events.wait_for("message_received")
    dialog = ours.dialogs.list()[0]
    mine = ours.messages.list(dialog, sort="date_sent").items
    yours = theirs.call("chat.message.list", {"chat_dialog_id": dialog.id, "sort_asc": "date_sent"})
    assert [message.body for message in mine] == ["one", "two"]
    assert [item["_id"] for item in yours["items"]] == [message.id for message in mine]
    assert [item["sender_id"] for item in yours["items"]] == [ours.user.id, theirs.user_id]
    assert mine[0].custom["k"] == yours["items"][0]["k"] == "v"


def test_a_cut_python_link_loses_and_repeats_no_message_with_javascript(emulator, ours, theirs):
    emulator.cut(ours.user.id)
    for number in range(10):
        theirs.send_private(ours.user.id, f"in {number}")
        ours.chat.send_private(theirs.user_id, f"out {number}")
    got = [message.body for message in ours.events.wait_for("message_received", 10)]
    assert got == [f"in {number}" for number in range(10)]
    for number in range(10):
        assert theirs.wait_for_event("onMessageListener")[1]["body"] == f"out {number}"
