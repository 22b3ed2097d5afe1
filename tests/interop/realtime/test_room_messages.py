"""Messages in rooms, and what is said about them: statuses, typing, edits, deletions. (XEP-0045.)"""

from __future__ import annotations

import threading

import pytest

from connectycube import Attachment, DialogRef, Message, MessageDeletion, MessageEdit, Typing
from tests.interop.realtime.rooms import bodies, hear, users_of
from tests.support.inside import driver_of
from tests.support.waiting import TIMEOUT

TEXTS = (
    "Grüße <&> ]]> 'x' \"y\" &amp; </body>",
    "  edges and\t\ttabs \n\n and lines \n",
    "Здравствуй, мир — こんにちは — שלום — مرحبا",
    "👋🏽 👨‍👩‍👧‍👦 🇺🇳 \U0001d11e \U0010fffd",
    "e\u0301 is not \u00e9, \u200b\u200e\u202e\ufeff\u00a0\u2028\u2029\x7f\x85",
)


@pytest.fixture
def inside(three):
    """The three, in their room."""
    *people, room = three
    for person in people:
        person.chat.join(room)
    return three


def test_a_room_message_reaches_others_once_and_its_sender_as_a_copy(inside):
    ana, ben, cleo, room = inside
    handle = ana.chat.send_message(room, "Shall we?")
    sent = handle.result(TIMEOUT)
    for person in (ben, cleo):
        (message,) = person.events.wait_for("message_received")
        assert (message.id, message.body, message.sender_id) == (handle.id, "Shall we?", ana.id)
        assert message.date_sent == sent.date_sent
        assert not (message.own or message.delayed)
        assert message.dialog == DialogRef.room(room.id) and message.recipient_id is None
    hear("Yes", ben, ana, room)
    assert bodies(ana, 1) == ["Yes"]
    assert handle.server_copy.own
    assert (handle.server_copy.id, handle.server_copy.body) == (handle.id, "Shall we?")
    assert [event.message_id for event in ana.events.of("message_sent")] == [handle.id]


def test_what_was_said_before_is_not_heard_by_who_joins(three, server):
    ana, ben, cleo, room = three
    cleo.chat.join(room)
    hear("before", ana, cleo, room)
    ben.chat.join(room)
    hear("after", ana, ben, room)
    expected = ["before", "after"] if server.supports("room messages without a join") else ["after"]
    assert bodies(ben, len(expected)) == expected
    assert not any(message.delayed for message in ben.events.of("message_received"))


def test_many_who_write_at_once_are_heard_in_one_order_by_all(server):
    people = [server.person() for _ in range(4)]
    room = server.room(*people)
    for person in people:
        person.chat.join(room)
    listener = people[-1]
    writers, count = people[:-1], 70

    def write(person):
        for number in range(count):
            body = f"{person.id}: {number}"
            person.chat.send_message(room, Message(body=body, markable=False))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order = bodies(listener, count * len(writers))
    for writer in writers:
        own = [f"{writer.id}: {number}" for number in range(count)]
        assert [body for body in order if body in set(own)] == own
        others = [body for body in order if body not in set(own)]
        assert bodies(writer, len(others)) == others
    hear("that was all", listener, writers[0], room)
    for writer in writers:
        assert bodies(writer, count * (len(writers) - 1) + 1)[-1] == "that was all"
    assert len(listener.events.of("message_received")) == count * len(writers)


def test_texts_of_many_scripts_arrive_exactly_in_a_room(inside):
    ana, ben, cleo, room = inside
    for text in TEXTS:
        ana.chat.send_message(room, text)
    assert bodies(ben, len(TEXTS)) == bodies(cleo, len(TEXTS)) == list(TEXTS)


def test_a_big_message_arrives_whole_in_a_room(inside):
    ana, ben, cleo, room = inside
    body = "".join(chr(0x20AC + number % 1000) for number in range(30_000))
    handle = ana.chat.send_message(room, body)
    assert bodies(ben, 1) == bodies(cleo, 1) == [body]
    hear("got it", ben, ana, room)
    assert handle.server_copy.body == body


def test_parameters_and_attachments_arrive_in_a_room(inside):
    ana, ben, cleo, room = inside
    custom = {"colour": "blue & <green>", "place": {"city": "Łódź", "at": {"x": "1", "y": "-2"}}}
    attachment = Attachment(type="image", uid="u1", name="a 'b' \"c\" & ü.png", size=5.0)
    full = Message(body="with all", custom=custom, attachments=(attachment,))
    ana.chat.send_message(room, full)
    ana.chat.send_message(room, Message(custom={"only": "parameters"}))
    for person in (ben, cleo):
        first, second = person.events.wait_for("message_received", 2)
        assert (first.body, first.custom) == ("with all", custom)
        assert (first.attachments[0].uid, first.attachments[0].name) == ("u1", attachment.name)
        assert first.attachments[0].size == 5.0
        assert not second.body and second.custom == {"only": "parameters"}


def test_a_reply_inside_a_callback_goes_to_the_room(inside):
    ana, ben, cleo, room = inside

    @ben.chat.message_received.connect
    def answer(chat, message):
        if message.sender_id == ana.id:
            chat.reply(message, f"you said {message.body}").result(TIMEOUT)

    ana.chat.send_message(room, "hello")
    assert bodies(ana, 1) == ["you said hello"]
    assert bodies(cleo, 2) == ["hello", "you said hello"]


def test_events_of_a_room_can_be_waited_for(inside):
    ana, ben, _, room = inside
    with ben.chat.events(ben.chat.message_received, TIMEOUT) as heard:
        for number in range(3):
            ana.chat.send_message(room, f"{number}")
        assert [heard.next().body for _ in range(3)] == ["0", "1", "2"]
    joins = threading.Thread(target=lambda: (ana.chat.leave(room), ana.chat.join(room)))
    with ben.chat.events(ben.chat.occupant_joined, TIMEOUT) as coming:
        joins.start()
        assert coming.next(where=lambda event: event.user_id == ana.id).dialog_id == room.id
    joins.join()


# --- devices --------------------------------------------------------------------------------------


def test_another_device_of_the_sender_gets_the_message_as_its_own(server):
    ben, user = server.person(), server.user()
    phone, desk = server.person(user), server.person(user)
    room = server.room(ben, user)
    for person in (ben, phone, desk):
        person.chat.join(room)
    handle = phone.chat.send_message(room, "from my phone")
    assert bodies(ben, 1) == ["from my phone"]
    hear("heard", ben, desk, room)
    hear("heard too", ben, phone, room)
    (own,) = desk.events.wait_for("own_message_received")
    answer, _ = desk.events.wait_for("message_received", 2)
    assert (own.id, own.body, own.own, own.sender_id) == (handle.id, "from my phone", True, user.id)
    assert not answer.own
    assert bodies(phone, 2) == ["heard", "heard too"]
    assert handle.server_copy is not None
    delivered = phone.events.wait_for("message_delivered")
    assert set(users_of(delivered)) == {ben.id}, "one's own device tells nobody"


def test_every_device_of_a_receiver_gets_a_message_of_a_room_once(server):
    ana, user = server.person(), server.user()
    phone, desk = server.person(user), server.person(user)
    room = server.room(ana, user)
    for person in (ana, phone, desk):
        person.chat.join(room)
    for number in range(5):
        ana.chat.send_message(room, f"{number}")
    for device in (phone, desk):
        hear(f"last for {driver_of(device.chat).core.session.jid}", ana, device, room)
    for device in (phone, desk):
        received = device.events.wait_for("message_received", 7)
        assert [message.body for message in received[:5]] == list("01234")
        assert len(received) == 7
        assert device.events.of("own_message_received") == []


# --- what is said about messages ------------------------------------------------------------------


def test_statuses_of_a_message_in_a_room_go_to_its_sender(inside):
    ana, ben, cleo, room = inside
    handle = ana.chat.send_message(room, "seen?")
    for person in (ben, cleo):
        person.chat.mark_read(person.events.wait_for("message_received")[0])
    for name in ("message_delivered", "message_read"):
        statuses = ana.events.wait_for(name, 2)
        assert sorted(users_of(statuses)) == sorted([ben.id, cleo.id])
        assert {(s.message_id, s.dialog_id) for s in statuses} == {(handle.id, room.id)}
    hear("and on", ben, cleo, room)
    assert cleo.events.of("message_read") == ben.events.of("message_read") == []


def test_typing_in_a_room_is_seen_by_the_others_in_order(inside):
    ana, ben, cleo, room = inside
    for _ in range(2):
        ana.chat.send_typing(room)
        ana.chat.send_stop_typing(room)
    ana.chat.send_message(room, "typed")
    expected = Typing(user_id=ana.id, dialog_id=room.id)
    for person in (ben, cleo):
        person.events.wait_for("message_received")
        told = [(name, event) for name, event in person.events.all if "typing" in name]
        assert told == [("typing_started", expected), ("typing_stopped", expected)] * 2
    hear("I saw", ben, ana, room)
    assert ana.events.of("typing_started") == ana.events.of("typing_stopped") == []


def test_edits_and_deletions_in_a_room_are_seen_by_the_others(inside):
    ana, ben, cleo, room = inside
    first = ana.chat.send_message(room, "helo").result(TIMEOUT)
    second = ana.chat.send_message(room, "oops").result(TIMEOUT)
    ana.chat.edit_message(room, first, "hello <&> 👋", is_last=False).result(TIMEOUT)
    ana.chat.delete_message(room, second).result(TIMEOUT)
    dialog = DialogRef.room(room.id)
    for person in (ben, cleo):
        assert person.events.wait_for("message_edited") == [
            MessageEdit(
                user_id=ana.id,
                message_id=first.id,
                body="hello <&> 👋",
                dialog=dialog,
                is_last=False,
                by_author=True,
            )
        ]
        assert person.events.wait_for("message_deleted") == [
            MessageDeletion(user_id=ana.id, message_id=second.id, dialog=dialog, by_author=True)
        ]
        assert bodies(person, 2) == ["helo", "oops"]
    hear("I saw", ben, ana, room)
    assert ana.events.of("message_edited") == ana.events.of("message_deleted") == []
