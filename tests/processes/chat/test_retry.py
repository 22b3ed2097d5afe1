"""Receivers that fail, in processes that are killed between two attempts or end before the next one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectycube import DeadLetters
from connectycube.emulator import Emulator
from tests.support.people import PASSWORD, Person, logged_in
from tests.support.waiting import TIMEOUT, wait_until

BOT = """
import os, signal, sys, threading, time
from connectycube import ConnectyCube, Handling

path, name, password, plan = sys.argv[1:]
delay = 60.0 if plan == "waits" else 0.01
cube = ConnectyCube.from_env(durable=path, handling=Handling(delay=delay, max_delay=delay))
cube.login(login=name, password=password)
attempts = []


@cube.chat.message_received.connect
def first(chat, message):
    chat.reply(message, "from the first").result()


@cube.chat.message_received.connect
def second(chat, message):
    attempts.append(message)
    if plan == "broken":
        raise ValueError("wrong")
    if plan == "waits":
        raise ConnectionRefusedError("no database")
    chat.reply(message, "from the second").result()
    if plan == "killed" and len(attempts) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if len(attempts) == 1:
        raise ConnectionRefusedError("no database")


@cube.chat.receiver_gave_up.connect
def tell(chat, gave_up):
    print("gave up", gave_up.receiver, flush=True)


@cube.chat.callback_failed.connect
def tell_of_failure(chat, failure):
    if plan == "waits" and len(attempts) == 1:
        print("away", flush=True)


def say_when_it_waits(handler):
    # A SIGTERM that comes before chat.wait() has its handler would end the process.
    while signal.getsignal(signal.SIGTERM) is handler:
        time.sleep(0.001)
    print("ready", flush=True)


cube.chat.login()
handler = signal.getsignal(signal.SIGTERM)
threading.Thread(target=say_when_it_waits, args=(handler,), daemon=True).start()
cube.chat.wait(signals=(signal.SIGTERM,))
"""


@contextmanager
def bot(emulator: Emulator, path: Path, plan: str) -> Iterator[subprocess.Popen[str]]:
    """A bot that is ready; at the end it must log out in time, unless it was killed."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", BOT, str(path), "bot", PASSWORD, plan],
        env={**os.environ, **emulator.environment()},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
            process.terminate()
            assert process.wait(TIMEOUT) in (0, -9)
        finally:
            process.kill()


@pytest.fixture
def asker(emulator: Emulator) -> Iterator[tuple[Person, int]]:
    """Somebody who asks the bot, and the bot's id."""
    person, bot_id = Person.new(emulator), emulator.add_user("bot", PASSWORD)
    with logged_in(person):
        yield person, bot_id


def test_two_receivers_answer_once_each_although_the_process_is_killed(emulator, asker, tmp_path):
    person, bot_id = asker
    with bot(emulator, tmp_path / "bot.db", "killed") as process:
        person.chat.send_private(bot_id, "hello").result(TIMEOUT)
        assert process.wait(TIMEOUT) == -9  # in the second attempt of the second receiver
    with bot(emulator, tmp_path / "bot.db", "well"):
        person.chat.send_private(bot_id, "hello again").result(TIMEOUT)
        person.events.wait_for("message_received", 4)
    assert person.bodies == ["from the first", "from the second"] * 2
    dialog = emulator.private_dialog(person.id, bot_id)
    assert len(emulator.messages(dialog)) == 6
    assert not Path(f"{tmp_path}/bot.db.dead").exists()


def test_sigterm_does_not_wait_for_a_receiver_that_is_to_run_again(emulator, asker, tmp_path):
    person, bot_id = asker
    with bot(emulator, tmp_path / "bot.db", "waits") as process:
        person.chat.send_private(bot_id, "hello").result(TIMEOUT)
        assert process.stdout is not None
        assert process.stdout.readline() == "away\n"
    with bot(emulator, tmp_path / "bot.db", "well"):
        person.events.wait_for("message_received", 2)
    assert person.bodies == ["from the first", "from the second"]


def test_a_dead_letter_is_retried_by_command_while_the_bot_runs(emulator, asker, tmp_path):
    person, bot_id = asker
    path = tmp_path / "bot.db"
    letters = DeadLetters(f"{path}.dead")

    def command(*arguments: str) -> str:
        words = [sys.executable, "-W", "error", "-m", "connectycube", "dead", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    with bot(emulator, path, "broken") as process:
        assert process.stdout is not None
        person.chat.send_private(bot_id, "hello").result(TIMEOUT)
        assert process.stdout.readline() == "gave up __main__.second\n"
        [letter] = letters
        assert "message_received  __main__.second  raised once" in command("list", str(path))
        command("retry", str(path), str(letter.id))
        assert process.stdout.readline() == "gave up __main__.second\n"
        wait_until(lambda: [each.id for each in letters] not in ([], [letter.id]))
    assert person.bodies == ["from the first"]
    command("retry", str(path), "--all")
    with bot(emulator, path, "well"):
        person.events.wait_for("message_received", 2)
        wait_until(lambda: not list(letters))  # it leaves the file once its receiver has returned
    assert person.bodies == ["from the first", "from the second"]
    assert command("list", str(path)) == ""
