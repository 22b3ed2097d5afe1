"""What ``chat.statistics()`` says, in every state and after everything that may go wrong."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from connectycube import (
    Chat,
    ChatState,
    ConnectionLostError,
    Handling,
    Limits,
    OutcomeUnknownError,
    Statistics,
)
from connectycube.emulator import Emulator
from tests.support.durable_people import as_after_a_crash
from tests.support.inside import driver_of
from tests.support.observing import Recorder
from tests.support.people import PASSWORD, SLOW, Person, away, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until

S = ChatState
QUICK = Handling(delay=0.01, max_delay=0.02)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A service for all tests of this module."""
    with Emulator() as running:
        yield running


@pytest.fixture
def client(emulator: Emulator, stack: Any) -> Callable[..., Person]:
    """Makes users with a REST session who are logged in to the chat; closed at the end."""

    def make(**options: Any) -> Person:
        name = f"counted-{next(_numbers)}"
        emulator.add_user(name, PASSWORD)
        made = Person.in_chat(emulator, name, **options)
        stack.callback(made.cube.close)
        return made

    return make


def counts(statistics: Statistics, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(statistics, name) for name in names)


def outcomes(person: Person) -> tuple[Any, ...]:
    return counts(person.chat.statistics(), "sent", "failed", "unknown")


def send(sender: Person, to: Person, *bodies: str) -> None:
    for body in bodies:
        sender.chat.send_private(to.id, body).result(TIMEOUT)


# --- states ------------------------------------------------------------------------------------------


def test_the_numbers_are_there_in_every_state(alice):
    seen = [alice.chat.statistics()]
    alice.chat.state_changed.connect(lambda chat, change: seen.append(chat.statistics()))
    before = datetime.now(timezone.utc)
    alice.login()
    ready = alice.chat.statistics()
    assert (ready.state, ready.last_reason) == (S.READY, None)
    assert before <= ready.since <= datetime.now(timezone.utc)
    wait_until(lambda: alice.chat.statistics().connected_for > ready.connected_for)
    assert alice.chat.statistics().since == ready.since
    alice.chat.logout()
    closed = alice.chat.statistics()
    assert (closed.state, closed.connected_for) == (S.CLOSED, 0)
    assert closed.since > ready.since
    alice.chat.destroy()
    assert alice.chat.statistics().state is S.IDLE
    assert all(isinstance(json.dumps(each.to_dict()), str) for each in seen)


def test_a_login_that_fails_says_why(emulator):
    chat = Chat(emulator.config(chat_port=1))
    with pytest.raises(ConnectionLostError) as caught:
        chat.login(1, "x")
    assert chat.statistics().last_reason is caught.value
    assert counts(chat.statistics(), "state", "reconnects") == (S.CLOSED, 0)


def test_the_numbers_wait_for_no_lock_of_the_connection(alice):
    alice.login()
    with driver_of(alice.chat)._mutex, ThreadPoolExecutor(1) as pool:
        assert pool.submit(alice.chat.statistics).result(TIMEOUT).state is S.READY


# --- the queue ---------------------------------------------------------------------------------------


def test_what_waits_for_a_receiver_is_counted_with_its_age(alice, bob):
    gate = Gate()
    bob.chat.message_received.connect(gate, key="gate")
    alice.login()
    bob.login()
    settled(bob)  # the events of the login are handled
    with gate:
        send(alice, bob, "one")
        gate.wait_until_entered()
        send(alice, bob, "two", "three")
        wait_until(lambda: bob.chat.statistics().queued_events == 2)
        first = bob.chat.statistics()
        assert first.queued_bytes > 100 and first.received == 3
        (running,) = first.running_receivers
        assert (running.name, running.signal) == ("gate", "message_received")
        wait_until(
            lambda: bob.chat.statistics().oldest_queued_seconds > first.oldest_queued_seconds
        )
        assert running.seconds >= first.oldest_queued_seconds
    settled(bob)
    after = bob.chat.statistics()
    assert counts(after, "queued_events", "queued_bytes", "oldest_queued_seconds") == (0, 0, 0)
    assert after.running_receivers == () and after.received == 3


def test_a_done_callback_is_a_running_receiver(alice, bob):
    gate = Gate()
    alice.login()
    with gate:
        alice.chat.send_private(bob.id, "x").add_done_callback(gate)
        gate.wait_until_entered()
        (running,) = alice.chat.statistics().running_receivers
        assert running.signal == "add_done_callback"


def test_a_full_queue_counts_each_message_once(alice, emulator):
    gate = Gate()
    bob = Person.new(emulator, limits=Limits(queued_events=2))
    bob.chat.message_received.connect(gate)
    alice.login()
    bob.login()
    with gate:
        send(alice, bob, "a")
        gate.wait_until_entered()
        send(alice, bob, *"bcdef")
        wait_until(lambda: bob.chat.statistics().state is not S.READY)
        assert bob.chat.statistics().received == 3
        assert type(bob.chat.statistics().last_reason).__name__ == "QueueOverflowError"
    wait_until(lambda: bob.bodies == [*"abcdef"])
    settled(bob)
    assert counts(bob.chat.statistics(), "received", "queued_events") == (6, 0)
    bob.chat.logout()


# --- what is sent ------------------------------------------------------------------------------------


def test_what_waits_for_the_link_is_sent_after_a_resumption(alice, bob, emulator):
    amy = Person.new(emulator, reconnect=SLOW)
    amy.login()
    bob.login()
    with away(amy, emulator, resumes=True):
        handles = [amy.chat.send_private(bob.id, str(n)) for n in range(3)]
        lost = amy.chat.statistics()
        assert counts(lost, "state", "outbound_waiting", "outbound_unacknowledged") == (
            S.FORCE_CLOSED,
            3,
            0,
        )
        assert isinstance(lost.last_reason, ConnectionLostError) and lost.connected_for == 0
    for handle in handles:
        handle.result(TIMEOUT)
    back = amy.chat.statistics()
    assert counts(back, "state", "reconnects", "resumed") == (S.RESUMED, 1, 1)
    assert counts(back, "outbound_waiting", "outbound_unacknowledged") == (0, 0)
    assert outcomes(amy) == (3, 0, 0) and back.last_reason is lost.last_reason
    amy.chat.logout()


def test_what_the_server_has_not_acknowledged_is_counted(alice, bob, person, proxy):
    amy = person()
    amy.login()
    settled(amy)
    proxy.freeze()
    handle = amy.chat.send_private(bob.id, "x")
    assert counts(amy.chat.statistics(), "outbound_waiting", "outbound_unacknowledged") == (0, 1)
    proxy.thaw()
    handle.result(TIMEOUT)
    assert counts(amy.chat.statistics(), "outbound_unacknowledged", "sent") == (0, 1)


def test_each_outcome_is_counted(alice, bob, person, proxy):
    amy = person()
    amy.login()
    send(amy, bob, "sent")
    amy.chat.send_system_message(bob.id, {"k": "v"}).result(TIMEOUT)
    settled(amy)
    proxy.freeze()
    unknown = amy.chat.send_private(bob.id, "unknown")
    amy.chat.logout(timeout=0.1)
    assert isinstance(unknown.exception(TIMEOUT), OutcomeUnknownError)
    assert outcomes(amy) == (2, 0, 1)
    assert counts(amy.chat.statistics(), "outbound_waiting", "outbound_unacknowledged") == (0, 0)


def test_a_message_that_was_never_written_has_failed(emulator, bob):
    amy = Person.new(emulator, reconnect=SLOW)
    amy.login()
    emulator.cut(amy.id)
    amy.wait_for_state(S.FORCE_CLOSED)
    handle = amy.chat.send_private(bob.id, "x")
    amy.chat.logout()
    assert handle.exception(TIMEOUT) is not None and outcomes(amy) == (0, 1, 0)


# --- reconnections and history -----------------------------------------------------------------------


def test_recovered_messages_are_received_and_counted_as_such(client, emulator):
    ann, bea = client(reconnect=SLOW), client()
    send(bea, ann, "before")
    ann.events.wait_for("message_received")
    for _ in range(2):
        with away(ann, emulator):
            bea.cube.messages.create(ann.id, "in the gap")
        ann.events.wait_for("recovery_finished")
    ann.events.wait_for("recovery_finished", 2)
    ann.events.wait_for("message_received", 3)
    assert counts(ann.chat.statistics(), "received", "recovered", "redelivered") == (3, 2, 0)
    assert counts(ann.chat.statistics(), "reconnects", "resumed") == (2, 0)


def test_a_new_login_is_no_reconnection(alice):
    for _ in range(2):
        alice.login()
        alice.chat.logout()
    assert counts(alice.chat.statistics(), "reconnects", "last_reason") == (0, None)
    alice.chat.relogin()
    alice.chat.wait_until_ready(TIMEOUT)
    assert counts(alice.chat.statistics(), "reconnects", "resumed") == (1, 0)


def test_the_numbers_are_right_under_load_and_reconnections(emulator, person, proxy):
    amy, ben = person(), Person.new(emulator)
    amy.login()
    ben.login()
    senders, each = 4, 50
    over = threading.Event()
    seen: list[Statistics] = []

    def look() -> None:
        while not over.wait(0.001):
            seen.append(amy.chat.statistics())

    def talk(sender: int) -> list[Any]:
        handles = []
        for number in range(each):
            handles.append(amy.chat.send_private(ben.id, f"{sender} {number}"))
            ben.chat.send_private(amy.id, f"{sender} {number}")
        return handles

    watcher = threading.Thread(target=look)
    watcher.start()
    with ThreadPoolExecutor(senders) as pool:
        talking = [pool.submit(talk, sender) for sender in range(senders)]
        for cut in range(1, 4):
            proxy.rst()
            amy.wait_for_state(S.RESUMED, cut)
            amy.chat.ping(TIMEOUT)
        for future in talking:
            for handle in future.result(TIMEOUT):
                handle.result(TIMEOUT)
    total = senders * each
    amy.events.wait_for("message_received", total)
    settled(amy)
    over.set()
    watcher.join(TIMEOUT)
    end = amy.chat.statistics()
    assert counts(end, "received", "sent", "failed", "unknown") == (total, total, 0, 0)
    assert counts(end, "outbound_waiting", "outbound_unacknowledged", "queued_events") == (0, 0, 0)
    assert end.resumed >= 3 and end.reconnects >= end.resumed
    growing = ("received", "sent", "reconnects", "resumed")
    for before, after in itertools.pairwise([*seen, end]):
        assert all(
            a <= b for a, b in zip(counts(before, *growing), counts(after, *growing), strict=True)
        )
        assert 0 <= after.outbound_waiting + after.outbound_unacknowledged <= total
    ben.chat.logout()


# --- durable -----------------------------------------------------------------------------------------


def kept(person: Person) -> tuple[Any, ...]:
    return counts(person.chat.statistics(), "durable_inbox", "durable_outbox", "dead_letters")


def test_the_counts_of_the_file_follow_what_is_in_it(make, alice, emulator):
    bot, gate = make(reconnect=SLOW), Gate()
    bot.chat.message_received.connect(gate)
    assert kept(bot) == (0, 0, 0)
    alice.login()
    bot.chat.login()
    with gate:
        send(alice, bot, "one")
        gate.wait_until_entered()
        send(alice, bot, "two")
        wait_until(lambda: kept(bot) == (2, 0, 0))
        with away(bot, emulator, resumes=True, settles=False):
            handle = bot.chat.send_private(alice.id, "later")
            assert kept(bot) == (2, 1, 0)
        handle.result(TIMEOUT)
        assert kept(bot) == (2, 0, 0)
    settled(bot)
    wait_until(lambda: kept(bot) == (0, 0, 0))


def leave_three_unhandled(make, copy, alice):
    """Make ``copy`` the durable file of a killed bot, which had three messages in hand."""
    dead, gate = make(reconnect=SLOW), Gate()
    dead.chat.message_received.connect(gate, key="gate")
    dead.chat.login()
    with gate:
        send(alice, dead, "one", "two", "three")
        gate.wait_until_entered()
        dead.chat.ping(TIMEOUT)
        as_after_a_crash(dead.path, copy)
    dead.chat.logout()


def test_another_process_goes_on_with_what_it_finds(make, copy, alice):
    alice.login()
    leave_three_unhandled(make, copy, alice)
    # One worker stays at the gate; the other one handles the events of the login.
    born, second = make(copy, workers=2), Gate()
    born.chat.message_received.connect(second, key="gate")
    with second:
        born.chat.login()
        second.wait_until_entered()
        wait_until(lambda: born.chat.statistics().queued_events == 2)
        found = born.chat.statistics()
        assert counts(found, "received", "redelivered", "durable_inbox") == (0, 3, 3)
    settled(born)
    wait_until(lambda: kept(born) == (0, 0, 0))
    send(alice, born, "four")
    wait_until(lambda: born.chat.statistics().received == 1)


def test_what_goes_back_to_the_file_is_counted_and_told_once(make, copy, alice, bob):
    alice.login()
    bob.login()
    leave_three_unhandled(make, copy, alice)
    observer, is_away, second = Recorder(), threading.Event(), Gate()
    is_away.set()
    limits = Limits(queued_events=10)
    born = make(copy, workers=1, limits=limits, handling=QUICK, observer=observer)

    def work(chat: Chat, message: Any) -> None:
        second(chat, message)
        if is_away.is_set():
            raise ConnectionRefusedError("no database")

    born.chat.message_received.connect(work, key="gate")
    with second:
        born.chat.login()
        second.wait_until_entered()
        observer.wait_for("recovery_ended")
        send(bob, born, *(f"{number}" for number in range(7)))  # the queue is more than half full
        wait_until(lambda: born.chat.statistics().received == 7)
    wait_until(lambda: born.chat.statistics().queued_events == 2)  # the rest is in the file
    is_away.clear()
    settled(born)
    wait_until(lambda: kept(born) == (0, 0, 0))
    assert counts(born.chat.statistics(), "received", "redelivered") == (7, 3)
    told = [call.arguments[1:] for call in observer.of("event_queued")]
    messages = [event.body for signal, event in told if signal == "message_received"]
    assert sorted(messages) == sorted(["one", "two", "three", *map(str, range(7))])


def test_the_counts_of_a_file_stay_after_a_logout(make, emulator, alice):
    bot = make(reconnect=SLOW)
    bot.chat.login()
    emulator.cut(bot.id)
    bot.wait_for_state(S.FORCE_CLOSED)
    handle = bot.chat.send_private(alice.id, "later")
    bot.chat.logout()
    assert handle.exception(TIMEOUT) is not None
    assert kept(bot) == (0, 1, 0) and outcomes(bot) == (0, 0, 0), "it is deferred"
    bot.chat.login()
    wait_until(lambda: kept(bot) == (0, 0, 0))
    assert outcomes(bot) == (1, 0, 0)


def test_retries_and_dead_letters_are_counted(make, alice):
    bot, works = make(handling=Handling(delay=0.01, max_delay=0.02, give_up_after=0.05)), []

    def work(chat: Chat, message: Any) -> None:
        if not works:
            raise ConnectionRefusedError("no database")

    bot.chat.message_received.connect(work, key="work")
    alice.login()
    bot.chat.login()
    send(alice, bot, "one", "two")
    bot.events.wait_for("receiver_gave_up", 2)
    wait_until(lambda: kept(bot) == (0, 0, 2))
    assert counts(bot.chat.statistics(), "received", "given_up", "redelivered") == (2, 2, 0)
    works.append(True)
    first, second = bot.chat.dead_letters()
    bot.chat.dead_letters().retry(first.id)
    wait_until(lambda: kept(bot) == (0, 0, 1))
    assert counts(bot.chat.statistics(), "received", "redelivered") == (2, 1)
    bot.chat.dead_letters().drop(second.id)
    wait_until(lambda: kept(bot) == (0, 0, 0))
    assert bot.chat.statistics().given_up == 2


def test_dead_letters_of_an_earlier_login_are_known_at_once(make, alice):
    bot = make(handling=Handling(delay=0.01, max_delay=0.02, give_up_after=0.0))

    def work(chat: Chat, message: Any) -> None:
        raise ConnectionRefusedError("no database")

    bot.chat.message_received.connect(work, key="work")
    alice.login()
    bot.chat.login()
    send(alice, bot, "one")
    bot.events.wait_for("receiver_gave_up")
    bot.chat.logout()
    again = make()
    assert kept(again) == (0, 0, 0)
    again.chat.login()
    assert kept(again) == (0, 0, 1)


def test_a_receiver_in_memory_that_gives_up_is_counted(alice, emulator):
    bot = Person.new(emulator, handling=QUICK)

    @bot.chat.message_received.connect
    def fail(chat: Chat, message: Any) -> None:
        raise ValueError("not transient")

    alice.login()
    bot.login()
    send(alice, bot, "one")
    bot.events.wait_for("receiver_gave_up")
    assert counts(bot.chat.statistics(), "given_up", "dead_letters") == (1, 0)
    bot.chat.logout()
