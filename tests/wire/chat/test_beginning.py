"""Where a connection begins: what history is read from there on, and what the server delivers by itself."""

from __future__ import annotations

import json
import logging
import os
import queue
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from connectycube import Chat, Message
from connectycube.emulator import Emulator
from tests.support.durable_people import as_after_a_crash
from tests.support.inside import driver_of
from tests.support.people import PASSWORD, Person, away, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until


class Store:
    """A cursor store in memory."""

    def __init__(self) -> None:
        self.text = "null"

    def load(self) -> Any:
        return json.loads(self.text)

    def save(self, value: Any) -> None:
        self.text = json.dumps(value)


class Kept:
    """What a connection keeps: nothing, a file or a cursor; ``killed`` is what a killed process leaves."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._store = Store()
        self._path = folder / "bot.db"

    @property
    def options(self) -> dict[str, Any]:
        return {
            "memory": {},
            "file": {"durable": self._path},
            "cursor": {"cursor_store": self._store},
        }[self.kind]

    def knows_older(self) -> bool:
        """Whether the next process would read what came before the first login."""
        value = json.loads(self._store.text) if self.kind == "cursor" else None
        return self.kind != "cursor" or (value and value["low"] < value["first"])

    def killed(self) -> Kept:
        left = Kept(self.kind, self._folder)
        left._store.text = self._store.text
        left._path = self._folder / "killed.db"
        if self.kind == "file":
            as_after_a_crash(self._path, left._path)
        return left


@pytest.fixture(params=["file", "cursor"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(request.param, tmp_path)


@pytest.fixture
def memory(tmp_path: Path) -> Kept:
    return Kept("memory", tmp_path)


@pytest.fixture
def make(emulator: Emulator) -> Iterator[Callable[[Kept], Person]]:
    """Make connections of one user, each with what it keeps."""
    name = f"bot-{os.urandom(4).hex()}"
    emulator.add_user(name, PASSWORD)
    made: list[Person] = []

    def new(kept: Kept) -> Person:
        made.append(Person.with_session(emulator, name, **kept.options))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


@pytest.fixture
def alice(alice: Person) -> Person:
    """Logged in already."""
    alice.login()
    return alice


def say(sender: Person, bot: Person, *bodies: str) -> None:
    for body in bodies:
        sender.chat.send_private(bot.id, body).result(TIMEOUT)


def read_elsewhere(make: Callable[[Kept], Person], sender: Person, body: str) -> None:
    """Send a message that another device of the bot's user gets: only history has it for the bot."""
    other = make(Kept("memory", Path()))
    other.chat.login()
    say(sender, other, body)
    other.events.wait_for("message_received")
    settled(other)
    other.chat.logout()


def begin_second(emulator: Emulator) -> None:
    """Let a second of the service's clock begin, which counts in whole ones."""
    emulator.clock.advance(1.02 - emulator.clock.time() % 1)


# --- offline copies -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "file", "cursor"])
def test_offline_copies_of_the_second_of_the_login_come_once(make, alice, emulator, tmp_path, kind):
    kept = Kept(kind, tmp_path)
    bot = make(kept)
    say(alice, bot, "long before")
    begin_second(emulator)
    say(alice, bot, "just before", "and again")
    bot.chat.login()
    say(alice, bot, "after")
    bot.events.wait_for("message_received", 4)
    with away(bot, emulator):
        say(alice, bot, "meanwhile")
    bot.events.wait_for("recovery_finished")
    say(alice, bot, "at last")
    bot.events.wait_for("message_received", 6)
    settled(bot)
    expected = ["long before", "just before", "and again", "after", "meanwhile", "at last"]
    assert bot.bodies == expected


def test_offline_copies_that_a_killed_process_had_come_to_the_next(make, alice, emulator, kept):
    bot = make(kept)
    say(alice, bot, "long before")
    emulator.clock.advance(100)
    begin_second(emulator)
    say(alice, bot, "just before")
    with Gate() as gate:
        bot.chat.message_received.connect(gate)
        bot.chat.login()
        gate.wait_until_entered()
        wait_until(lambda: driver_of(bot.chat).dispatcher.queued > 0)
        wait_until(kept.knows_older)
        left = kept.killed()
        bot.chat.logout(timeout=0.0)
        emulator.forget_sessions(bot.id)
    born, bodies = make(left), queue.Queue[str | None]()

    @born.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        bodies.put(message.body)

    born.chat.login()
    came = [bodies.get(timeout=TIMEOUT) for _ in range(2)]
    settled(born)
    assert (came, bodies.qsize()) == (["long before", "just before"], 0)


def test_what_history_had_in_the_second_of_the_login_is_left_out(make, alice, emulator, kept):
    begin_second(emulator)
    read_elsewhere(make, alice, "old")
    bot = make(kept)
    bot.chat.login()
    say(alice, bot, "one")
    bot.events.wait_for("message_received")
    bot.chat.logout()
    for _ in range(2):
        bot = make(kept)
        bot.chat.login()
        bot.events.wait_for("recovery_finished")
        settled(bot)
        assert bot.bodies == []
        bot.chat.logout()


# --- since -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=400_000)])
def test_a_beginning_in_the_future_is_now(make, alice, emulator, kept, caplog, ahead):
    bot = make(kept)
    bot.chat.login(since=datetime.now(timezone.utc) + ahead)
    assert "later than the service's clock" in caplog.text
    with away(bot, emulator):
        say(alice, bot, "in a gap")
    bot.events.wait_for("message_received")
    bot.chat.logout()
    emulator.forget_sessions(bot.id)
    read_elsewhere(make, alice, "between two processes")
    born = make(kept)
    born.chat.login()
    born.events.wait_for("message_received")
    born.events.wait_for("recovery_finished")
    assert (bot.bodies, born.bodies) == (["in a gap"], ["between two processes"])


def test_a_beginning_in_the_past_is_no_warning(make, alice, emulator, memory, caplog):
    caplog.set_level(logging.WARNING)
    bot = make(memory)
    bot.chat.login(since=datetime.now(timezone.utc) - timedelta(hours=1))
    bot.events.wait_for("recovery_finished")
    assert "since" not in caplog.text
