"""The end of a connection: in every state within its bound, with the counts of what was left undone."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import (
    Abandoned,
    Chat,
    ChatState,
    Config,
    ConnectyCubeError,
    Limits,
    NotConnectedError,
    OutcomeUnknownError,
    Timeouts,
)
from tests.support.inside import driver_of
from tests.support.people import SLOW, Person, give_stored_ids
from tests.support.scripted_xmpp import PLAIN, ScriptedXmppServer
from tests.support.waiting import TIMEOUT, Gate, wait_until

S = ChatState
BOUND = 0.5
ENDED = {"logout": S.CLOSED, "destroy": S.IDLE}


def in_the_background(stack, call, *arguments):
    """Call on another thread, which the test waits for at its end; errors of this package are nothing."""

    def run():
        try:
            call(*arguments)
        except ConnectyCubeError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    stack.callback(thread.join, TIMEOUT)


# --- in every state -------------------------------------------------------------------------------


def idle(person, proxy, stack, certificates):
    return person().chat


def connecting(person, proxy, stack, certificates):
    proxy.silent()
    alice = person()
    in_the_background(stack, alice.login)
    stack.callback(alice.chat.logout, timeout=0.0)  # first, so that nobody waits for the login
    proxy.wait_for_connection()
    return alice.chat


def authenticated(person, proxy, stack, certificates):
    there = threading.Event()

    def script(conn):
        conn.open_stream(PLAIN)
        conn.authenticate()
        conn.expect("<stream:stream[^>]*>")
        there.set()
        conn.expect_end()

    server = stack.enter_context(ScriptedXmppServer(script, tls=certificates.valid))
    chat = Chat(
        Config(
            app_id=1,
            auth_key="key",
            chat_host="localhost",
            chat_port=server.port,
            ca_file=certificates.ca_file,
        )
    )
    in_the_background(stack, chat.login, 1, "secret")
    stack.callback(chat.logout, timeout=0.0)
    assert there.wait(TIMEOUT)
    return chat


def ready(person, proxy, stack, certificates):
    alice = person()
    alice.login()
    return alice.chat


def force_closed(person, proxy, stack, certificates):
    alice = person(reconnect=SLOW)
    alice.login()
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED)
    return alice.chat


def reconnecting(person, proxy, stack, certificates):
    alice = person()
    alice.login()
    proxy.silent()
    proxy.rst()
    alice.wait_for_state(S.RECONNECTING)
    return alice.chat


def resumed(person, proxy, stack, certificates):
    alice = person()
    alice.login()
    proxy.rst()
    alice.wait_for_state(S.RESUMED)
    return alice.chat


def closing(person, proxy, stack, certificates):
    alice = person(timeouts=Timeouts(logout=BOUND))
    alice.login()
    proxy.freeze()
    alice.chat.send_private(alice.id + 1000, "nobody acknowledges this")
    in_the_background(stack, alice.chat.logout)
    alice.wait_for_state(S.CLOSING)
    return alice.chat


def closed(person, proxy, stack, certificates):
    alice = person()
    alice.login()
    alice.chat.logout()
    return alice.chat


STATES = {
    S.IDLE: idle,
    S.CONNECTING: connecting,
    S.AUTHENTICATED: authenticated,
    S.READY: ready,
    S.FORCE_CLOSED: force_closed,
    S.RECONNECTING: reconnecting,
    S.RESUMED: resumed,
    S.CLOSING: closing,
    S.CLOSED: closed,
}


def test_every_state_that_lasts_is_ended_here():
    assert set(STATES) == set(S) - {S.AUTHENTICATION_FAILURE}  # CLOSED follows in the same step


@pytest.mark.parametrize("end", ENDED)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_a_connection_ends_within_the_bound_in_every_state(
    state, end, person, proxy, stack, certificates
):
    chat = STATES[state](person, proxy, stack, certificates)
    assert chat.state is state
    with ThreadPoolExecutor(1) as pool:
        pool.submit(getattr(chat, end), timeout=BOUND).result(TIMEOUT)
    expected = S.IDLE if state is S.IDLE else ENDED[end]
    assert chat.state is expected
    if end == "logout":
        assert chat.logout() == Abandoned(), "what has been reported is not reported again"


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_many_threads_may_end_it_at_once_in_every_state(state, person, proxy, stack, certificates):
    chat = STATES[state](person, proxy, stack, certificates)
    with ThreadPoolExecutor(8) as pool:
        ends = [pool.submit(chat.logout, timeout=BOUND) for _ in range(8)]
        assert {type(end.result(TIMEOUT)) for end in ends} == {Abandoned}
    assert chat.state in (S.IDLE, S.CLOSED)


# --- what is left undone --------------------------------------------------------------------------


def test_an_end_in_good_order_leaves_nothing_undone(alice, bob, caplog):
    alice.login()
    bob.login()
    for number in range(20):
        alice.chat.send_private(bob.id, str(number))
    assert alice.chat.logout() == Abandoned()
    bob.events.wait_for("message_received", 20)
    assert bob.chat.logout() == Abandoned()
    assert "abandoned" not in caplog.text


def test_messages_that_were_never_written_are_unsent_and_failed(person, proxy):
    alice = person(reconnect=SLOW)
    alice.login()
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED)
    handles = [alice.chat.send_private(alice.id + 1, str(number)) for number in range(3)]
    assert alice.chat.logout() == Abandoned(unsent=3)
    assert {type(handle.exception(0)) for handle in handles} == {NotConnectedError}


def test_messages_that_nobody_acknowledged_are_unacknowledged_and_unknown(person, proxy):
    alice = person()
    alice.login()
    proxy.freeze()
    handles = [alice.chat.send_private(alice.id + 1, str(number)) for number in range(4)]
    assert alice.chat.logout(timeout=BOUND) == Abandoned(unacknowledged=4)
    assert {type(handle.exception(0)) for handle in handles} == {OutcomeUnknownError}


def test_both_are_told_apart(person, proxy):
    alice = person(reconnect=SLOW)
    alice.login()
    proxy.freeze()
    alice.chat.send_private(alice.id + 1, "written, and lost on its way")
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED)
    alice.chat.send_private(alice.id + 1, "never written")
    alice.chat.send_private(alice.id + 1, "nor this one")
    assert alice.chat.logout() == Abandoned(unsent=2, unacknowledged=1)


def test_logout_counts_events_behind_a_stuck_receiver_and_names_it(alice, bob, stack, caplog):
    stuck = stack.enter_context(Gate())
    alice.login()
    bob.login()
    alice.chat.message_received.connect(stuck)
    bob.chat.send_private(alice.id, "the first").result(TIMEOUT)
    stuck.wait_until_entered()
    for number in range(3):
        bob.chat.send_private(alice.id, str(number)).result(TIMEOUT)
    alice.chat.ping()
    with caplog.at_level(logging.WARNING, "connectycube.chat"):
        abandoned = alice.chat.logout(timeout=0.3)
    assert abandoned == Abandoned(queued=3, running=1)
    assert bool(abandoned) and str(abandoned) == "3 queued events, 1 running receiver"
    line = next(record.getMessage() for record in caplog.records if "abandoned" in record.msg)
    assert "abandoned: 3 queued events, 1 running receiver (now running: " in line
    assert "Gate" in line
    stuck.open()
    alice.events.wait_for("message_received", 4)  # they were late, and not lost


def test_a_connection_that_was_given_up_keeps_no_closed_link(alice):
    alice.login()
    driver = driver_of(alice.chat)
    thread = driver._thread
    alice.chat.logout(timeout=0.0)
    thread.join(TIMEOUT)
    assert (driver._link, driver._waker) == (None, None)
    driver._after_fork_in_child()  # which would close it once more


def test_with_a_full_queue_it_ends_within_the_bound_and_says_so(emulator, bob, stack):
    stuck = stack.enter_context(Gate())
    slow = Person.new(emulator, limits=Limits(queued_events=5))
    bob.login()
    slow.login()
    slow.chat.message_received.connect(stuck)
    bob.chat.send_private(slow.id, "the first")
    stuck.wait_until_entered()
    for number in range(30):
        bob.chat.send_private(slow.id, str(number))
    wait_until(lambda: slow.chat.state is S.FORCE_CLOSED)
    assert slow.chat.logout(timeout=0.3) == Abandoned(queued=5, running=1)
    stuck.open()


def test_hanging_history_blocks_nothing_and_leaves_a_message_unknown(emulator, proxy, stack):
    asked, over = threading.Event(), threading.Event()
    stack.callback(over.set)

    def stored_ids(dialog, ids):
        asked.set()
        over.wait(TIMEOUT * 3)
        return ids

    eve = Person.new(emulator, chat_port=proxy.port)
    give_stored_ids(eve.chat, stored_ids)
    eve.login()
    proxy.freeze()
    handle = eve.chat.send_private(eve.id + 1, "did it arrive?")
    with emulator.faults.start("refuse_resume", user=eve.id, times=1, h=False):
        proxy.rst()
        proxy.heal()
        assert asked.wait(TIMEOUT)
        eve.wait_for_state(S.READY, 2)
    assert eve.chat.logout(timeout=BOUND) == Abandoned(unacknowledged=1)
    assert isinstance(handle.exception(0), OutcomeUnknownError)


def test_a_logout_inside_a_receiver_reports_no_abandoned_receiver(alice, bob):
    results = []

    @alice.chat.message_received.connect
    def end(chat, message):
        if not results:
            results.append(chat.logout())

    alice.login()
    bob.login()
    for number in range(3):
        bob.chat.send_private(alice.id, str(number))
    alice.wait_for_state(S.CLOSED)
    assert results == [Abandoned()]


def test_destroy_tells_it_too(person, proxy):
    alice = person(reconnect=SLOW)
    alice.login()
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED)
    alice.chat.send_private(alice.id + 1, "never written")
    assert alice.chat.destroy() == Abandoned(unsent=1)


def test_a_relogin_during_another_threads_logout_keeps_its_connection(person, stack):
    alice = person()
    alice.login()
    told = threading.Event()
    stack.callback(told.set)

    @alice.chat.state_changed.connect
    def come_back(chat, change):
        if change.state is S.CLOSED and alice.states.count(S.READY) == 1:
            chat.relogin()
            told.wait(TIMEOUT)

    assert alice.chat.logout() == Abandoned(), "what runs is not abandoned: it goes on"
    told.set()
    alice.wait_for_state(S.READY, 2)
    assert alice.chat.ping() < TIMEOUT


def test_the_words_for_the_counts():
    assert str(Abandoned()) == "nothing" and not Abandoned()
    one = Abandoned(queued=1, running=1, unsent=1, unacknowledged=1)
    assert str(one) == (
        "1 queued event, 1 running receiver, 1 unsent message, 1 unacknowledged message"
    )
    assert str(Abandoned(unsent=2, unacknowledged=3)) == (
        "2 unsent messages, 3 unacknowledged messages"
    )
