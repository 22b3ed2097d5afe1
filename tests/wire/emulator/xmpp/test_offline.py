"""Messages to users who are offline, and what sessions that ended had not acknowledged."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from connectycube.emulator import Emulator
from tests.support.wire_client import CLIENT, Client, chat

BODY = f"{CLIENT}body"
DELAY = "{urn:xmpp:delay}delay"


def bodies_of(client):
    """The bodies of the messages that have come."""
    return [one.findtext(BODY) for one in client.sync() if one.tag == f"{CLIENT}message"]


def test_messages_come_later_in_order_with_a_delay_stamp(connect, alice, bob):
    sender, first, second = connect().log_in(alice), connect(), connect()
    sender.send(chat(bob, "one") + chat(bob, "two \r &lt;"))
    sender.sync()
    first.authenticated(bob).bind()
    first.send("<presence/>")
    for body in ("one", "two \r <"):
        message = first.message()
        assert message.findtext(BODY) == body.replace("\r", "\n")
        delay = message.find(DELAY)
        assert delay is not None
        assert delay.get("from") == "localhost"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", delay.get("stamp") or "")
    assert bodies_of(second.log_in(bob)) == []


def test_history_is_all_there_is_with_the_switch_off():
    with Emulator(offline_messages=False) as emulator:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        with Client(emulator) as sender, Client(emulator) as reader:
            sender.log_in(alice).send(chat(bob))
            sender.sync()
            assert bodies_of(reader.log_in(bob)) == []
            assert len(emulator.messages(emulator.private_dialog(alice, bob))) == 1


def test_typing_and_markers_are_not_kept(connect, alice, bob):
    sender = connect().log_in(alice)
    for child in (
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{'aa' * 12}'/>",
    ):
        sender.send(f"<message to='{bob}-1@localhost' type='chat'>{child}</message>")
    sender.sync()
    reader = connect().log_in(bob)
    assert [one for one in reader.sync() if one.tag == f"{CLIENT}message"] == []


def test_a_negative_priority_gets_them_when_it_rises(connect, alice, bob):
    sender, reader = connect().log_in(alice), connect().authenticated(bob)
    reader.bind()
    reader.send("<presence><priority>-1</priority></presence>")
    sender.send(chat(bob, "kept"))
    sender.sync()
    assert bodies_of(reader) == []
    reader.send("<presence><priority>0</priority></presence>")
    assert bodies_of(reader) == ["kept"]
    reader.send("<presence/>")
    assert bodies_of(reader) == []


def test_unacknowledged_messages_of_an_ended_session_are_kept(emulator, connect, alice, bob):
    sender, first = connect().log_in(alice), connect().log_in(bob)
    first.enable()
    emulator.cut(bob)
    sender.send(chat(bob, "one") + chat(bob, "two", id="bb" * 12))
    sender.sync()
    emulator.clock.advance(60)
    sent_before = emulator.clock.time() - 60
    emulator.forget_sessions(bob)
    second = connect().log_in(bob)
    found = [second.message() for _ in range(2)]
    assert [one.findtext(BODY) for one in found] == ["one", "two"]
    stamps = [datetime.fromisoformat(one.find(DELAY).get("stamp")[:-1]) for one in found]
    # the time of arrival, not that of the session's end
    assert all(
        abs(stamp.replace(tzinfo=timezone.utc).timestamp() - sent_before) < 30 for stamp in stamps
    )


def test_what_was_kept_and_not_acknowledged_is_stamped_once(emulator, connect, alice, bob):
    sender = connect().log_in(alice)
    sender.send(chat(bob, "kept"))
    sender.sync()
    first = connect().authenticated(bob)
    first.bind()
    first.enable()
    first.send("<presence/>")
    stamp = first.message().find(DELAY).get("stamp")
    emulator.cut(bob)
    emulator.forget_sessions(bob)
    again = connect().log_in(bob).message()
    assert [delay.get("stamp") for delay in again.findall(DELAY)] == [stamp]


@pytest.mark.parametrize("managed", [True, False], ids=["acknowledged", "unmanaged"])
def test_another_device_that_has_a_message_gets_it_once(emulator, connect, alice, bob, managed):
    sender = connect().log_in(alice)
    lost, phone = connect().log_in(bob, "lost"), connect().log_in(bob, "phone")
    lost.enable()
    if managed:
        phone.enable()
    emulator.faults.drop(connection="lost", times=1)
    sender.send(chat(bob, "once"))
    sender.sync()
    assert phone.message().findtext(BODY) == "once"
    if managed:
        phone.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        phone.sync()
    emulator.forget_sessions(bob)
    assert bodies_of(phone) == []
    assert bodies_of(connect().log_in(bob, "new")) == []


def test_the_last_device_that_ends_without_an_answer_keeps_it(emulator, connect, alice, bob):
    sender = connect().log_in(alice)
    for resource in ("phone", "tablet"):
        connect().log_in(bob, resource).enable()
    emulator.cut(bob)
    sender.send(chat(bob, "once"))
    sender.sync()
    emulator.forget_sessions(bob)
    assert bodies_of(connect().log_in(bob)) == ["once"]
    assert bodies_of(connect().log_in(bob)) == []


def test_a_device_that_came_later_gets_what_an_ended_one_had(emulator, connect, alice, bob):
    sender = connect().log_in(alice)
    connect().log_in(bob, "lost").enable()
    emulator.cut(bob)
    sender.send(chat(bob, "before"))
    sender.sync()
    late = connect().log_in(bob, "late")
    sender.send(chat(bob, "after", id="bb" * 12))
    sender.sync()
    assert bodies_of(late) == ["after"]
    emulator.forget_sessions(bob)
    assert bodies_of(late) == ["before"]
    assert bodies_of(connect().log_in(bob)) == []


def test_what_overflows_a_session_is_kept_for_the_next():
    with Emulator(unacknowledged_stanzas=3) as emulator:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        with Client(emulator) as sender, Client(emulator) as first, Client(emulator) as next_:
            sender.log_in(alice)
            expected = [f"message {number}" for number in range(6)]
            for number, body in enumerate(expected):
                sender.send(chat(bob, body, id=f"{number:024x}"))
            sender.sync()
            first.authenticated(bob).bind()
            first.enable()
            first.send("<presence/>")
            assert first.stream_error() == "resource-constraint"
            assert bodies_of(next_.log_in(bob)) == expected


def to_user(user_id, children):
    return f"<message to='{user_id}-1@localhost' type='chat'>{children}</message>"


EDIT = f"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='{'aa' * 12}'/>"
DELETION = f"<remove xmlns='urn:xmpp:message-delete:0' id='{'aa' * 12}'/>"


@pytest.mark.parametrize("before", ["", EDIT], ids=["as it was", "edited"])
@pytest.mark.parametrize("session", ["none", "lost"])
@pytest.mark.parametrize(
    "who", ["sender by chat", "sender by REST", "reader alone", "history", "dialog", "whole dialog"]
)
def test_what_was_deleted_meanwhile_is_not_delivered(
    emulator, connect, alice, bob, rest, before, session, who
):
    sender = connect().log_in(alice)
    if session == "lost":
        connect().log_in(bob).enable()
        emulator.cut(bob)
    sender.send(chat(bob, "deleted") + (to_user(bob, before) if before else ""))
    sender.sync()
    emulator.clock.advance(1)
    dialog = emulator.private_dialog(alice, bob)
    if who == "sender by chat":
        sender.send(to_user(bob, DELETION))
        sender.sync()
    elif who == "sender by REST":
        rest("alice")("DELETE", f"chat/Message/{'aa' * 12}?force=1")
    elif who == "reader alone":
        rest("bob")("DELETE", f"chat/Message/{'aa' * 12}")
    elif who == "history":
        rest("bob")("DELETE", f"chat/Dialog/clearHistory/{dialog}")
    elif who == "dialog":
        rest("bob")("DELETE", f"chat/Dialog/{dialog}")
    else:
        rest("alice")("DELETE", f"chat/Dialog/{dialog}?force=1")
    sender.send(chat(bob, "stays", id="bb" * 12))
    sender.sync()
    emulator.forget_sessions(bob)
    assert bodies_of(connect().log_in(bob)) == ["stays"]


def test_a_deleted_message_of_rest_is_not_delivered(emulator, connect, alice, bob, rest):
    api = rest("alice")
    values = {"recipient_id": bob, "message": "deleted", "send_to_chat": 1}
    message_id = api("POST", "chat/Message", json=values).json()["_id"]
    api("PUT", f"chat/Message/{message_id}", json={"message": "edited"})
    api("DELETE", f"chat/Message/{message_id}?force=1")
    assert bodies_of(connect().log_in(bob)) == []


@pytest.mark.parametrize("kept", ["not saved", "switch off", "edit of what history never had"])
def test_what_history_does_not_delete_is_delivered(kept):
    with Emulator(deletions_change_history=kept != "switch off") as emulator:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        stanza = chat(bob, "kept")
        if kept != "switch off":
            stanza = stanza.replace("<save_to_history>1</save_to_history>", "")
        if kept.startswith("edit"):
            stanza = to_user(bob, EDIT.replace("new", "kept"))
        with Client(emulator) as sender, Client(emulator) as reader:
            sender.log_in(alice).send(stanza + to_user(bob, DELETION))
            sender.sync()
            assert bodies_of(reader.log_in(bob)) == ["kept"]
