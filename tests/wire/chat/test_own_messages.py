"""What this user writes elsewhere comes apart: a bot that runs twice never answers itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from connectycube import Chat, Message
from tests.support.people import PASSWORD, Person, away, settled
from tests.support.waiting import TIMEOUT


@pytest.fixture
def bots(emulator, stack: ExitStack) -> Iterator[list[Person]]:
    """Two clients of one account, each with the receiver of the README's bot."""
    emulator.add_user("bot", PASSWORD)
    people = [Person.in_chat(emulator, "bot") for _ in range(2)]

    def answer(chat: Chat, message: Message) -> None:
        chat.reply(message, f"you said {message.body}").result(TIMEOUT)

    for person in people:
        stack.callback(person.cube.close)
        person.chat.message_received.connect(answer)
    yield people


def test_two_processes_of_a_bot_do_not_answer_each_other(bots, bob):
    bob.login()
    bob.chat.send_private(bots[0].id, "hi").result(TIMEOUT)
    assert [m.body for m in bob.events.wait_for("message_received", 2)] == ["you said hi"] * 2
    for bot in bots:
        # The other one's answer has come, so a receiver that answered it would have been called.
        (own,) = bot.events.wait_for("own_message_received")
        assert own.own and own.sender_id == bot.id and own.recipient_id == bob.id
    settled(*bots, bob)
    assert [bot.bodies for bot in bots] == [["hi"], ["hi"]]
    assert len(bob.bodies) == 2


def test_two_processes_of_a_bot_do_not_answer_each_other_in_a_group(bots, bob):
    group = bots[0].cube.dialogs.create_group("Friends", [bob.id])
    bob.login()
    for person in (*bots, bob):
        person.chat.join(group)
    bob.chat.send_message(group, "hi").result(TIMEOUT)
    assert [m.body for m in bob.events.wait_for("message_received", 2)] == ["you said hi"] * 2
    for bot in bots:
        bot.events.wait_for("own_message_received")
    settled(*bots, bob)
    assert [bot.bodies for bot in bots] == [["hi"], ["hi"]]
    assert len(bob.bodies) == 2


def test_what_the_other_process_answered_in_a_gap_is_not_answered(bots, bob, emulator):
    bob.login()
    gone, there = bots
    with away(gone, emulator):
        bob.chat.send_private(there.id, "hi").result(TIMEOUT)
        bob.events.wait_for("message_received")
    gone.events.wait_for("own_message_received")
    bob.events.wait_for("message_received", 2)
    settled(*bots, bob)
    assert gone.bodies == there.bodies == ["hi"] and len(bob.bodies) == 2


def test_an_edit_of_ones_own_and_of_another_come_to_one_signal(bots, bob):
    bob.login()
    first, second = bots
    dialog = first.cube.dialogs.create_private(bob.id)
    sent = first.chat.send_message(dialog, "helo").result(TIMEOUT)
    first.chat.edit_message(dialog, sent, "hello").result(TIMEOUT)
    assert [edit.own for edit in second.events.wait_for("message_edited")] == [True]
    assert [edit.own for edit in bob.events.wait_for("message_edited")] == [False]


def test_a_reaction_says_whether_it_is_ones_own(bots, bob):
    first, second = bots
    group = first.cube.dialogs.create_group("Friends", [bob.id])
    bob.login()
    sent = first.chat.send_message(group, "react").result(TIMEOUT)
    bob.events.wait_for("message_received")
    first.cube.messages.add_reaction(sent.id, "👍")
    assert [change.own for change in bob.events.wait_for("reaction_changed")] == [False]
    assert [change.own for change in second.events.wait_for("reaction_changed")] == [True]
