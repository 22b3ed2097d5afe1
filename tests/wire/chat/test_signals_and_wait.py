"""Scripts that wait for the end of their connection, and the signals that ask for it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    ChatState,
    NotConnectedError,
    ReconnectPolicy,
    StreamError,
)
from tests.support.inside import driver_of
from tests.support.people import Person
from tests.support.waiting import TIMEOUT, Gate, wait_until
from tests.wire.chat.test_ending import STATES

S = ChatState
ONE, TWO = signal.SIGUSR1, signal.SIGUSR2


@pytest.fixture(autouse=True)
def handlers():
    """Before and after each test the signals have these handlers; what they got is in the list."""
    got = []

    def handle(number, frame):
        got.append(number)

    before = {number: signal.signal(number, handle) for number in (ONE, TWO)}
    yield got
    assert {number: signal.getsignal(number) for number in before} == dict.fromkeys(before, handle)
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def meanwhile(action):
    """Run an action on another thread while the block runs; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(action)
        yield
        doing.result(TIMEOUT)


def send(number, handlers_of_test):
    """Send this process a signal once ``chat.wait()`` handles it."""
    wait_until(lambda: signal.getsignal(number) not in handlers_of_test)
    os.kill(os.getpid(), number)


def test_a_signal_logs_out_and_returns_and_the_handlers_of_before_are_back(
    alice, bob, handlers, caplog
):
    alice.login()
    bob.login()
    before = [signal.getsignal(ONE)]
    handle = alice.chat.send_private(bob.id, "hello")
    with meanwhile(lambda: send(ONE, before)):
        alice.chat.wait(signals=(ONE, TWO))
    assert alice.chat.state is S.CLOSED
    assert handle.result(0).body == "hello"
    assert handlers == [], "nobody else was told"
    assert "abandoned" not in caplog.text
    os.kill(os.getpid(), ONE)
    assert handlers == [ONE]


@pytest.mark.parametrize(
    "state", [state for state in STATES if state is not S.IDLE], ids=lambda state: state.name
)
def test_a_signal_ends_the_wait_in_every_state(state, person, proxy, stack, certificates):
    chat = STATES[state](person, proxy, stack, certificates)
    before = [signal.getsignal(TWO)]
    if state is S.CLOSED:
        chat.wait(signals=(TWO,))  # there is nothing to wait for
    else:
        with meanwhile(lambda: send(TWO, before)):
            chat.wait(signals=(TWO,))
    assert chat.state is S.CLOSED


def test_in_a_process_that_never_logged_in_there_is_nothing_to_wait_for(alice):
    with pytest.raises(
        NotConnectedError, match=r"nobody has logged in .*: call chat\.login\(\) first"
    ):
        alice.chat.wait(signals=(ONE,))


def test_what_was_left_undone_is_in_the_log(alice, bob, stack, caplog):
    stuck = stack.enter_context(Gate())
    alice.login()
    bob.login()
    alice.chat.message_received.connect(stuck)
    bob.chat.send_private(alice.id, "hello")
    stuck.wait_until_entered()
    timeouts = driver_of(alice.chat)._config.timeouts
    quick = driver_of(alice.chat)._config.replace(timeouts=type(timeouts)(logout=0.3))
    driver_of(alice.chat)._config = quick
    before = [signal.getsignal(ONE)]
    with (
        caplog.at_level(logging.WARNING, "connectycube.chat"),
        meanwhile(lambda: send(ONE, before)),
    ):
        alice.chat.wait(signals=(ONE,))
    assert "abandoned: 1 running receiver" in caplog.text
    stuck.open()


def test_the_second_signal_ends_it_at_once(person, proxy, caplog):
    alice = person()
    alice.login()
    proxy.freeze()
    handle = alice.chat.send_private(alice.id + 1, "nobody acknowledges this")
    before = [signal.getsignal(ONE), signal.getsignal(TWO)]
    quick = alice.config.replace(timeouts=type(alice.config.timeouts)(logout=TIMEOUT * 6))
    driver_of(alice.chat)._config = quick

    def send_both():
        send(ONE, before)
        alice.wait_for_state(S.CLOSING)
        send(TWO, before)

    with caplog.at_level(logging.WARNING, "connectycube.chat"), meanwhile(send_both):
        alice.chat.wait(signals=(ONE, TWO))
    assert alice.chat.state is S.CLOSED
    assert handle.done()
    assert "abandoned: 1 unacknowledged message" in caplog.text
    assert driver_of(alice.chat).is_over, "the exit of the interpreter does not wait for it again"
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.endswith("-logout")])


def test_after_the_second_signal_nothing_waits_for_a_receiver(alice, bob, stack):
    stuck = stack.enter_context(Gate())
    alice.chat.message_received.connect(stuck)
    alice.login()
    bob.login()
    bob.chat.send_private(alice.id, "hello")
    stuck.wait_until_entered()
    before = [signal.getsignal(ONE), signal.getsignal(TWO)]

    def send_both():
        send(ONE, before)
        wait_until(lambda: alice.chat.state is S.CLOSED)
        send(TWO, before)

    with meanwhile(send_both):
        alice.chat.wait(signals=(ONE, TWO))
    with ThreadPoolExecutor(1) as pool:
        # Their time-out is longer than ours, and the receiver does not return before they have.
        for end in (alice.chat.logout, alice.chat.destroy):
            abandoned = pool.submit(end, timeout=TIMEOUT * 6).result(TIMEOUT)
            assert abandoned.running == 1
    stuck.open()


def test_a_login_after_a_hurried_end_works_and_is_not_over_for_the_exit(person):
    alice = person()
    alice.login()
    driver_of(alice.chat).abort()
    alice.login()
    assert alice.chat.ping() < TIMEOUT
    assert not driver_of(alice.chat).is_over


def test_a_signal_that_another_thread_gets_ends_the_wait_as_well(alice):
    alice.login()
    before = [signal.getsignal(ONE)]

    def interrupt_me():
        wait_until(lambda: signal.getsignal(ONE) not in before)
        signal.pthread_kill(threading.get_ident(), ONE)

    with meanwhile(interrupt_me):
        alice.chat.wait(signals=(ONE,))
    assert alice.chat.state is S.CLOSED


def test_wait_restores_the_wakeup_descriptor_of_signals(alice):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        before = signal.set_wakeup_fd(ours.fileno())
        try:
            alice.login()
            alice.chat.logout()
            alice.chat.wait(signals=(ONE,))
            assert signal.set_wakeup_fd(-1) == ours.fileno()
        finally:
            signal.set_wakeup_fd(before)


def test_other_ends_are_told_as_without_signals_and_the_handlers_are_back(emulator):
    eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    eve.login()
    with (
        emulator.faults.start("stream_error", user=eve.id, times=1),
        pytest.raises(StreamError, match="conflict"),
    ):
        eve.chat.wait(signals=(ONE,))


def test_logout_ends_the_wait(alice):
    alice.login()
    before = [signal.getsignal(ONE)]

    def log_out():
        wait_until(lambda: signal.getsignal(ONE) not in before)
        alice.chat.logout()

    with meanwhile(log_out):
        alice.chat.wait(signals=(ONE,))


def test_a_signal_that_is_not_named_is_handled_as_before(alice, handlers):
    alice.login()
    before = [signal.getsignal(ONE)]

    def send_both():
        wait_until(lambda: signal.getsignal(ONE) not in before)
        os.kill(os.getpid(), TWO)
        wait_until(lambda: handlers == [TWO])
        assert alice.chat.is_ready
        os.kill(os.getpid(), ONE)

    with meanwhile(send_both):
        alice.chat.wait(signals=[ONE])


def test_an_exception_in_a_handler_ends_the_wait_but_not_the_connection(alice):
    alice.login()

    def interrupt():
        wait_until(lambda: driver_of(alice.chat).close_waiters._waits)
        os.kill(os.getpid(), signal.SIGINT)

    with meanwhile(interrupt), pytest.raises(KeyboardInterrupt):
        alice.chat.wait()
    assert alice.chat.ping() < TIMEOUT
    assert not driver_of(alice.chat).close_waiters._waits


def test_several_threads_wait_for_the_same_end_with_its_reason(emulator):
    eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    eve.login()
    with ThreadPoolExecutor(5) as pool:
        waits = [pool.submit(eve.chat.wait) for _ in range(5)]
        wait_until(lambda: len(driver_of(eve.chat).close_waiters._waits) == 5)
        with emulator.faults.start("stream_error", user=eve.id, times=1):
            errors = [wait.exception(TIMEOUT) for wait in waits]
    assert [error.condition for error in errors] == ["conflict"] * 5


def test_a_waiter_learns_of_an_end_even_if_a_login_follows_at_once(emulator):
    eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    eve.login()

    @eve.chat.state_changed.connect
    def come_back(chat, change):
        if change.state is S.CLOSED and change.reason is not None:
            chat.relogin()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(eve.chat.wait)
        wait_until(lambda: driver_of(eve.chat).close_waiters._waits)
        with emulator.faults.start("stream_error", user=eve.id, times=1):
            assert isinstance(waiting.exception(TIMEOUT), StreamError)
        eve.wait_for_state(S.READY, 2)
    eve.chat.logout()


@pytest.mark.parametrize(
    ("signals", "error", "words"),
    [
        (signal.SIGTERM, ArgumentTypeError, "signals must be several"),
        ("SIGTERM", ArgumentTypeError, "signals must be several"),
        (None, ArgumentTypeError, "signals must be several"),
        (["SIGTERM"], ArgumentTypeError, "signals must be an int"),
        ([True], ArgumentTypeError, "signals must be an int"),
        ([0], ArgumentValueError, "signals holds 0"),
        ([-1], ArgumentValueError, "signals holds -1"),
        ([10_000], ArgumentValueError, "signals holds 10000"),
        *(
            pytest.param(
                numbers,
                ArgumentValueError,
                "which no program can handle",
                marks=pytest.mark.posix,
            )
            for numbers in ([signal.SIGTERM, signal.SIGKILL], [signal.SIGSTOP])
        ),
    ],
)
def test_what_is_no_signal_or_cannot_be_handled_is_refused(alice, signals, error, words):
    alice.login()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error, match=words):
        alice.chat.wait(signals=signals)
    assert signal.getsignal(signal.SIGTERM) is before
    assert alice.chat.is_ready


def test_only_the_main_thread_can_wait_for_signals(alice):
    alice.login()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(alice.chat.wait, signals=(ONE,))
        with pytest.raises(ArgumentValueError, match="in the main thread only"):
            waiting.result(TIMEOUT)
    assert alice.chat.is_ready


def test_after_a_ping_the_receivers_of_what_came_before_can_be_awaited(alice, bob):
    inside, go, handled = threading.Event(), threading.Event(), []

    @alice.chat.message_received.connect
    def on_message(chat, message):
        inside.set()
        go.wait(TIMEOUT)
        handled.append(message.body)

    assert alice.chat.wait_until_idle(0.0)
    alice.login()
    bob.login()
    for n in range(3):
        bob.chat.send_private(alice.id, f"{n}").result()
    assert inside.wait(TIMEOUT)
    alice.chat.ping()
    assert not alice.chat.wait_until_idle(0.0)
    go.set()
    assert alice.chat.wait_until_idle(TIMEOUT)
    assert handled == ["0", "1", "2"]
    with pytest.raises(ArgumentValueError, match="timeout"):
        alice.chat.wait_until_idle(-1)


def test_inside_a_receiver_nobody_can_wait(alice, bob):
    caught = []

    @alice.chat.message_received.connect
    def wait(chat, message):
        try:
            chat.wait(signals=())
        except CallbackContextError as error:
            caught.append(error)

    alice.login()
    bob.login()
    bob.chat.send_private(alice.id, "hello")
    wait_until(lambda: caught, "the refusal")


# --- an event that ends the wait ------------------------------------------------------------------


def test_an_event_ends_the_wait_on_any_thread(alice):
    alice.login()
    stop, waiting = threading.Event(), threading.Event()

    def wait():
        waiting.set()
        return alice.chat.wait(stop=stop)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(wait)
        assert waiting.wait(TIMEOUT)
        assert alice.chat.is_ready and not ended.done()
        stop.set()
        assert ended.result(TIMEOUT) is None
    assert alice.chat.state is S.CLOSED


def test_an_event_that_is_set_before_ends_the_wait_at_once(alice):
    alice.login()
    stop = threading.Event()
    stop.set()
    alice.chat.wait(stop=stop)
    assert alice.chat.state is S.CLOSED


def test_a_signal_ends_a_wait_for_an_event(alice, handlers):
    alice.login()
    stop = threading.Event()
    with meanwhile(lambda: send(ONE, [signal.getsignal(ONE)])):
        alice.chat.wait(signals=(ONE,), stop=stop)
    assert alice.chat.state is S.CLOSED and not stop.is_set()


def test_a_logout_ends_a_wait_for_an_event(alice):
    alice.login()
    with meanwhile(alice.chat.logout):
        alice.chat.wait(stop=threading.Event())


def test_a_signal_hurries_the_logout_that_an_event_asked_for(alice, bob, stack):
    stuck = stack.enter_context(Gate())
    alice.chat.message_received.connect(stuck)
    alice.login()
    bob.login()
    bob.chat.send_private(alice.id, "stay").result(TIMEOUT)
    stuck.wait_until_entered()
    stop = threading.Event()
    stop.set()
    with meanwhile(lambda: send(ONE, [signal.getsignal(ONE)])):
        alice.chat.wait(signals=(ONE,), stop=stop)
    stuck.open()


@pytest.mark.parametrize("stop", [True, 5, "stop", threading.Lock(), threading.Event])
def test_what_is_no_event_ends_no_wait(alice, stop):
    alice.login()
    with pytest.raises(ArgumentTypeError, match=r"stop must be a threading\.Event"):
        alice.chat.wait(stop=stop)
