"""Following a dialog: history, then what comes, each message once and in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    DialogRef,
    EventStreamOverflowError,
    Limits,
    NotFoundError,
)
from connectycube.emulator import Emulator
from tests.support.inside import driver_of
from tests.support.people import PASSWORD, Person, away, settled
from tests.support.waiting import TIMEOUT


@pytest.fixture
def people(emulator: Emulator, stack) -> Iterator[list[Person]]:
    """Ann and Ben, each with a session and logged in."""
    made = []
    for name in ("ann", "ben"):
        emulator.add_user(name, PASSWORD)
        made.append(Person.in_chat(emulator, name))
        stack.callback(made[-1].cube.close)
    yield made


@pytest.fixture(params=["private", "private by id", "group"])
def dialog(request, people):
    """A dialog of the two, as Ann gives it."""
    ann, ben = people
    if request.param == "group":
        group = ann.cube.dialogs.create_group("Friends", [ben.id])
        for person in people:
            person.chat.join(group)
        return group
    if request.param == "private":
        return DialogRef.private(ben.id)
    return ann.cube.dialogs.create_private(ben.id).id


def say(ben: Person, ann: Person, dialog: object, *bodies: str) -> None:
    at = DialogRef.private(ann.id) if isinstance(dialog, str) else dialog
    if isinstance(at, DialogRef) and at.peer_id is not None:
        at = DialogRef.private(ann.id)
    for body in bodies:
        ben.chat.send_message(at, body).result(TIMEOUT)


def take(stream, count: int) -> list[str]:
    return [stream.next(TIMEOUT).body for _ in range(count)]


def test_history_comes_first_and_then_what_comes(people, dialog):
    ann, ben = people
    say(ben, ann, dialog, *"abcde")
    settled(ann)
    with ann.chat.follow(dialog, history=3) as messages:
        say(ben, ann, dialog, "f")
        ann.chat.send_message(dialog, "mine").result(TIMEOUT)
        say(ben, ann, dialog, "g")
        found = [messages.next(TIMEOUT) for _ in range(6)]
        assert [m.body for m in found] == ["c", "d", "e", "f", "mine", "g"]
        assert [m.own for m in found] == [False, False, False, False, True, False]
        assert {m.sender_id for m in found} == {ann.id, ben.id}
        assert ann.chat.reply(found[0], "answer").result(TIMEOUT)
        assert take(messages, 1) == ["answer"]


def test_own_messages_of_another_device_are_there(people, dialog, emulator):
    ann, _ = people
    other = Person.in_chat(emulator, "ann")
    with other.cube, ann.chat.follow(dialog, history=0) as messages:
        other.chat.send_message(dialog, "from my phone").result(TIMEOUT)
        message = messages.next(TIMEOUT)
        assert (message.body, message.own) == ("from my phone", True)


def test_a_message_that_comes_while_history_is_read_comes_once(people, dialog, monkeypatch):
    ann, ben = people
    say(ben, ann, dialog, "one")
    history = ann.chat._history
    latest = history.latest

    def late(at, count):
        say(ben, ann, dialog, "two")
        ann.events.wait_for("message_received", 2)
        found = latest(at, count)
        say(ben, ann, dialog, "three")
        ann.events.wait_for("message_received", 3)
        return found

    monkeypatch.setattr(ann.chat, "_history", type(history)(**{**vars_of(history), "latest": late}))
    with ann.chat.follow(dialog) as messages:
        say(ben, ann, dialog, "four")
        assert take(messages, 4) == ["one", "two", "three", "four"]


def vars_of(history) -> dict[str, object]:
    names = ("stored_ids", "service_time", "ask_time", "changed_dialogs", "messages", "latest")
    return {name: getattr(history, name) for name in names}


def test_other_dialogs_are_left_out(people, emulator):
    ann, ben = people
    group = ann.cube.dialogs.create_group("Friends", [ben.id])
    ben.chat.join(group)
    with ann.chat.follow(group, history=0) as messages:
        say(ben, ann, DialogRef.private(ann.id), "private")
        ben.chat.send_message(group, "to all").result(TIMEOUT)
        assert take(messages, 1) == ["to all"]


def test_what_came_in_a_gap_comes_in_its_place(people, dialog, emulator):
    ann, ben = people
    with ann.chat.follow(dialog) as messages:
        say(ben, ann, dialog, "before")
        assert take(messages, 1) == ["before"]
        with away(ann, emulator):
            say(ben, ann, dialog, "in the gap")
        say(ben, ann, dialog, "after")
        assert take(messages, 2) == ["in the gap", "after"]


def test_own_messages_do_not_overtake_those_of_a_gap(people, dialog, emulator, monkeypatch):
    ann, ben = people
    asked, sent = threading.Event(), threading.Event()
    reader = driver_of(ann.chat).history_reader
    fill = reader._fill_gap

    def late(*arguments):
        asked.set()
        assert sent.wait(TIMEOUT)
        fill(*arguments)

    monkeypatch.setattr(reader, "_fill_gap", late)
    with ann.chat.follow(dialog) as messages:
        say(ben, ann, dialog, "before")
        assert take(messages, 1) == ["before"]
        with away(ann, emulator):
            say(ben, ann, dialog, "one", "two")
        assert asked.wait(TIMEOUT)
        for body in ("mine", "mine too"):
            ann.chat.send_message(dialog, body).result(TIMEOUT)
        ann.events.wait_for("message_sent", 2)
        sent.set()
        assert take(messages, 4) == ["one", "two", "mine", "mine too"]
        ann.events.wait_for("recovery_finished")
        ann.chat.send_message(dialog, "and after it").result(TIMEOUT)
        assert take(messages, 1) == ["and after it"]
    assert len(ann.events.wait_for("message_sent", 3)) == 3


def test_nothing_is_marked_as_read(people, dialog):
    ann, ben = people
    say(ben, ann, dialog, "one")
    with ann.chat.follow(dialog) as messages:
        assert take(messages, 1) == ["one"]
    assert ann.cube.messages.unread_count().total == 1


def test_more_than_a_page_of_history_can_be_followed(people, emulator):
    ann, ben = people
    private = ann.cube.dialogs.create_private(ben.id)
    emulator.add_messages(
        private.id, [{"sender_id": ben.id, "message": str(number)} for number in range(250)]
    )
    with ann.chat.follow(private, history=240) as messages:
        assert take(messages, 240) == [str(number) for number in range(10, 250)]


def test_iterating_ends_with_the_time_out_and_with_the_logout(people, dialog):
    ann, ben = people
    say(ben, ann, dialog, "one")
    assert [m.body for m in ann.chat.follow(dialog, timeout=0.01)] == ["one"]
    with ann.chat.follow(dialog, timeout=TIMEOUT) as messages:
        ann.chat.logout()
        assert [m.body for m in messages] == ["one"]


def test_a_stream_that_nobody_reads_ends(emulator, people):
    _, ben = people
    emulator.add_user("cleo", PASSWORD)
    cleo = Person.in_chat(emulator, "cleo", limits=Limits(queued_events=5))
    with cleo.cube:
        stream = cleo.chat.follow(DialogRef.private(ben.id))
        for number in range(6):
            ben.chat.send_private(cleo.id, str(number)).result(TIMEOUT)
        cleo.events.wait_for("message_received", 6)
        with pytest.raises(EventStreamOverflowError):
            [stream.next(TIMEOUT) for _ in range(7)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"history": -1}, ArgumentValueError),
        ({"history": 1_001}, ArgumentValueError),
        ({"history": "20"}, ArgumentTypeError),
        ({"timeout": -1}, ArgumentValueError),
        ({"timeout": "x"}, ArgumentTypeError),
    ],
)
def test_wrong_arguments_are_named(people, arguments, error):
    ann, ben = people
    with pytest.raises(error, match=next(iter(arguments))):
        ann.chat.follow(DialogRef.private(ben.id), **arguments)


def test_an_unknown_dialog_is_an_error_and_leaves_no_stream(people):
    ann, _ = people
    with pytest.raises(NotFoundError):
        ann.chat.follow("5f1e0a0b0c0d0e0f10111213")
    with pytest.raises(ArgumentTypeError, match="dialog"):
        ann.chat.follow(5)


def test_without_rest_only_what_comes_can_be_followed(alice, bob):
    alice.login()
    bob.login()
    with pytest.raises(ArgumentValueError, match="history must be 0"):
        alice.chat.follow(DialogRef.private(bob.id))
    with alice.chat.follow(DialogRef.private(bob.id), history=0) as messages:
        bob.chat.send_private(alice.id, "hi").result(TIMEOUT)
        assert take(messages, 1) == ["hi"]
