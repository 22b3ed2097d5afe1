"""A cursor store: the next process goes on where the last one was, without a disk."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    Chat,
    ChatState,
    Config,
    DurableStoreError,
    Handling,
    LoginTimeoutError,
    Message,
    ReceiverGaveUp,
    Timeouts,
)
from connectycube.emulator import Emulator
from tests.support.inside import driver_of
from tests.support.people import PASSWORD, Person, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until


class Store:
    """A cursor store in memory, which keeps JSON as others would."""

    def __init__(self, text: str = "null") -> None:
        self.texts = [text]
        self.error: Exception | None = None

    def load(self) -> Any:
        if self.error is not None:
            raise self.error
        return json.loads(self.texts[-1])

    def save(self, value: Any) -> None:
        if self.error is not None:
            raise self.error
        self.texts.append(json.dumps(value))

    def copy(self) -> Store:
        """The store as a process that is killed now leaves it."""
        return Store(self.texts[-1])

    @property
    def handled(self) -> list[str]:
        """The ids of the handled messages that it holds."""
        value = self.load() or {"handled": []}
        return [message_id for _, _, message_id, _ in value["handled"]]


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


@pytest.fixture
def make(emulator: Emulator) -> Iterator[Callable[..., Person]]:
    """Make connections of one user, each with a cursor store."""
    name = f"bot-{os.urandom(4).hex()}"
    emulator.add_user(name, PASSWORD)
    made: list[Person] = []

    def new(store: Store, **options: Any) -> Person:
        made.append(Person.with_session(emulator, name, cursor_store=store, **options))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


def say(sender: Person, bot: Person, *bodies: str) -> list[str]:
    """Send messages, one after the other; return their ids."""
    return [sender.chat.send_private(bot.id, body).result(TIMEOUT).id or "" for body in bodies]


def die(bot: Person, store: Store, emulator: Emulator) -> Store:
    """Let the bot end as by SIGKILL; return what the next process has."""
    left = store.copy()
    bot.chat.logout(timeout=0.0)
    emulator.forget_sessions(bot.id)
    return left


def answer(chat: Chat, message: Message) -> None:
    chat.reply(message, f"you said {message.body}").result(TIMEOUT)


def test_the_next_process_gets_what_came_while_none_was_there(make, alice):
    store = Store()
    first = make(store)
    first.chat.login()
    say(alice, first, "one")
    first.events.wait_for("message_received")
    first.chat.logout()
    say(alice, first, "two", "three")
    second = make(store)
    second.chat.login()
    second.events.wait_for("message_received", 2)
    second.events.wait_for("recovery_finished")
    say(alice, second, "four")
    second.events.wait_for("message_received", 3)
    assert (first.bodies, second.bodies) == (["one"], ["two", "three", "four"])


def test_what_was_not_handled_when_the_process_died_comes_again(make, alice, emulator, stack):
    store = Store()
    dead = make(store)
    gate = stack.enter_context(Gate())
    dead.chat.message_received.connect(lambda chat, m: gate(chat, m) if m.body == "two" else None)
    dead.chat.login()
    (one, *_) = say(alice, dead, "one", "two", "three")
    wait_until(lambda: one in store.handled)
    left = die(dead, store, emulator)
    born = make(left)
    born.chat.login()
    messages = born.events.wait_for("message_received", 2)
    born.events.wait_for("recovery_finished")
    assert [m.body for m in messages] == born.bodies == ["two", "three"]
    assert all(m.redelivered for m in messages)


def test_nothing_from_before_the_first_login_comes(make, alice, emulator):
    store = Store()
    say(alice, make(Store()), "old")
    bot = make(store)
    bot.chat.login()
    settled(bot)
    bot.chat.logout()
    born = make(store)
    born.chat.login()
    born.events.wait_for("recovery_finished")
    settled(born)
    assert (bot.bodies, born.bodies) == ([], [])


def answer_with_an_id_of_its_own(chat: Chat, message: Message) -> None:
    own_id = hashlib.sha256(f"answer to {message.id}".encode()).hexdigest()[:24]
    chat.reply(message, Message(id=own_id, body=f"you said {message.body}")).result(TIMEOUT)


@pytest.mark.parametrize("answer", [answer, answer_with_an_id_of_its_own])
def test_an_answer_that_the_dead_process_sent_is_not_sent_again(make, alice, emulator, answer):
    store = Store()
    dead = make(store)
    dead.chat.message_received.connect(answer)
    dead.chat.login()
    wait_until(lambda: store.load() is not None)
    before = store.copy()  # as if the last save had been before the message
    say(alice, dead, "hi")
    alice.events.wait_for("message_received")
    die(dead, store, emulator)
    born = make(before)
    born.chat.message_received.connect(answer)
    born.chat.login()
    born.events.wait_for("message_received")
    settled(born)
    say(alice, born, "and now?")
    bodies = [m.body for m in alice.events.wait_for("message_received", 2)]
    assert bodies == ["you said hi", "you said and now?"]
    assert born.bodies == ["hi", "and now?"]
    assert alice.chat.statistics().repeated == 0, "it was not even sent"


def test_an_answer_is_sent_if_history_lacks_it(make, alice, emulator):
    store = Store()
    bot = make(store)
    bot.chat.login()
    settled(bot)
    bot.chat.logout()
    say(alice, bot, "hi")
    born = make(store)
    born.chat.message_received.connect(answer)
    born.chat.login()
    assert [m.body for m in alice.events.wait_for("message_received")] == ["you said hi"]
    dialog = born.cube.dialogs.create_private(alice.id)
    wait_until(lambda: born.cube.messages.count(dialog) == 2)


def test_the_value_is_saved_at_most_once_a_second(make, alice, emulator):
    store, began = Store(), time.monotonic()
    bot = make(store)
    bot.chat.login()
    say(alice, bot, *map(str, range(50)))
    bot.events.wait_for("message_received", 50)
    saves = len(store.texts) - 1
    assert saves <= 1 + (time.monotonic() - began)
    bot.chat.logout()
    assert len(store.handled) == 50, "it is saved at logout"


def test_the_value_is_small_and_of_json(make, alice, emulator):
    store = Store()
    bot = make(store)
    bot.chat.login()
    sent = say(alice, bot, "one")
    bot.events.wait_for("message_received")
    bot.chat.logout()
    value = store.load()
    assert {*value} == {
        *(
            "schema",
            "app_id",
            "user_id",
            "chat_host",
            "identity",
            "first",
            "low",
            "handled",
            "older",
        )
    }
    assert value["first"] <= value["low"] and store.handled == sent
    assert value["user_id"] == bot.id


def test_the_handled_messages_are_bounded(make, alice, emulator):
    store = Store()
    bot = make(store)
    bot.chat.login()
    durability = driver_of(bot.chat)._durability
    for number in range(3_000):
        durability._handled.append((("c", 1, f"{number:024x}"), 2e9))
    bot.chat.logout()
    assert len(store.handled) == 1_000 and store.handled[-1] == f"{2_999:024x}"
    assert len(store.texts[-1]) < 200_000


def test_a_receiver_that_failed_as_the_connection_ended_runs_again(make, alice, emulator):
    store = Store()
    bot = make(store)
    failed, runs = threading.Event(), queue.Queue[bool]()

    @bot.chat.message_received.connect
    def fail(chat: Chat, message: Message) -> None:
        runs.put(message.redelivered)
        if not failed.is_set():
            chat.logout()
            failed.set()
            raise RuntimeError("on purpose")

    bot.chat.login()
    say(alice, bot, "one")
    assert failed.wait(TIMEOUT)
    bot.chat.logout()
    born = make(store.copy())
    born.chat.login()
    assert [m.body for m in born.events.wait_for("message_received")] == ["one"]
    born.chat.logout()
    bot.chat.login()
    assert [runs.get(timeout=TIMEOUT) for _ in range(2)] == [False, True]
    bot.chat.logout()
    assert len(bot.events.wait_for("message_received")) == 1, "it had returned at the first time"


def test_a_receiver_runs_again_and_its_answer_is_sent_once(make, alice, emulator):
    bot = make(Store(), handling=Handling(delay=0.01, max_delay=0.02))
    runs: list[str | None] = []

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        runs.append(message.body)
        answer(chat, message)
        if len(runs) < 3:
            raise ConnectionRefusedError("no database")

    bot.chat.login()
    say(alice, bot, "one", "two")
    wait_until(lambda: runs == ["one", "one", "one", "two"])
    bodies = [m.body for m in alice.events.wait_for("message_received", 2)]
    settled(alice)
    assert bodies == alice.bodies == ["you said one", "you said two"]
    assert bot.bodies == ["one", "two"], "a receiver that has returned does not run again"


def test_a_receiver_that_waits_is_left_to_the_next_login_and_process(make, alice, emulator):
    store = Store()
    bot = make(store, handling=Handling(delay=30.0))
    failed, runs = threading.Event(), queue.Queue[tuple[str, str | None]]()

    def work(chat: Chat, message: Message) -> None:
        runs.put(("work", message.body))
        if not failed.is_set():
            failed.set()
            raise ConnectionRefusedError("no database")

    bot.chat.message_received.connect(work)
    bot.chat.login()
    say(alice, bot, "one", "two")
    assert failed.wait(TIMEOUT)
    bot.chat.logout()
    left = store.copy()
    bot.chat.login()
    assert [runs.get(timeout=TIMEOUT)[1] for _ in range(3)] == ["one", "one", "two"]
    assert bot.bodies == ["one", "two"]
    bot.chat.logout()
    born = make(left)
    born.chat.login()
    assert [m.body for m in born.events.wait_for("message_received", 2)] == ["one", "two"]


def test_the_next_login_does_not_send_an_answer_again(make, alice, emulator):
    bot = make(Store(), handling=Handling(delay=30.0))
    failed = threading.Event()

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        answer(chat, message)
        if not failed.is_set():
            failed.set()
            raise ConnectionRefusedError("no database")

    bot.chat.login()
    say(alice, bot, "one")
    assert failed.wait(TIMEOUT)
    bot.chat.logout()
    bot.chat.login()
    assert bot.chat.wait_until_idle(TIMEOUT)
    settled(bot, alice)
    assert (bot.bodies, alice.bodies) == (["one"], ["you said one"])
    assert alice.chat.statistics().repeated == 0, "it was not even sent"


def test_what_is_given_up_is_told_and_counts_as_handled(make, alice, emulator):
    store = Store()
    bot = make(store)
    given_up: queue.Queue[ReceiverGaveUp] = queue.Queue()
    bot.chat.receiver_gave_up.connect(lambda chat, event: given_up.put(event), weak=False)

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        raise RuntimeError("on purpose")

    bot.chat.login()
    sent = say(alice, bot, "one")
    event = given_up.get(timeout=TIMEOUT)
    assert (event.event.body, event.attempts) == ("one", 1)
    bot.chat.logout()
    assert store.handled == sent


def test_the_identity_stays(make, alice, emulator):
    store = Store()
    for _ in range(2):
        bot = make(store)
        bot.chat.login()
        bot.chat.logout()
    identities = {json.loads(text)["identity"] for text in store.texts[1:]}
    assert len(identities) == 1


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_store_that_cannot_be_loaded_ends_the_login(make, emulator):
    store = Store()
    store.error = ConnectionError("away")
    with pytest.raises(DurableStoreError, match=r"cannot be loaded: ConnectionError\('away'\)"):
        make(store).chat.login()
    store.error = None


@pytest.mark.parametrize("value", [5, "x", {}, {"schema": 2}, {"schema": 1, "identity": ""}])
def test_a_damaged_value_ends_the_login(make, value):
    with pytest.raises(DurableStoreError, match="damaged"):
        make(Store(json.dumps(value))).chat.login()


def test_a_load_counts_towards_the_time_out_of_the_login(make, stack):
    store, gate = Store(), stack.enter_context(Gate())
    calls: list[None] = []
    load = store.load

    def slow() -> Any:
        calls.append(None)
        gate()
        return load()

    store.load = slow
    bot = make(store)
    for _ in range(2):
        with pytest.raises(LoginTimeoutError, match="cursor store"):
            bot.chat.login(timeout=0.05)
    assert len(calls) == 1, "the second login waits for the call of the first"
    gate.open()
    bot.chat.login()
    assert bot.chat.state is ChatState.READY


def test_a_save_that_does_not_return_is_told_and_close_waits_once(make, emulator, stack):
    store, gate = Store(), stack.enter_context(Gate())
    store.save = gate
    bot = make(store, timeouts=Timeouts(logout=1.0))
    bot.chat.login()
    gate.wait_until_entered()
    abandoned = bot.chat.logout()
    assert abandoned.unsaved == 1 and str(abandoned) == "1 unsaved cursor"
    began = time.monotonic()
    bot.cube.close()
    assert time.monotonic() - began < 1.9, "twice the time-out, for two ends of the chat"


def test_a_save_that_fails_at_the_logout_is_told(make, emulator):
    store = Store()
    bot = make(store)
    bot.chat.login()
    settled(bot)
    store.error = ConnectionError("away")
    assert bot.chat.logout().unsaved == 1


def test_a_save_that_ends_the_process_ends_no_thread(make, alice, emulator, caplog):
    store = Store()
    save, exits = store.save, [True]

    def leave(value: Any) -> None:
        if exits:
            exits.clear()
            sys.exit()
        save(value)

    store.save = leave
    bot = make(store)
    bot.chat.login()
    wait_until(lambda: "could not be saved: SystemExit()" in caplog.text)
    sent = say(alice, bot, "one")
    bot.events.wait_for("message_received")
    assert not bot.chat.logout() and store.handled == sent


@pytest.mark.parametrize("name", ["load", "save"])
def test_a_method_that_is_a_coroutine_function_is_refused(name):
    async def method(*_: object) -> None: ...

    store = Store()
    setattr(store, name, method)
    with pytest.raises(ArgumentTypeError, match=rf"cursor_store.{name}.* coroutine function"):
        Config(app_id=1, auth_key="k", cursor_store=store)


def test_a_save_without_a_parameter_is_refused():
    store = Store()
    store.save = lambda: None
    with pytest.raises(ArgumentTypeError, match=r"cursor_store.save.*value"):
        Config(app_id=1, auth_key="k", cursor_store=store)


def test_the_value_of_another_user_is_refused(make, alice, emulator):
    store = Store()
    bot = make(store)
    bot.chat.login()
    bot.chat.logout()
    emulator.add_user("other", PASSWORD)
    other = Person.with_session(emulator, "other", cursor_store=store)
    with other.cube, pytest.raises(DurableStoreError, match=f"belongs to user {bot.id}"):
        other.chat.login()


def test_a_save_that_fails_is_logged_and_repeated(make, alice, emulator, caplog):
    store = Store()
    bot = make(store)
    bot.chat.login()
    wait_until(lambda: len(store.texts) > 1)
    store.error = ConnectionError("away")
    (sent,) = say(alice, bot, "one")
    wait_until(lambda: "could not be saved: ConnectionError('away')" in caplog.text)
    store.error = None
    wait_until(lambda: sent in store.handled)


def test_a_cursor_store_needs_history(emulator):
    bot = Person.new(emulator, cursor_store=Store())
    with pytest.raises(ArgumentValueError, match="cursor_store needs history"):
        bot.login()


def test_a_cursor_store_has_two_methods_and_no_file_beside_it():
    with pytest.raises(ArgumentTypeError, match="cursor_store"):
        Config(app_id=1, auth_key="k", cursor_store={})
    with pytest.raises(ArgumentValueError, match="cursor_store takes the place of durable"):
        Config(app_id=1, auth_key="k", cursor_store=Store(), durable="x.db")
