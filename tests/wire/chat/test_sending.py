"""What may be sent, and to which dialog: ids, forwards, custom parameters, dialogs known by their ids."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import (
    ApiError,
    ArgumentValueError,
    Attachment,
    Dialog,
    DialogRef,
    DialogType,
    Message,
    NotConnectedError,
    NotFoundError,
)
from connectycube.chat.driver import Driver
from connectycube.chat.link import Link
from connectycube.chat.protocol.outbox import Outbox
from connectycube.chat.protocol.session import Session
from connectycube.chat.requester import Requester
from connectycube.chat.sender import Sender
from connectycube.emulator import Emulator
from tests.support.cutting import cut_at_each_call
from tests.support.inside import driver_of
from tests.support.observing import Requests
from tests.support.people import PASSWORD, SLOW, Person, away, settled
from tests.support.waiting import TIMEOUT, wait_until

_numbers = itertools.count(1)
OWN_ID = "5f1e0a0b0c0d0e0f10111213"


@pytest.fixture
def people(emulator: Emulator) -> Iterator[tuple[Person, Person]]:
    """Two users with REST and chat."""
    found = []
    for name in ("sue", "tom"):
        login = f"{name}-{next(_numbers)}"
        emulator.add_user(login, PASSWORD)
        found.append(Person.in_chat(emulator, login))
    with found[0].cube, found[1].cube:
        yield found[0], found[1]


@pytest.fixture
def group(people):
    sue, tom = people
    return sue.cube.dialogs.create_group("Hikers", [tom.id])


@pytest.fixture
def private(people):
    sue, tom = people
    return sue.cube.dialogs.create_private(tom.id)


@pytest.fixture
def forgetful() -> Iterator[tuple[Emulator, Person, Person]]:
    """Two users of a service that keeps no messages for users who are offline, except in history."""
    with Emulator(offline_messages=False) as emulator:
        found = []
        for name in ("sue", "tom"):
            emulator.add_user(name, PASSWORD)
            found.append(Person.in_chat(emulator, name, reconnect=SLOW))
        with found[0].cube, found[1].cube:
            yield emulator, *found


# --- ids


@pytest.mark.parametrize(
    "own", ["order-4711", "1", "", "F" * 24, "f" * 23, "f" * 25, "f" * 24 + "\n", 5]
)
def test_an_id_that_the_service_would_replace_is_refused(people, own):
    sue, tom = people
    with pytest.raises((TypeError, ValueError), match=r"^message\.id must be"):
        sue.chat.send_private(tom.id, Message(id=own, body="x"))
    settled(sue)
    assert tom.bodies == []


def test_an_id_of_the_services_form_is_kept(people):
    sue, tom = people
    handle = sue.chat.send_private(tom.id, Message(id=OWN_ID, body="x"))
    handle.result(TIMEOUT)
    (message,) = tom.events.wait_for("message_received")
    assert message.id == handle.id == OWN_ID
    assert [one.id for one in tom.cube.messages.list(message)] == [OWN_ID]


# --- forwards


def content() -> Message:
    return Message(
        body="Looking",
        custom={"colour": "blue", "nested": {"n": "1"}},
        attachments=(Attachment(type="image", uid="u", extra={"ours": "1"}),),
        silent=True,
        markable=False,
    )


@pytest.mark.parametrize("way", ["received", "listed", "sent", "server copy", "found", "stored"])
def test_a_message_from_somebody_is_forwarded_as_a_new_one(people, group, private, way):
    sue, tom = people
    handle = sue.chat.send_message(group, content())
    sent = handle.result(TIMEOUT)
    received = tom.events.wait_for("message_received")[0]
    original = {
        "received": lambda: received,
        "listed": lambda: tom.cube.messages.list(group, mark_as_read=False)[0],
        "sent": lambda: sent,
        "server copy": lambda: handle.server_copy,
        "found": lambda: tom.cube.search("Looking").messages[0],
        "stored": lambda: tom.cube.messages.create(group, content()),
    }[way]()
    forward = tom.chat.send_private(sue.id, original)
    again = forward.result(TIMEOUT)
    assert forward.id != original.id and again.sender_id == tom.id and not again.own
    assert again.date_sent >= sent.date_sent
    (message,) = sue.events.wait(
        lambda events: [m for m in events.of("message_received") if m.dialog_id != group.id]
    )
    assert (message.id, message.sender_id) == (forward.id, tom.id)
    assert [one.id for one in sue.cube.messages.list(private)] == [forward.id]
    if way != "found":
        for field in ("body", "custom", "attachments", "silent", "markable"):
            assert getattr(message, field) == getattr(received, field), field


def test_a_recovered_message_is_forwarded_in_a_receiver(forgetful):
    emulator, sue, tom = forgetful
    group = sue.cube.dialogs.create_group("Hikers", [tom.id])
    forwards = []

    @tom.chat.message_received.connect
    def forward(chat, message):
        assert message.recovered
        forwards.append(chat.send_message(group, message))

    with away(tom, emulator):
        sent = sue.chat.send_private(tom.id, content()).result(TIMEOUT)
    tom.events.wait_for("message_received")
    settled(tom)
    assert forwards[0].result(TIMEOUT).id != sent.id
    message = sue.events.wait_for("message_received")[0]
    assert (message.id, message.dialog_id) == (forwards[0].id, group.id)


def test_a_receiver_that_forwards_again_after_a_crash_repeats_the_id(make, people, emulator, copy):
    sue, _ = people
    bot = make()
    group = bot.cube.dialogs.create_group("Bots", [sue.id])
    bot.chat.message_received.connect(lambda chat, message: chat.send_message(group, message))
    bot.chat.login()
    sent = sue.chat.send_private(bot.id, "pass it on").result(TIMEOUT)
    message = sue.events.wait_for("message_received")[0]
    assert message.dialog_id == group.id and message.id != sent.id
    assert message.id[:8] == sent.id[:8], "derived from the message that was received"


@pytest.mark.parametrize(
    "field",
    [{"sender_id": 999}, {"own": True}, {"dialog_id": "d"}, {"recipient_id": 1}, {"read": True}],
)
def test_what_only_the_service_says_is_refused_by_name(people, field):
    sue, tom = people
    (name,) = field
    with pytest.raises(ValueError, match=f"message.{name} is for the service to say"):
        sue.chat.send_private(tom.id, Message(body="x", **field))


# --- custom parameters


def test_custom_parameters_are_given_as_for_messages_create(people, group, private):
    sue, tom = people
    base = Message(body="x", custom={"a": "1", "b": "1"})
    sue.chat.send_message(private, base, custom={"b": "2", "c": 3}, d=True).result(TIMEOUT)
    sue.chat.send_private(tom.id, "x", colour="blue").result(TIMEOUT)
    sue.chat.send_message(group, "", custom={"to": "x", "timeout": "y"}).result(TIMEOUT)
    messages = tom.events.wait_for("message_received", 3)  # in order in each conversation only
    first, second = [message for message in messages if message.dialog.peer_id == sue.id]
    (third,) = [message for message in messages if message.dialog.id == group.id]
    assert first.custom == {"a": "1", "b": "2", "c": "3", "d": "true"}
    assert second.custom == {"colour": "blue"}
    assert third.custom == {"to": "x", "timeout": "y"}
    tom.chat.reply(first, "y", colour="red").result(TIMEOUT)
    assert sue.events.wait_for("message_received")[0].custom == {"colour": "red"}
    with pytest.raises(TypeError, match="custom must be a mapping, not list"):
        sue.chat.send_private(tom.id, "x", custom=["a"])
    with pytest.raises(ValueError, match="'created_at': it is reserved"):
        sue.chat.send_private(tom.id, "x", created_at="1")


def test_a_system_message_has_a_body(people):
    sue, tom = people
    sent = sue.chat.send_system_message(tom.id, {"k": 1}, "hello").result(TIMEOUT)
    (event,) = tom.events.wait_for("system_message_received")
    assert (sent.body, event.body, event.custom) == ("hello", "hello", {"k": "1"})
    with pytest.raises(ValueError, match=r"body holds U\+0007"):
        sue.chat.send_system_message(tom.id, {}, "\x07")


# --- dialogs known by their ids


@pytest.mark.parametrize("kind", ["group", "private", "public"])
@pytest.mark.parametrize("form", ["{}", " {}\n"])
def test_a_dialogs_id_is_enough(people, group, private, kind, form):
    sue, tom = people
    public = sue.cube.dialogs.create_public("Open")
    tom.cube.dialogs.subscribe(public)
    for person in people:
        person.chat.join(public)
    dialog = {"group": group, "private": private, "public": public}[kind]
    place = form.format(dialog.id)
    sent = sue.chat.send_message(place, "helo").result(TIMEOUT)
    sue.chat.send_typing(place)
    sue.chat.send_stop_typing(place)
    sue.chat.edit_message(place, sent, "hello").result(TIMEOUT)
    sue.chat.delete_message(place, sent.id).result(TIMEOUT)
    (message,) = tom.events.wait_for("message_received")
    assert (message.body, message.dialog_id) == ("helo", dialog.id)
    assert tom.events.wait_for("typing_started") and tom.events.wait_for("typing_stopped")
    (edit,) = tom.events.wait_for("message_edited")
    assert (edit.body, edit.dialog_id) == ("hello", dialog.id)
    assert tom.events.wait_for("message_deleted")[0].message_id == sent.id


def test_a_dialog_is_looked_up_once(emulator, people, private):
    sue, tom = people
    asked = []
    observer = Requests(lambda record: asked.append(record.path))
    again = Person.in_chat(emulator, sue.name, observer=observer)
    with again.cube:
        asked.clear()
        for _ in range(3):
            again.chat.send_message(private.id, "x").result(TIMEOUT)
        again.chat.send_typing(private.id)
        assert len([path for path in asked if path.startswith("/chat/Dialog")]) == 1
    assert len(tom.events.wait_for("message_received", 3)) == 3


def test_a_dialog_that_is_not_the_users_is_named(people):
    sue, _ = people
    with pytest.raises(NotFoundError, match=f"this user has no dialog {OWN_ID}"):
        sue.chat.send_message(OWN_ID, "x")


def test_a_private_dialog_without_the_other_user_is_completed(people, private):
    sue, tom = people
    for dialog in (
        DialogRef(id=private.id, type=DialogType.PRIVATE),
        DialogRef(id=private.id),
        Dialog(id=private.id, type=DialogType.PRIVATE, occupants_ids=(sue.id, tom.id)),
    ):
        sue.chat.send_message(dialog, "x").result(TIMEOUT)
    messages = tom.events.wait_for("message_received", 3)
    assert {message.dialog_id for message in messages} == {private.id}


def test_a_look_up_that_fails_is_raised_and_tried_again(emulator, people, private):
    sue, tom = people
    with (
        emulator.faults.server_error(on="rest", user=sue.id),
        pytest.raises(ApiError),
    ):
        sue.chat.send_message(private.id, "x", timeout=0.5)
    sue.chat.send_message(private.id, "y").result(TIMEOUT)
    assert [message.body for message in tom.events.wait_for("message_received")] == ["y"]


def test_threads_may_look_up_dialogs_at_once(people, private, group):
    sue, tom = people
    places = [private.id, group.id] * 4
    handles = []
    threads = [
        threading.Thread(
            target=lambda place=place: handles.append(sue.chat.send_message(place, "x"))
        )
        for place in places
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(handles) == len(places)
    assert len(tom.events.wait_for("message_received", len(places))) == len(places)


def test_without_rest_an_id_is_that_of_a_room(alice):
    with pytest.raises(NotConnectedError):
        alice.chat.send_message(OWN_ID, "x")


def test_a_late_refusal_names_the_private_dialog(people, private, emulator):
    sue, tom = people
    tom.chat.privacy.block(sue.id)
    handle = sue.chat.send_message(private, "x")
    (failure,) = sue.events.wait_for("message_failed")
    assert (failure.message_id, failure.dialog_id) == (handle.id, private.id)


def test_message_sent_comes_to_whoever_listens_by_then(people):
    sue, tom = people
    sue.chat.login()
    heard = []
    sue.chat.send_private(tom.id, "to nobody").result(TIMEOUT)
    with sue.chat.events(sue.chat.message_sent, TIMEOUT) as stream:
        streamed = sue.chat.send_private(tom.id, "to a stream").result(TIMEOUT)
        assert stream.next().message == streamed
    assert sue.chat.wait_until_idle(TIMEOUT)  # or a receiver would be in time for that one
    sue.chat.message_sent.connect(lambda chat, event: heard.append(event.message), key="ear")
    called = sue.chat.send_private(tom.id, "to a receiver").result(TIMEOUT)
    assert sue.chat.wait_until_idle(TIMEOUT)
    assert heard == [called]


@pytest.mark.parametrize("last", [None, "x" * 2_000_000], ids=["sent", "too large"])
def test_threads_that_send_together_share_a_write(people, monkeypatch, last):
    sue, tom = people
    tom.login()
    sue.chat.login()
    assert sue.chat.send_private(tom.id, "first").result(TIMEOUT)
    driver, writes = driver_of(sue.chat), []
    write = Link.send

    def note(self, data):
        writes.append(bytes(data))
        return write(self, data)

    monkeypatch.setattr(Link, "send", note)
    bodies = [f"from thread {number}" for number in range(4)]
    with ThreadPoolExecutor(5) as pool:
        with driver._mutex:
            sent = []
            for body in [*bodies, *([] if last is None else [last])]:
                sent.append(pool.submit(sue.chat.send_private, tom.id, body))
                wait_until(lambda: len(driver.sender._arriving) == len(sent))
        handles = [one.result(TIMEOUT) for one in sent[: len(bodies)]]
        if last is not None:
            with pytest.raises(ArgumentValueError, match="message is too large"):
                sent[-1].result(TIMEOUT)
    for handle in handles:
        handle.result(TIMEOUT)
    assert max(data.count(b"from thread") for data in writes) > 1
    tom.events.wait_for("message_received", 5)
    assert sorted(tom.bodies) == sorted(["first", *bodies])


def test_a_thread_interrupted_as_it_waits_leaves_the_write_to_others(people):
    sue, tom = people
    sue.chat.login()
    driver, woken = driver_of(sue.chat), []

    class Interrupted:
        def __enter__(self):
            raise KeyboardInterrupt

        def __exit__(self, *_):
            raise AssertionError

    sender = driver.sender
    mutex, sender._mutex = sender._mutex, Interrupted()
    wake, driver.wake = driver.wake, lambda: woken.append(wake())
    with pytest.raises(KeyboardInterrupt):
        sue.chat.send_private(tom.id, "never")
    sender._mutex = mutex
    assert sender._arriving == set() and woken
    assert sue.chat.send_private(tom.id, "then").result(TIMEOUT)


def test_a_thread_interrupted_at_any_step_of_a_send_keeps_up_no_other(people):
    sue, tom = people
    tom.login()
    sue.chat.login()
    send, driver = sue.chat.send_private, driver_of(sue.chat)
    rounds = 0
    with ThreadPoolExecutor(1) as pool:
        for _ in cut_at_each_call(lambda: send(tom.id, "cut off"), Sender._submit_if_room):
            rounds += 1
            pool.submit(send, tom.id, f"after {rounds}").result(TIMEOUT)
            with driver._mutex:
                assert not driver.core.session.outgoing, "it was written at once"
    assert rounds > 4
    tom.events.wait(lambda events: f"after {rounds}" in tom.bodies)
    assert [body for body in tom.bodies if body != "cut off"] == [
        f"after {number}" for number in range(1, rounds + 1)
    ]


@pytest.mark.parametrize(
    "step", [Session.submit, Driver.after_submit, Driver._write, Outbox.take_at_once]
)
def test_a_send_interrupted_amid_its_stanza_leaves_each_other_sent_once(people, step):
    sue, tom = people
    tom.login()
    sue.chat.login()
    send, driver = sue.chat.send_private, driver_of(sue.chat)
    rounds = 0
    for _ in cut_at_each_call(lambda: send(tom.id, "cut off"), step):
        rounds += 1
        assert send(tom.id, f"after {rounds}").result(TIMEOUT)
        wait_until(lambda: sue.chat.is_ready and not driver.core.session.outgoing)
    assert rounds > 1
    tom.events.wait(lambda events: f"after {rounds}" in tom.bodies)
    assert [body for body in tom.bodies if body != "cut off"] == [
        f"after {number}" for number in range(1, rounds + 1)
    ]
    assert tom.bodies.count("cut off") <= rounds


@pytest.mark.parametrize("step", [Requester.ask, Session.request, Driver.after_command])
def test_a_request_that_is_interrupted_leaves_nothing_to_be_answered(people, step):
    sue, _ = people
    sue.chat.login()
    pending = driver_of(sue.chat).core.session._requests
    rounds = 0
    for _ in cut_at_each_call(lambda: sue.chat.ping(timeout=TIMEOUT), step):
        rounds += 1
        assert sue.chat.ping(timeout=TIMEOUT) > 0
        assert len(pending) == 0
    assert rounds > 1
