"""Durable mode on the emulator: nothing that was accepted is lost with the process, nothing comes twice."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectycube import (
    Chat,
    ChatState,
    DialogRef,
    DurableStoreError,
    Limits,
    Message,
    NotConnectedError,
    OutcomeUnknownError,
    SendDeferredError,
    StanzaError,
)
from connectycube.chat.history_reader import History
from connectycube.emulator import Emulator
from tests.support.durable_people import Bot, as_after_a_crash, contents, failing
from tests.support.inside import driver_of, session_of, store_of
from tests.support.people import SLOW, Events, Person, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A service for all tests of this module."""
    with Emulator() as running:
        yield running


@pytest.fixture
def bot(make) -> Bot:
    return make()


@pytest.fixture
def alice(alice: Person) -> Person:
    """Logged in already."""
    alice.login()
    return alice


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A receiver that stays in its first call until it is let go."""
    with Gate() as made:
        yield made


def send(sender: Person, bot: Bot, *bodies: str) -> None:
    for body in bodies:
        sender.chat.send_private(bot.id, body).result(TIMEOUT)


def log_in_once_free(person):
    """Log in when the connection before has let the file go, after its last receiver."""

    def attempt():
        try:
            person.chat.login()
        except DurableStoreError as error:
            assert "has it open" in str(error)
            return False
        return True

    wait_until(attempt)


def begin_to_handle(bot: Bot, sender: Person, gate: Gate, *bodies: str) -> None:
    """Log the bot in and send to it, until it is with the first message behind the gate."""
    bot.chat.message_received.connect(gate)
    bot.chat.login()
    send(sender, bot, *bodies)
    gate.wait_until_entered()


def reborn(
    make: Callable[..., Bot], dead: Bot, copy: Path, *receivers: Callable[..., object]
) -> Bot:
    """Log in a bot with these receivers on a copy of the store that ``dead`` is using."""
    as_after_a_crash(dead.path, copy)
    born = make(copy).with_new_receivers()
    for receiver in receivers:
        born.chat.message_received.connect(receiver, key=receiver.__name__)
    born.chat.login()
    return born


def inside(receiver: Callable[..., object], gate: Gate) -> Callable[..., None]:
    """A receiver that has done its work, and stays behind the gate before it returns."""

    def stay(chat: Chat, message: Message) -> None:
        receiver(chat, message)
        gate(chat, message)

    return stay


def cut_off(bot: Bot, emulator: Emulator) -> None:
    """End the link of a bot with a SLOW policy: it stays without."""
    with bot.chat.events(bot.chat.state_changed, TIMEOUT) as changes:
        emulator.cut(bot.id)
        changes.next(where=lambda change: change.state is ChatState.FORCE_CLOSED)


def history(emulator: Emulator, bot: Bot, person: Person) -> list[str]:
    dialog = emulator.private_dialog(bot.id, person.id)
    return [] if dialog is None else [entry["message"] for entry in emulator.messages(dialog)]


# --- what arrives --------------------------------------------------------------------------------


def test_nothing_is_made_before_login(bot):
    assert not bot.path.exists()


def test_a_handled_message_is_removed_and_known(bot, alice):
    bot.chat.login()
    send(alice, bot, "hello")
    bot.events.wait_for("message_received")
    bot.chat.logout()
    store = bot.left()
    assert contents(store) == ([], [], [])
    assert [key[:2] for key, _ in store.seen()] == [(f"{alice.id}-1@localhost", alice.id)]
    store.close()


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {"a": "x"}


ODD_PARAMETERS = [
    nested(32),
    nested(Limits().stanza_depth - 4),  # as deep as a stanza can be, with what is around it
    {"schema": "1", "model": "Message"},
    {"schema": "1", "model": {"a": "b"}},
    {"class": "StanzaError", "text": "x"},
]
"""What any user can send in custom parameters."""


def send_odd(sender: Person, bot: Bot) -> None:
    for number, odd in enumerate(ODD_PARAMETERS):
        message = Message(body=str(number), custom={"x": odd})
        sender.chat.send_private(bot.id, message).result(TIMEOUT)
    send(sender, bot, "ordinary")


def test_whatever_a_user_sends_is_kept_for_the_next_process(make, bot, alice, gate, copy):
    bot.chat.message_received.connect(gate, key="gate")
    bot.chat.login()
    send_odd(alice, bot)
    gate.wait_until_entered()
    wait_until(lambda: len(contents(store_of(bot.chat))[0]) == len(ODD_PARAMETERS) + 1)
    born = reborn(make, bot, copy)
    left = born.events.wait_for("message_received", len(ODD_PARAMETERS) + 1)
    assert [message.custom.get("x") for message in left] == [*ODD_PARAMETERS, None]
    assert all(message.redelivered for message in left)
    assert born.chat.state is ChatState.READY


def test_a_retried_letter_brings_whatever_a_user_sent(bot, alice):
    failed = bot.chat.receiver_gave_up

    def wrong(chat, message):
        raise ValueError(message.body)

    bot.chat.message_received.connect(wrong, key="answer")
    bot.chat.login()
    with bot.chat.events(failed, TIMEOUT) as given_up:
        send_odd(alice, bot)
        for _ in range(len(ODD_PARAMETERS) + 1):
            given_up.next()
    letters = list(bot.chat.dead_letters())
    assert [letter.event.custom.get("x") for letter in letters] == [*ODD_PARAMETERS, None]


def test_a_message_is_in_the_file_before_it_counts_as_handled(bot, alice):
    bot.chat.login()
    store = store_of(bot.chat)
    handled = []
    original = store.commit

    def commit(*args):
        handled.append(session_of(driver_of(bot.chat).core)._inbound.handled)
        places = original(*args)
        handled.append(session_of(driver_of(bot.chat).core)._inbound.handled)
        return places

    store.commit = commit
    send(alice, bot, "hello")
    bot.events.wait_for("message_received")
    settled(bot)
    assert handled[0] == handled[1] < session_of(driver_of(bot.chat).core)._inbound.handled


def test_what_a_dead_process_had_not_handled_comes_first_and_says_so(
    make, alice, gate, copy, emulator
):
    dead = make()
    begin_to_handle(dead, alice, gate, "one", "two")
    dead.chat.ping(TIMEOUT)  # so that all of it has arrived
    born = reborn(make, dead, copy)
    send(alice, born, "three")
    messages = born.events.wait_for("message_received", 3)
    assert [message.body for message in messages] == ["one", "two", "three"]
    assert [message.redelivered for message in messages] == [True, True, False]
    assert messages[0].dialog == DialogRef.private(alice.id, messages[0].dialog_id)
    assert [message.redelivered for message in dead.events.of("message_received")] == [False]


def test_what_receivers_had_returned_from_does_not_come_again(make, alice, copy):
    dead = make()
    dead.chat.login()
    send(alice, dead, "hello")
    dead.events.wait_for("message_received")
    wait_until_handled(dead)
    born = reborn(make, dead, copy)
    send(alice, born, "again")
    assert born.events.wait_for("message_received")[0].body == "again"


def wait_until_handled(bot: Bot) -> None:
    """Wait until the worker has noted that everything was handled: it takes one event at a time."""
    done = threading.Event()
    bot.chat.send_private(10**9, "x").add_done_callback(lambda handle: done.set())
    assert done.wait(TIMEOUT)


def test_redelivered_messages_come_in_order_before_the_servers_new_ones(
    make, alice, gate, copy, emulator
):
    dead = make(reconnect=SLOW)
    begin_to_handle(dead, alice, gate, "one", "two")
    dead.chat.ping(TIMEOUT)  # so that all of it has arrived
    cut_off(dead, emulator)
    emulator.forget_sessions(dead.id)
    send(alice, dead, "three")
    born = reborn(make, dead, copy)
    born.events.wait_for("message_received", 3)
    assert born.bodies == ["one", "two", "three"]


def test_a_message_that_the_dead_process_knew_is_not_taken_for_new(make, alice, copy, emulator):
    dead = make(reconnect=SLOW)
    dead.chat.login()
    send(alice, dead, "hello")
    dead.events.wait_for("message_received")
    wait_until_handled(dead)
    as_after_a_crash(dead.path, copy)
    cut_off(dead, emulator)
    born = make(copy)
    born.chat.login()
    sent = emulator.messages(emulator.private_dialog(dead.id, alice.id))[0]["_id"]
    alice.chat.send_private(born.id, Message(id=sent, body="hello")).result(TIMEOUT)
    send(alice, born, "later")
    born.events.wait_for("message_received")
    assert born.bodies == ["later"]
    assert born.chat.statistics().repeated >= 1


def test_events_can_be_waited_for_that_are_redelivered(make, alice, gate, copy):
    dead = make()
    begin_to_handle(dead, alice, gate, "one")
    as_after_a_crash(dead.path, copy)
    born = make(copy)
    with born.chat.events(born.chat.message_received, TIMEOUT) as messages:
        born.chat.login()
        assert messages.next().body == "one"


def test_one_that_raises_because_the_connection_was_closed_is_called_again(bot, alice):
    entered, closed = threading.Event(), threading.Event()
    attempts = []

    @bot.chat.message_received.connect
    def answer(chat, message):
        attempts.append(message.redelivered)
        if not message.redelivered:
            entered.set()
            assert closed.wait(TIMEOUT)
        chat.reply(message, "answer").result(TIMEOUT)

    bot.chat.login()
    send(alice, bot, "hello")
    assert entered.wait(TIMEOUT)
    bot.chat.logout(timeout=0.1)
    closed.set()
    failure = bot.events.wait_for("callback_failed")[0]
    assert isinstance(failure.error, NotConnectedError)
    bot.chat.login()
    assert alice.events.wait_for("message_received")[0].body == "answer"
    assert attempts == [False, True]


def test_what_no_receiver_got_because_they_were_forgotten_stays(make, alice, gate):
    bot, born = make(), make()
    begin_to_handle(bot, alice, gate, "one", "two")
    bot.chat.ping(TIMEOUT)  # so that all of it has arrived
    bot.chat.destroy(timeout=0.1)
    gate.open()
    log_in_once_free(born)
    born.events.wait_for("message_received")
    assert born.bodies == ["two"]


def test_messages_for_which_there_was_no_room_are_not_left_in_the_file(make, alice, gate):
    bot = make(limits=Limits(queued_events=3))
    bot.chat.message_received.connect(gate)
    bot.chat.login()
    bodies = [str(number) for number in range(20)]
    with bot.chat.events(bot.chat.state_changed, TIMEOUT) as changes:
        send(alice, bot, *bodies)
        changes.next(where=lambda change: change.state is ChatState.FORCE_CLOSED)
    gate.open()
    bot.events.wait_for("message_received", 20)
    assert bot.bodies == bodies
    bot.chat.logout()
    store = bot.left()
    assert (len(store.inbox()), len(store.seen())) == (0, 20)
    store.close()


# --- answers -------------------------------------------------------------------------------------


def test_a_receiver_that_is_run_again_repeats_the_id_and_not_the_answer(
    make, alice, gate, copy, emulator
):
    ids = []

    def answer(chat, message):
        handles = [chat.reply(message, f"{message.body} {number}") for number in range(3)]
        assert [handle.result(TIMEOUT).id for handle in handles] == [
            handle.id for handle in handles
        ]
        ids.append([handle.id for handle in handles])

    dead = make()
    dead.chat.message_received.connect(inside(answer, gate), key="answer")
    begin_to_handle(dead, alice, gate, "hello")
    born = reborn(make, dead, copy, answer)
    born.events.wait_for("message_received")
    born.chat.send_private(alice.id, "the end").result(TIMEOUT)
    alice.events.wait_for("message_received", 4)
    assert alice.events.of("message_received")[-1].body == "the end"
    assert len(alice.events.of("message_received")) == 4
    assert alice.chat.statistics().repeated == 0, "nothing was repeated on the wire either"
    wait_until(lambda: len(ids) == 2)  # the receiver may still wait for its handles
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert history(emulator, born, alice) == [
        "hello",
        "hello 0",
        "hello 1",
        "hello 2",
        "the end",
    ]


def test_an_answer_that_was_not_sent_when_the_process_died_is_sent_once(
    make, alice, gate, copy, emulator
):
    dead = make(reconnect=SLOW)

    def answer(chat, message):
        chat.reply(message, "answer")

    dead.chat.message_received.connect(lambda chat, message: cut_off(dead, emulator))
    dead.chat.message_received.connect(answer, key="answer")
    begin_to_handle(dead, alice, gate, "hello")
    born = reborn(make, dead, copy, answer)
    born.events.wait_for("message_sent")
    born.chat.send_private(alice.id, "the end").result(TIMEOUT)
    alice.events.wait_for("message_received", 2)
    assert history(emulator, born, alice) == ["hello", "answer", "the end"]


def test_a_send_that_was_refused_does_not_use_up_an_id(make, alice, copy, gate):
    ids = []

    def answer(chat, message):
        if not message.redelivered:
            with pytest.raises(ValueError, match="U\\+0007"):
                chat.reply(message, "\x07")
        ids.append(chat.reply(message, "answer").id)

    dead = make()
    dead.chat.message_received.connect(inside(answer, gate), key="answer")
    begin_to_handle(dead, alice, gate, "hello")
    born = reborn(make, dead, copy, answer)
    born.events.wait_for("message_received")
    wait_until_handled(born)
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_outside_of_receivers_ids_are_new(bot, alice):
    bot.chat.login()
    one, two = (bot.chat.send_private(alice.id, "same").id for _ in range(2))
    assert one != two


def test_an_id_is_sent_once_whoever_asks(bot, alice, emulator):
    bot.chat.login()
    message = Message(id="6b0389199d7b03b767a0c241", body="once")
    first = bot.chat.send_private(alice.id, message)
    assert first.result(TIMEOUT).body == "once"
    again = bot.chat.send_private(alice.id, message)
    assert again.done()
    assert again.result().id == message.id
    bot.chat.logout()
    bot.chat.login()
    assert bot.chat.send_private(alice.id, message).done()
    bot.chat.send_private(alice.id, "the end").result(TIMEOUT)
    assert history(emulator, bot, alice) == ["once", "the end"]


def test_a_message_on_its_way_has_one_handle(make, alice, emulator):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    message = Message(id="6b0389199d7b03b767a0c242", body="once")
    first = bot.chat.send_private(alice.id, message)
    assert bot.chat.send_private(alice.id, message) is first
    bot.chat.relogin()
    assert first.result(TIMEOUT).body == "once"


def test_an_id_that_went_to_somebody_else_is_refused(bot, alice, emulator):
    bot.chat.login()
    message = Message(id="6b0389199d7b03b767a0c243", body="once")
    bot.chat.send_private(alice.id, message).result(TIMEOUT)
    with pytest.raises(ValueError, match="message has an id, 6b03"):
        bot.chat.send_private(alice.id + 1, message)


# --- what is sent --------------------------------------------------------------------------------


def test_a_message_is_in_the_file_when_the_send_returns(make, alice, emulator, copy):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    bot.chat.send_private(alice.id, "kept")
    as_after_a_crash(bot.path, copy)
    bot.path = copy
    store = bot.left()
    assert contents(store) == ([], ["kept"], [])
    store.close()


def test_what_a_dead_process_did_not_send_is_sent_in_order_with_its_ids(
    make, alice, emulator, copy
):
    dead = make(reconnect=SLOW)
    dead.chat.login()
    cut_off(dead, emulator)
    handles = [dead.chat.send_private(alice.id, str(number)) for number in range(30)]
    born = reborn(make, dead, copy)
    sent = born.events.wait_for("message_sent", 30)
    assert [event.message_id for event in sent] == [handle.id for handle in handles]
    assert [event.message.body for event in sent] == [str(number) for number in range(30)]
    got = alice.events.wait_for("message_received", 30)
    assert [message.id for message in got] == [handle.id for handle in handles]
    born.chat.logout()
    store = born.left()
    assert contents(store) == ([], [], [handle.id for handle in handles])
    store.close()


def test_it_is_sent_before_anything_newer(make, alice, emulator, copy):
    dead = make(reconnect=SLOW)
    dead.chat.login()
    cut_off(dead, emulator)
    dead.chat.send_private(alice.id, "old")
    as_after_a_crash(dead.path, copy)
    born = make(copy)

    @born.chat.state_changed.connect
    def hasten(chat, change):
        if change.state is ChatState.CONNECTING:
            chat.send_private(alice.id, "new")

    born.chat.login()
    alice.events.wait_for("message_received", 2)
    assert [message.body for message in alice.events.of("message_received")] == ["old", "new"]


def test_what_history_holds_already_is_not_sent_again(make, alice, emulator, copy):
    dead = make()
    dead.chat.login()
    store = store_of(dead.chat)
    original = store.commit

    def commit(arrived, outcomes, cursor, now):
        if outcomes:  # the server has acknowledged the message, and nothing is committed yet
            as_after_a_crash(dead.path, copy)
        return original(arrived, outcomes, cursor, now)

    store.commit = commit
    handle = dead.chat.send_private(alice.id, "once")
    handle.result(TIMEOUT)
    born = make(copy)
    born.chat.login()
    assert born.events.wait_for("message_sent")[0].message_id == handle.id
    born.chat.send_private(alice.id, "the end").result(TIMEOUT)
    alice.events.wait_for("message_received", 2)
    assert history(emulator, born, alice) == ["once", "the end"]
    assert alice.chat.statistics().repeated == 0


def test_messages_to_a_group_are_kept_as_well(make, alice, emulator, copy):
    dead = make(reconnect=SLOW)
    group = dead.cube.dialogs.create_group("Friends", [alice.id])
    dead.chat.login()
    cut_off(dead, emulator)
    handle = dead.chat.send_message(group, "to all")
    born = reborn(make, dead, copy)
    got = alice.events.wait_for("message_received")[0]
    assert (got.id, got.body, got.dialog_id) == (handle.id, "to all", group.id)
    settled(born)
    assert born.bodies == [], "the room's echo of it is known"


def test_logging_out_defers_what_was_not_sent_and_says_so(make, alice, emulator):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    handle = bot.chat.send_private(alice.id, "later")
    bot.chat.logout()
    error = handle.exception(TIMEOUT)
    assert isinstance(error, SendDeferredError)
    assert "keeps it" in str(error)
    assert bot.events.of("message_failed") == [], "it has not failed"
    bot.chat.login()
    assert alice.events.wait_for("message_received")[0].body == "later"
    assert bot.events.wait_for("message_sent")[0].message_id == handle.id


def test_a_send_that_repeats_a_deferred_message_joins_it(make, alice, emulator):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    message = Message(id="6b0389199d7b03b767a0c244", body="later")
    bot.chat.send_private(alice.id, message)
    bot.chat.logout()
    bot.chat.login()
    assert bot.chat.send_private(alice.id, message).result(TIMEOUT).body == "later"
    settled(bot)
    assert history(emulator, bot, alice) == ["later"]


def test_what_history_cannot_show_is_not_kept(make, alice, emulator):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    unsaved = bot.chat.send_private(alice.id, Message(body="x", save_to_history=False))
    fleeting = bot.chat.send_private(alice.id, Message(body="x", destroy_after=5))
    edit = bot.chat.edit_message(DialogRef.private(alice.id, "d"), "m", "new")
    system = bot.chat.send_system_message(alice.id, {"a": "b"})
    bot.chat.logout()
    for handle in (unsaved, fleeting, edit, system):
        assert isinstance(handle.exception(TIMEOUT), NotConnectedError)
    store = bot.left()
    assert store.outbox() == []
    store.close()


def test_where_history_cannot_be_read_a_message_stays_for_the_login_after(make, alice, emulator):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    cut_off(bot, emulator)
    bot.chat.send_private(alice.id, "later")
    bot.chat.logout()
    with emulator.faults.server_error(on="rest"):
        bot.chat.login()
        bot.chat.send_private(alice.id, "newer").result(30)
        bot.chat.logout()
    bot.chat.login()
    alice.events.wait_for("message_received", 2)
    assert [m.body for m in alice.events.of("message_received")] == ["newer", "later"]


def test_without_history_nothing_is_kept_for_sending(emulator, alice, tmp_path):
    bot = Person.new(emulator, durable=tmp_path / "bot.db", reconnect=SLOW)
    bot.login()
    with bot.chat.events(bot.chat.state_changed, TIMEOUT) as changes:
        emulator.cut(bot.id)
        changes.next(where=lambda change: change.state is ChatState.FORCE_CLOSED)
    handle = bot.chat.send_private(alice.id, "x")
    bot.chat.logout()
    assert isinstance(handle.exception(TIMEOUT), NotConnectedError)
    with pytest.raises(NotConnectedError):
        handle.result()
    assert not isinstance(handle.exception(), OutcomeUnknownError)


# --- the file ------------------------------------------------------------------------------------


def test_the_next_process_has_the_resource_of_the_dead_one(make, emulator, copy):
    dead = make()
    dead.chat.login()
    before = emulator.sessions(dead.id)
    born = reborn(make, dead, copy)
    assert emulator.sessions(born.id) == before


def test_a_resource_of_ones_own_is_left_alone(bot, emulator):
    bot.chat.login(resource="mine")
    assert [session["resource"] for session in emulator.sessions(bot.id)] == ["mine"]


def test_the_file_is_free_after_logout_and_held_before(make):
    bot, second = make(), make()
    bot.chat.login()
    with pytest.raises(DurableStoreError, match="has it open") as caught:
        second.chat.login()
    assert caught.value.path == str(bot.path)
    assert second.chat.state is ChatState.IDLE
    assert bot.chat.ping() >= 0
    bot.chat.logout()
    second.chat.login()


def test_the_file_is_held_while_a_receiver_runs_and_free_when_it_returns(make, alice, gate):
    bot, second = make(), make()
    begin_to_handle(bot, alice, gate, "hello")
    bot.chat.logout(timeout=0.1)
    with pytest.raises(DurableStoreError, match="has it open"):
        second.chat.login()
    gate.open()
    log_in_once_free(second)
    settled(second)
    assert second.bodies == []


def test_logging_in_again_while_a_receiver_runs_calls_it_once(make, alice, gate):
    bot = make()
    begin_to_handle(bot, alice, gate, "one", "two")
    bot.chat.ping(TIMEOUT)  # so that all of it has arrived
    bot.chat.logout(timeout=0.1)
    bot.chat.login()
    send(alice, bot, "three")
    gate.open()
    bot.events.wait_for("message_received", 3)
    assert bot.bodies == ["one", "two", "three"]


def test_logging_out_inside_a_receiver_frees_the_file(make, alice):
    bot, second = make(), make()
    bot.chat.message_received.connect(lambda chat, message: chat.logout())
    bot.chat.login()
    send(alice, bot, "stop")
    bot.wait_for_state(ChatState.CLOSED)
    log_in_once_free(second)
    settled(second)
    assert second.bodies == []


def test_another_user_is_refused_by_name(make, emulator, tmp_path):
    bot = make()
    bot.chat.login()
    bot.chat.logout()
    stranger = Person.new(emulator, durable=bot.path)
    with pytest.raises(DurableStoreError, match=f"belongs to user {bot.id} "):
        stranger.login()
    assert stranger.chat.state is ChatState.IDLE


def test_an_unopenable_file_fails_the_login_and_leaves_the_chat_idle(make, tmp_path):
    bot = make(tmp_path / "nowhere" / "bot.db")
    with pytest.raises(DurableStoreError, match="cannot be opened"):
        bot.chat.login()
    assert bot.chat.state is ChatState.IDLE
    assert bot.events.all == []


def test_a_failed_login_frees_the_file(make, emulator):
    bot, second = make(), make()
    with pytest.raises(Exception, match="not-authorized"):
        bot.chat.login(bot.id, "wrong password")
    second.chat.login()


def test_relogin_from_closed_opens_the_file_again(make, alice):
    bot = make()
    bot.chat.login()
    bot.chat.logout()
    bot.chat.relogin()
    bot.chat.wait_until_ready(TIMEOUT)
    send(alice, bot, "hello")
    bot.events.wait_for("message_received")
    bot.chat.logout()
    store = bot.left()
    assert len(store.seen()) == 1
    store.close()


# --- a disk that fails ---------------------------------------------------------------------------


def fill_the_disk(bot: Bot) -> Callable[[], None]:
    """Let the bot's store grow no more; what is returned makes room again."""
    run = store_of(bot.chat)._connection.execute
    pages = run("PRAGMA page_count").fetchone()[0]
    run(f"PRAGMA max_page_count = {pages}")
    return lambda: run("PRAGMA max_page_count = 1000000")


def test_a_log_handler_may_use_the_chat_when_the_store_fails_at_logout(bot):
    bot.chat.login()
    store = store_of(bot.chat)
    assert store is not None
    closed = store.close
    failing(store, "set_cursor", DurableStoreError("no more room", path=str(bot.path)))
    driver_of(bot.chat).core.session.recovery.start_at(time.monotonic())
    said = threading.Event()

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "no more room" in record.getMessage():
                assert raised_by(lambda: bot.chat.send_private(bot.id + 1, record.getMessage()))
                said.set()

    teller = Teller()
    logger = logging.getLogger("connectycube.chat")
    logger.addHandler(teller)
    try:
        bot.chat.logout()
        assert said.wait(TIMEOUT)
    finally:
        logger.removeHandler(teller)
        closed()


BIG = "x" * 100_000


def test_a_full_disk_closes_the_connection_and_loses_no_message(make, alice):
    bot = make()
    bot.chat.login()
    fill_the_disk(bot)
    bot_waits = threading.Thread(target=lambda: failures.append(raised_by(bot.chat.wait)))
    failures: list[BaseException | None] = []
    bot_waits.start()
    send(alice, bot, BIG)
    change = bot.wait_for_state(ChatState.CLOSED)
    assert isinstance(change.reason, DurableStoreError)
    assert "full" in str(change.reason)
    bot_waits.join(TIMEOUT)
    assert failures == [change.reason]
    assert bot.bodies == []
    bot.chat.login()  # another handle, which knows of no bound
    bot.events.wait_for("message_received")
    assert bot.bodies == [BIG]
    assert alice.events.wait_for("message_delivered")[0].user_id == bot.id
    assert len(alice.events.of("message_delivered")) == 1


def raised_by(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


def test_a_full_disk_refuses_to_send_and_the_connection_goes_on(bot, alice, emulator):
    bot.chat.login()
    make_room = fill_the_disk(bot)
    with pytest.raises(DurableStoreError, match="full"):
        bot.chat.send_private(alice.id, BIG)
    assert bot.chat.is_ready
    make_room()
    bot.chat.send_private(alice.id, "small").result(TIMEOUT)
    assert history(emulator, bot, alice) == ["small"]


def test_a_file_that_is_removed_closes_the_connection_with_the_reason(bot, alice, emulator):
    bot.chat.login()
    bot.path.unlink()
    send(alice, bot, "hello")
    change = bot.wait_for_state(ChatState.CLOSED)
    assert isinstance(change.reason, DurableStoreError)
    assert "removed" in str(change.reason)
    emulator.cut(bot.id)
    emulator.forget_sessions(bot.id)  # the new file means another resource
    bot.chat.login()
    bot.events.wait_for("message_received")
    assert bot.bodies == ["hello"]


def test_a_store_that_cannot_note_what_was_handled_closes_the_connection(bot, alice, gate):
    begin_to_handle(bot, alice, gate, "hello")
    behind = Events(bot.chat.message_received)
    store_of(bot.chat)._connection.execute("PRAGMA query_only = ON")
    gate.open()
    change = bot.wait_for_state(ChatState.CLOSED)
    assert "readonly" in str(change.reason)
    bot.chat.login()
    behind.wait_for("message_received")
    assert behind.of("message_received")[-1].redelivered


def test_a_message_whose_outcome_cannot_be_noted_was_sent_all_the_same(bot, alice, emulator):
    bot.chat.login()
    store = store_of(bot.chat)
    failing(store, "commit", DurableStoreError("the disk is full", path=str(bot.path)))
    handle = bot.chat.send_private(alice.id, "once")
    assert handle.result(TIMEOUT).body == "once"
    assert isinstance(bot.wait_for_state(ChatState.CLOSED).reason, DurableStoreError)
    bot.chat.login()
    bot.events.wait_for("message_sent", 2)
    settled(bot)
    assert history(emulator, bot, alice) == ["once"]


# --- the cursor ----------------------------------------------------------------------------------


def test_the_cursor_is_kept_in_service_time_for_the_next_process(make):
    bot = make()
    dead = chat_at(bot, 5_000_000.0)
    try:
        dead.login()
        dead.ping()
    finally:
        dead.logout()
    store = bot.left()
    kept = store.cursor
    store.close()
    assert 5_000_000.0 <= kept < 5_000_000.0 + TIMEOUT
    born = chat_at(bot, 5_000_600.0)
    ages = []
    original = driver_of(born).core.begin_from

    def begin_from(seen, outbox, cursor, now):
        ages.append(now - cursor)
        original(seen, outbox, cursor, now)

    driver_of(born).core.begin_from = begin_from
    try:
        born.login()
    finally:
        born.logout()
    assert 600.0 - TIMEOUT < ages[0] < 600.0 + TIMEOUT


def test_where_the_time_is_not_known_the_cursor_keeps_its_place(make):
    bot = make()
    first = chat_at(bot, 5_000_000.0)
    first.login()
    first.ping()
    first.logout()
    second = chat_at(bot, None)
    left = []
    original = driver_of(second)._durability.open
    driver_of(second)._durability.open = lambda *args: left.append(original(*args)) or left[-1]
    second.login()
    second.logout()
    second.login()
    second.logout()
    store = bot.left()
    assert store.cursor == left[0].service_cursor >= 5_000_000.0
    store.close()
    assert left[1].service_cursor is None, "what this process did is known to the core"


def chat_at(bot: Bot, service_time: float | None) -> Chat:
    """Another connection of the bot, for which the service's clock shows that time now (None: none)."""
    began = time.monotonic()

    def now() -> float | None:
        return None if service_time is None else service_time + time.monotonic() - began

    return Chat(
        bot.cube.config,
        session_credentials=bot.cube._chat_credentials,
        history=History(
            stored_ids=bot.cube._stored_ids,
            service_time=now,
            ask_time=lambda: None,
            changed_dialogs=lambda since: iter(()),
            messages=lambda dialog, since: iter(()),
        ),
    )


# --- messages that the server does not take -----------------------------------------------------------

NO_LIMIT = Limits(message_bytes=10_000_000)
TOO_LARGE = "x" * 1_200_000  # the emulator takes a mebibyte


def test_a_message_that_the_server_does_not_take_is_not_kept(make, alice):
    bot = make(limits=NO_LIMIT)
    bot.chat.login()
    poison = bot.chat.send_private(alice.id, TOO_LARGE)
    after = bot.chat.send_private(alice.id, "after")
    with pytest.raises(StanzaError, match="policy-violation"):
        poison.result(4 * TIMEOUT)
    assert after.result(4 * TIMEOUT).body == "after"
    bot.chat.logout()
    store = bot.left()
    assert contents(store)[1] == []
    store.close()


def test_a_poisoned_file_of_a_dead_process_costs_the_message_only(make, alice, copy, emulator):
    dead = make(reconnect=SLOW, limits=NO_LIMIT)
    dead.chat.login()
    cut_off(dead, emulator)
    for body in ("before", TOO_LARGE, "after"):
        dead.chat.send_private(alice.id, body)
    as_after_a_crash(dead.path, copy)
    born = make(copy)
    born.chat.login()
    (failure,) = born.events.wait_for("message_failed", timeout=4 * TIMEOUT)
    assert failure.condition == "policy-violation"
    born.chat.send_private(alice.id, "new").result(4 * TIMEOUT)
    bodies = [message.body for message in alice.events.wait_for("message_received", 3)]
    assert sorted(bodies) == ["after", "before", "new"]
    assert born.chat.is_ready
