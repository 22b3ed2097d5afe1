"""Durable mode and history: the next process has what came between it and the dead one, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from connectycube import ArgumentTypeError, ArgumentValueError, ChatState, Message
from connectycube.emulator import Emulator
from tests.support.durable_people import Bot, as_after_a_crash
from tests.support.people import PASSWORD, Person, away, settled
from tests.support.waiting import TIMEOUT


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A service that keeps nothing for users who are away, so that history alone fills the gap."""
    with Emulator(offline_messages=False) as running:
        yield running


@pytest.fixture
def alice(alice: Person) -> Person:
    """Logged in already."""
    alice.login()
    return alice


def die(bot: Bot, copy: Path, emulator: Emulator) -> None:
    """Let the bot die as by SIGKILL, and the server forget its session, so that nothing reaches it."""
    as_after_a_crash(bot.path, copy)
    bot.chat.logout()
    emulator.forget_sessions(bot.id)


def say(sender: Person, bot: Bot, *bodies: str) -> None:
    for body in bodies:
        sender.chat.send_private(bot.id, body).result(TIMEOUT)


def test_the_next_process_fills_the_gap_of_the_dead_one(make, alice, emulator, copy):
    dead = make()
    group = dead.cube.dialogs.create_group("Friends", [alice.id])
    dead.chat.login()
    say(alice, dead, "before")
    dead.events.wait_for("message_received")
    settled(dead)
    die(dead, copy, emulator)
    say(alice, dead, "one", "two")
    alice.chat.send_message(group, "to all").result(TIMEOUT)
    born = make(copy)
    born.chat.login()
    born.events.wait_for("message_received", 3)  # what is said before that may be in history, too
    say(alice, born, "three")
    born.events.wait_for("message_received", 4)
    private = [m for m in born.events.of("message_received") if m.dialog_id != group.id]
    assert [m.body for m in private] == ["one", "two", "three"]
    assert [m.recovered for m in private] == [True, True, False]
    assert [m.body for m in born.events.of("message_received") if m.dialog_id == group.id] == [
        "to all"
    ]
    assert "before" not in born.bodies


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {"a": "x"}


@pytest.mark.parametrize("odd", [nested(50), {"schema": "1", "model": "Message"}])
def test_odd_parameters_of_one_message_cost_the_gap_nothing(make, alice, emulator, copy, odd):
    dead = make()
    dead.chat.login()
    die(dead, copy, emulator)
    say(alice, dead, "one")
    alice.chat.send_private(dead.id, Message(body="odd", custom={"x": odd})).result(TIMEOUT)
    say(alice, dead, "two")
    born = make(copy)
    born.chat.login()
    recovered = born.events.wait_for("message_received", 3)
    assert [message.body for message in recovered] == ["one", "odd", "two"]
    assert recovered[1].custom == {"x": odd}
    assert born.events.of("recovery_failed") == []


def test_messages_that_this_user_sent_are_not_recovered(make, alice, emulator, copy):
    dead = make()
    group = dead.cube.dialogs.create_group("Friends", [alice.id])
    dead.chat.login()
    dead.chat.send_private(alice.id, "mine").result(TIMEOUT)
    dead.chat.send_message(group, "mine, to all").result(TIMEOUT)
    settled(dead)
    die(dead, copy, emulator)
    say(alice, dead, "hers")
    born = make(copy)
    born.chat.login()
    born.events.wait_for("message_received")
    settled(born)
    assert born.bodies == ["hers"]


def test_what_is_left_comes_before_what_is_recovered(make, alice, emulator, copy):
    dead = make()
    inside, leave = threading.Event(), threading.Event()

    @dead.chat.message_received.connect
    def stuck(chat, message):
        inside.set()
        assert leave.wait(TIMEOUT)

    dead.chat.login()
    say(alice, dead, "one", "two")
    assert inside.wait(TIMEOUT)
    dead.chat.ping(TIMEOUT)  # so that all of it has arrived
    as_after_a_crash(dead.path, copy)
    leave.set()
    dead.chat.logout()
    emulator.forget_sessions(dead.id)
    say(alice, dead, "three")
    born = make(copy).with_new_receivers()
    born.chat.login()
    messages = born.events.wait_for("message_received", 3)
    assert [(m.body, m.redelivered, m.recovered) for m in messages] == [
        ("one", True, False),
        ("two", True, False),
        ("three", False, True),
    ]


def test_who_dies_while_the_gap_is_filled_leaves_the_rest_to_the_next(
    make, alice, emulator, copy, tmp_path
):
    dead = make()
    dead.chat.login()
    settled(dead)
    die(dead, copy, emulator)
    say(alice, dead, "one", "two", "three")
    filling = make(copy)
    second = tmp_path / "second.db"
    crashed = threading.Event()

    @filling.chat.message_received.connect
    def crash(chat, message):
        if not crashed.is_set():
            as_after_a_crash(copy, second)
            crashed.set()

    filling.chat.login()
    assert crashed.wait(TIMEOUT)
    filling.chat.logout()
    emulator.forget_sessions(filling.id)
    born = make(second).with_new_receivers()
    born.chat.login()
    born.events.wait_for("message_received", 3)
    settled(born)
    assert sorted(born.bodies) == ["one", "three", "two"]


def test_a_process_that_logged_out_leaves_a_gap_as_well(make, alice):
    bot = make()
    bot.chat.login()
    settled(bot)
    bot.chat.logout()
    say(alice, bot, "meanwhile")
    born = make()
    born.chat.login()
    assert born.events.wait_for("message_received")[0].recovered


def test_one_process_that_logs_out_and_in_again_has_no_gap(make, alice):
    bot = make()
    bot.chat.login()
    settled(bot)
    bot.chat.logout()
    say(alice, bot, "meanwhile")
    bot.chat.login()
    say(alice, bot, "now")
    bot.events.wait_for("message_received")
    assert bot.bodies == ["now"]
    assert bot.chat.state is ChatState.READY


# --- the beginning ---------------------------------------------------------------------------------


def test_recovery_never_reaches_before_the_first_login_of_a_file(make, alice, emulator, copy):
    speaker = make(copy)  # another file of the same user
    speaker.chat.login()
    group = speaker.cube.dialogs.create_group("Friends", [alice.id])
    say(alice, speaker, "old", "older")
    alice.chat.send_message(group, "old, to all").result(TIMEOUT)
    speaker.chat.send_private(alice.id, "mine").result(TIMEOUT)
    speaker.chat.send_message(group, "mine, to all").result(TIMEOUT)
    settled(speaker, alice)
    speaker.chat.logout()
    bot = make()
    bot.chat.login()  # within the second of those messages
    settled(bot)
    bot.chat.logout()
    say(alice, bot, "meanwhile")
    born = make()
    born.chat.login()
    born.events.wait_for("recovery_finished")
    settled(born)
    assert (bot.bodies, born.bodies) == ([], ["meanwhile"])
    assert born.events.of("own_message_received") == []


def test_a_file_without_history_at_its_first_login_begins_all_the_same(make, alice, emulator):
    bot = make()
    emulator.faults.server_error(on="rest", user=bot.id, times=1)
    bot.chat.login()
    settled(bot)
    bot.chat.logout()
    say(alice, bot, "meanwhile")
    born = make()
    born.chat.login()
    assert [m.body for m in born.events.wait_for("message_received")][-1] == "meanwhile"


def test_a_gap_in_memory_does_not_reach_before_the_login(emulator, alice):
    emulator.add_user("forgetful", PASSWORD)
    bot = Person.with_session(emulator, "forgetful")
    with bot.cube:
        say(alice, bot, "old")
        emulator.clock.advance(5)
        bot.cube.dialogs.list()  # the answer says what time it is
        bot.login()
        with away(bot, emulator):
            say(alice, bot, "meanwhile")
        bot.events.wait_for("recovery_finished")
        settled(bot)
        assert bot.bodies == ["meanwhile"]


def test_a_first_login_can_begin_earlier(emulator, alice):
    emulator.add_user("late", PASSWORD)
    bot = Person.with_session(emulator, "late")
    with bot.cube:
        say(alice, bot, "too old")
        emulator.clock.advance(100)
        since = datetime.fromtimestamp(emulator.clock.time() - 10, timezone.utc)
        say(alice, bot, "one", "two")
        bot.chat.login(since=since)
        messages = bot.events.wait_for("message_received", 2)
        bot.events.wait_for("recovery_finished")
        say(alice, bot, "three")
        bot.events.wait_for("message_received", 3)
        assert bot.bodies == ["one", "two", "three"] and all(m.recovered for m in messages[:2])


def test_a_first_login_with_a_file_can_begin_earlier_and_a_later_one_not(make, alice, emulator):
    bot = make()
    say(alice, bot, "one")
    since = datetime.fromtimestamp(emulator.clock.time() - 10, timezone.utc)
    bot.chat.login(since=since)
    bot.events.wait_for("message_received")
    bot.events.wait_for("recovery_finished")
    bot.chat.logout()
    born = make()
    born.chat.login(since=since)
    born.events.wait_for("recovery_finished")
    settled(born)
    assert (bot.bodies, born.bodies) == (["one"], [])


@pytest.mark.parametrize("since", [datetime(2024, 1, 1), 1_700_000_000, "2024-01-01"])
def test_a_beginning_is_an_aware_datetime(make, since):
    bot = make()
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="since"):
        bot.chat.login(since=since)
    assert not bot.path.exists()


def test_a_beginning_needs_history(emulator):
    bot = Person.new(emulator)
    with pytest.raises(ArgumentValueError, match="since needs history"):
        bot.chat.login(bot.id, PASSWORD, since=datetime.now(timezone.utc))
