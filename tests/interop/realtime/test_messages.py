"""Private messages, statuses and typing."""

from __future__ import annotations

import threading

import pytest

from connectycube import Attachment, DialogRef, Message
from tests.interop.realtime.servers import NOBODY
from tests.support.waiting import TIMEOUT

TEXTS = (
    "Grüße <&> ]]> 'x' \"y\" &amp; </body>",
    "  edges and\t\ttabs \n\n and lines \n",
    "Здравствуй, мир — こんにちは — 你好 — שלום — مرحبا",
    "👋🏽 👨‍👩‍👧‍👦 🇺🇳 \U0001d11e \U0010fffd",
    "e\u0301 is not \u00e9, \u200b\u200e\u202e\ufeff\u00a0\u2028\u2029\x7f\x85",
    "?!OTR xmlns='x' <message to='nobody'/>",
)


def bodies(person, count):
    """The bodies of the first ``count`` messages that the person received."""
    return [message.body for message in person.events.wait_for("message_received", count)][:count]


def test_a_receiver_answers_inside_its_callback(server):
    alice, bob = server.person(), server.person()

    @bob.chat.message_received.connect
    def answer(chat, message):
        chat.mark_read(message)
        chat.reply(message, f"you said {message.body}").result(TIMEOUT)

    handle = alice.chat.send_private(bob.id, "hello")
    assert handle.result(TIMEOUT).body == "hello"
    received = bob.events.wait_for("message_received")[0]
    assert (received.id, received.sender_id) == (handle.id, alice.id)
    assert received.recipient_id == bob.id
    assert received.date_sent == handle.message.date_sent
    assert not (received.own or received.delayed)
    assert bodies(alice, 1) == ["you said hello"]
    assert alice.events.wait_for("message_read")[0].message_id == handle.id


def test_the_server_names_the_dialog_where_it_keeps_dialogs(server):
    alice, bob = server.person(), server.person()
    alice.chat.send_private(bob.id, "hello")
    received = bob.events.wait_for("message_received")[0]
    assert (received.dialog_id is not None) == server.supports("dialog id")
    assert received.dialog == DialogRef.private(alice.id, received.dialog_id)


def test_texts_of_many_scripts_arrive_exactly(server):
    alice, bob = server.person(), server.person()
    for text in TEXTS:
        alice.chat.send_private(bob.id, text)
    assert bodies(bob, len(TEXTS)) == list(TEXTS)


def test_a_carriage_return_arrives_where_the_server_escapes_it(server):
    alice, bob = server.person(), server.person()
    alice.chat.send_private(bob.id, "one\r\ntwo\rthree")
    expected = "one\r\ntwo\rthree" if server.supports("carriage return") else "one\ntwo\nthree"
    assert bodies(bob, 1) == [expected]


def test_attachments_arrive_with_every_attribute(server):
    alice, bob = server.person(), server.person()
    tab = "\t" if server.supports("tab in an attribute") else " "
    sent = (
        Attachment(
            type="image",
            uid="u1",
            url="https://files.example/a?b=c&d=<e>",
            content_type="image/png",
            name="a 'quoted' \"name\" & ünïcode.png",
            size=5.0,
            width=640,
            height=480,
        ),
        Attachment(type="audio", id="7", uid="7", duration=12, data="tab\there"),
    )
    alice.chat.send_private(bob.id, Message(attachments=sent))
    first, second = bob.events.wait_for("message_received")[0].attachments
    assert (first.id, first.uid) == ("u1", "u1")
    for name in ("type", "url", "content_type", "name", "size", "width", "height"):
        assert getattr(first, name) == getattr(sent[0], name)
    assert (second.id, second.uid, second.duration) == ("7", "7", 12)
    assert second.data == f"tab{tab}here"


def test_custom_parameters_arrive_nested_as_they_were(server):
    alice, bob = server.person(), server.person()
    custom = {"colour": "blue & <green>", "place": {"city": "Łódź", "at": {"x": "1", "y": "-2"}}}
    alice.chat.send_private(bob.id, Message(body="with parameters", custom=custom))
    alice.chat.send_private(bob.id, Message(custom={"only": "parameters", "empty": ""}))
    first, second = bob.events.wait_for("message_received", 2)
    assert first.custom == custom
    assert not second.body
    assert second.custom == {"only": "parameters", "empty": ""}


def test_a_message_that_destroys_itself_says_when(server):
    alice, bob = server.person(), server.person()
    alice.chat.send_private(bob.id, Message(body="burn this", destroy_after=5))
    received = bob.events.wait_for("message_received")[0]
    assert (received.body, received.destroy_after) == ("burn this", 5)
    assert not received.save_to_history


def test_delivered_goes_out_by_itself_and_read_by_hand_both_ways(server):
    alice, bob = server.person(), server.person()
    for one, other in ((alice, bob), (bob, alice)):
        handle = one.chat.send_private(other.id, "mark me")
        delivered = one.events.wait_for("message_delivered")[0]
        assert (delivered.user_id, delivered.message_id) == (other.id, handle.id)
        assert one.events.of("message_read") == []
        other.chat.mark_read(other.events.wait_for("message_received")[0])
        read = one.events.wait_for("message_read")[0]
        assert (read.user_id, read.message_id) == (other.id, handle.id)
    assert len(alice.events.of("message_delivered")) == 1


def test_what_asks_for_no_status_gets_none(server):
    alice, bob = server.person(), server.person()
    alice.chat.send_private(bob.id, Message(body="no status", markable=False))
    assert not bob.events.wait_for("message_received")[0].markable
    # What bob's connection sent by itself would have arrived before what he sends now.
    bob.chat.send_private(alice.id, "done")
    alice.events.wait_for("message_received")
    assert alice.events.of("message_delivered") == []


def test_typing_is_seen_both_ways_in_order(server):
    alice, bob = server.person(), server.person()
    for one, other in ((alice, bob), (bob, alice)):
        for _ in range(2):
            one.chat.send_typing(DialogRef.private(other.id))
            one.chat.send_stop_typing(DialogRef.private(other.id))
        one.chat.send_private(other.id, "typed")
        other.events.wait_for("message_received")
        told = [(name, event.user_id) for name, event in other.events.all if "typing" in name]
        assert told == [("typing_started", one.id), ("typing_stopped", one.id)] * 2


def test_a_message_to_a_user_that_does_not_exist_comes_back(server):
    alice = server.person()
    handle = alice.chat.send_private(NOBODY, "anybody?")
    failure = alice.events.wait_for("message_failed")[0]
    assert (failure.message_id, failure.condition) == (handle.id, "service-unavailable")
    assert failure.user_id == NOBODY
    assert alice.chat.ping() < TIMEOUT


def test_a_message_to_an_absent_user_comes_later(server):
    alice, absent = server.person(), server.user()
    texts = ["while you were away", "and again"]
    for text in texts:
        alice.chat.send_private(absent.id, text).result(TIMEOUT)
    bob = server.person(absent)
    received = bob.events.wait_for("message_received", 2)
    assert [(m.body, m.delayed, m.sender_id) for m in received] == [
        (text, True, alice.id) for text in texts
    ]
    alice.chat.send_private(bob.id, "now")
    expected = [*texts, "now"]
    assert bodies(bob, len(expected)) == expected
    assert not bob.events.of("message_received")[-1].delayed
    assert alice.events.of("message_failed") == []


def test_every_resource_of_a_user_gets_a_message(server):
    alice, user = server.person(), server.user()
    phone, desk = server.person(user, resource="phone"), server.person(user, resource="desk")
    handle = alice.chat.send_private(user.id, "to all of you")
    assert phone.events.wait_for("message_received")[0].id == handle.id
    assert desk.events.wait_for("message_received")[0].id == handle.id
    assert len(alice.events.wait_for("message_delivered", 2)) == 2


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_a_big_message_arrives_whole(server, size):
    alice, bob = server.person(), server.person()
    body = "".join(chr(0x20AC + number % 1000) for number in range(size // 3))
    assert size - 3 < len(body.encode()) <= size
    alice.chat.send_private(bob.id, body).result(TIMEOUT)
    bob.chat.send_private(alice.id, body).result(TIMEOUT)
    assert bodies(bob, 1) == bodies(alice, 1) == [body]


def test_five_hundred_messages_each_way_at_once_arrive_in_order(server):
    alice, bob = server.person(), server.person()
    texts = [f"number {number}" for number in range(500)]

    def talk(one, other):
        for text in texts:
            one.chat.send_private(other.id, text)

    both = [threading.Thread(target=talk, args=pair) for pair in ((alice, bob), (bob, alice))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert bodies(alice, 500) == bodies(bob, 500) == texts
    assert len(alice.events.wait_for("message_sent", 500)) == 500
    alice.chat.ping()
    assert len(alice.events.of("message_received")) == 500


def test_four_senders_at_once_are_each_heard_in_order(server):
    bob = server.person()
    senders = [server.person() for _ in range(4)]
    for number in range(50):
        for sender in senders:
            sender.chat.send_private(bob.id, f"{number}")
    received = bob.events.wait_for("message_received", 200)
    for sender in senders:
        heard = [message.body for message in received if message.sender_id == sender.id]
        assert heard == [f"{number}" for number in range(50)]


# --- edits, deletions, system messages ------------------------------------------------------------


def test_an_edit_and_a_deletion_are_seen_by_the_other_user(server):
    alice, bob = server.person(), server.person()
    dialog = DialogRef.private(bob.id, "d" * 24)
    first = alice.chat.send_message(dialog, "helo").result(TIMEOUT)
    alice.chat.edit_message(dialog, first, "hello <&> 👋").result(TIMEOUT)
    alice.chat.delete_message(dialog, first.id).result(TIMEOUT)
    (edit,) = bob.events.wait_for("message_edited")
    assert (edit.user_id, edit.message_id, edit.body) == (alice.id, first.id, "hello <&> 👋")
    assert edit.is_last and not edit.own
    (deletion,) = bob.events.wait_for("message_deleted")
    assert (deletion.user_id, deletion.message_id) == (alice.id, first.id)
    assert edit.dialog == deletion.dialog
    assert edit.dialog.peer_id == alice.id
    assert bodies(bob, 1) == ["helo"]


def test_a_system_message_reaches_every_device_and_is_no_message(server):
    alice, user = server.person(), server.user()
    devices = [server.person(user) for _ in range(2)]
    custom = {"albums": "reload & <more>", "nested": {"city": "Łódź", "deep": {"n": "5"}}}
    handle = alice.chat.send_system_message(user.id, custom)
    assert handle.result(TIMEOUT).recipient_id == user.id
    alice.chat.send_private(user.id, "a message")
    for device in devices:
        (received,) = device.events.wait_for("system_message_received")
        assert (received.id, received.sender_id) == (handle.id, alice.id)
        assert received.custom == custom
        assert bodies(device, 1) == ["a message"]


def test_a_system_message_to_an_unknown_user_is_refused_or_lost(server):
    alice = server.person()
    handle = alice.chat.send_system_message(NOBODY, {"k": "v"})
    alice.chat.send_private(NOBODY, "anybody?")
    alice.events.wait_for("message_failed")
    failures = alice.events.of("system_message_failed")
    if server.supports("refusal of system messages"):
        assert [failure.message_id for failure in failures] == [handle.id]
        assert failures[0].condition == "service-unavailable"
    else:
        assert failures == []
        assert handle.result(TIMEOUT).recipient_id == NOBODY
    assert len(alice.events.of("message_failed")) == 1
