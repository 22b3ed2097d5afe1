"""The support bot of the examples: it answers, calls a person, steps back, and outlives ``kill -9``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from connectycube import DialogType
from tests.processes.examples.running import SECONDS, copy_of, running
from tests.support.paths import ROOT
from tests.support.people import Person, logged_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(240)

OPEN = "We are open from 9 to 18 o'clock, on Saturdays until 14."
PRICE = "A hiking map is 12 euros, and delivery is free."
VARIABLES = {"BOT_LOGIN": "support", "BOT_PASSWORD": "a password", "OPERATOR": "olga"}


def received(person: Person, count: int) -> list[str | None]:
    """Wait for so many messages; return the bodies of all."""
    person.events.wait_for("message_received", count, SECONDS)
    return person.bodies


def test_the_bot_answers_calls_a_person_steps_back_and_takes_over(tmp_path):
    with running("bot", tmp_path) as example:
        example.wait_for_line("support is ready")
        ann, olga = example.person("ann"), example.person("olga")
        with closing(ann.cube), closing(olga.cube):
            bot = ann.cube.users.get_by(login="support")
            ann.chat.send_private(bot, "When are you open?").result()
            assert received(ann, 1) == [OPEN]

            ann.chat.send_private(bot, "I want a person").result()
            name = f"Support for user {ann.id}"
            (call,) = received(olga, 1)
            assert call == f"Olga, user {ann.id} asks for you."
            wait_until(
                lambda: f"Olga answers in the group {name!r}." in ann.bodies, timeout=SECONDS
            )
            (group,) = ann.cube.dialogs.list(type=DialogType.GROUP)
            assert (group.name, set(group.occupants_ids)) == (name, {ann.id, olga.id, bot.id})

            olga.chat.send_message(group, "How can I help?").result()
            ann.chat.send_message(group, "What is the price for ten?").result()
            example.wait_for_line("left to the person: 'What is the price for ten?'")
            olga.chat.send_message(group, "/bot").result()
            ann.chat.send_message(group, "And the price for one?").result()
            assert received(ann, 7)[-1] == PRICE
            assert [body for body in ann.bodies if body and body.startswith("I am back")]
            assert ann.bodies.count(PRICE) == 1

            by_hand = example.person("support")
            with closing(by_hand.cube):
                by_hand.chat.send_private(ann.id, "price: ask me").result()
                example.wait_for_line("written by hand: 'price: ask me'")
        assert example.end() == 0
        assert example.lines[-1] == "logged out"
        assert example.errors == []


def test_two_people_talk_with_the_bot_from_terminals(tmp_path):
    with running("bot", tmp_path) as example:
        example.wait_for_line("support is ready")
        with example.program("python", "talk.py", "ann", "support") as ann:
            ann.stdin.write("\nopen?\n")
            ann.stdin.flush()
            assert ann.stdout.readline().startswith("you are user ")
            assert ann.stdout.readline().endswith(f": {OPEN}\n")
            rest, errors = ann.communicate(timeout=SECONDS)  # ends its input
            assert (ann.returncode, rest, errors) == (0, "", "")
        with example.program("python", "talk.py", "ann", "nobody") as lost:
            assert lost.communicate(timeout=SECONDS) == (
                "",
                "talk.py: there is no user and no group 'nobody'\n",
            )
            assert lost.returncode == 1
        assert example.end(signal.SIGTERM) == 0


# --- kill -9 --------------------------------------------------------------------------------------


class Bot:
    """The bot's program on an emulator of the tests: it is killed and started again."""

    def __init__(self, emulator, folder: Path) -> None:
        self.folder = copy_of("bot", folder)
        self._environment = {**os.environ, **emulator.environment(), **VARIABLES}

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, "bot.py"],
            cwd=self.folder,
            env={**self._environment, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                lines = iter(process.stdout.readline, "")  # what was left is answered first
                assert any(line == "support is ready; write to it\n" for line in lines)
                yield process
            finally:
                process.kill()
                process.stdout.read()


def test_a_killed_bot_answers_each_question_once(emulator, tmp_path):
    emulator.add_user("support", "a password")
    olga_id = emulator.add_user("olga", "a password", full_name="Olga")
    customers = [Person.new(emulator) for _ in range(4)]
    olga = Person(olga_id, emulator.config(), password="a password")
    bot = Bot(emulator, tmp_path)
    questions = ["open?", "price?", "a person, please", "open?", "price?", "return?"] * 2
    with logged_in(olga, *customers):

        def answers():
            return sum(len(person.bodies) for person in (olga, *customers))

        for kill in range(6):
            with bot.started() as process:
                before = answers()
                for customer in customers:
                    for question in questions[kill * 2 : kill * 2 + 2]:
                        customer.chat.send_private(1, question)
                wait_until(
                    lambda before=before, kill=kill: answers() >= before + 1 + kill % 3,
                    timeout=SECONDS,
                )
                process.kill()
        expected = [answer_to(question) for question in questions]
        groups = {f"Support for user {customer.id}" for customer in customers}
        with bot.started() as process:
            for customer in customers:
                wait_until(
                    lambda customer=customer: len(private(customer)) >= len(expected),
                    timeout=SECONDS,
                )
            wait_until(lambda: len(olga.bodies) >= 2 * len(groups), timeout=SECONDS)
            process.terminate()
            assert process.wait(SECONDS) == 0
        for customer in customers:
            name = f"Support for user {customer.id}"
            assert private(customer) == [answer.replace("NAME", name) for answer in expected]
            calls = [body for body in olga.bodies if f"user {customer.id} asks" in body]
            assert len(calls) == questions.count("a person, please")
        with Person.with_session(emulator, "support", "a password").cube as support:
            made = [dialog.name for dialog in support.dialogs.iter(type=DialogType.GROUP)]
        assert sorted(made) == sorted(groups), "one group for each customer"


def answer_to(question: str) -> str:
    if "person" in question:
        return "Olga answers in the group 'NAME'."
    return {
        "open?": OPEN,
        "price?": PRICE,
        "return?": "Send it back within 30 days; the label is in the parcel.",
    }[question]


def private(person: Person) -> list[str]:
    """Return what the bot has written in the private dialog."""
    received = person.events.of("message_received")
    return [each.body for each in received if each.dialog.type is DialogType.PRIVATE]


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "status", "sentence"),
    [
        ({"CONNECTYCUBE_CHAT_PORT": "x"}, 2, "bot.py: CONNECTYCUBE_CHAT_PORT must be"),
        ({"OPERATOR": None}, 2, "bot.py: the variable OPERATOR is missing"),
        ({"BOT_PASSWORD": "wrong"}, 1, "bot.py: "),
        ({"OPERATOR": "nobody"}, 1, "there is no user 'nobody'"),
        ({"CONNECTYCUBE_APP_ID": None}, 2, "bot.py: CONNECTYCUBE_APP_ID is not set"),
        ({"CONNECTYCUBE_API_URL": "http://127.0.0.1:1"}, 1, "127.0.0.1"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_a_status(variables, status, sentence, emulator, tmp_path):
    for login in ("support", "olga"):
        emulator.add_user(login, "a password")
    given = {**os.environ, **emulator.environment(), **VARIABLES, **variables}
    done = subprocess.run(
        [sys.executable, "bot.py"],
        cwd=copy_of("bot", tmp_path),
        env={name: value for name, value in given.items() if value is not None}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
