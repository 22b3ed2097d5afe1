"""Forks and the end of the interpreter, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import pytest

from connectycube import ChatState
from tests.support.people import Person, logged_in
from tests.support.waiting import TIMEOUT, wait_until

PRELUDE = """
import os, signal, sys, threading, time
from connectycube import *

def connect(user_id, password):
    chat = Chat(Config.from_env())
    chat.login(user_id, password)
    return chat

def say_when_it_waits(*signals):
    # A signal that comes before chat.wait() has its handlers would end the process.
    before = [signal.getsignal(number) for number in signals]

    def watch():
        while any(map(lambda number, handler: signal.getsignal(number) is handler, signals, before)):
            time.sleep(0.001)
        print("listening", flush=True)

    threading.Thread(target=watch, daemon=True).start()
"""


def command(code, *arguments):
    """What runs a script of ours with warnings as errors."""
    script = PRELUDE + textwrap.dedent(code)
    return [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]


def run(emulator, code, *arguments, timeout=30.0):
    """Run a script against the emulator; return its exit code, output and how long it took."""
    began = time.monotonic()
    done = subprocess.run(
        command(code, *arguments),
        env={**os.environ, **emulator.environment()},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


@contextmanager
def running(emulator, code, person, *arguments, said="listening", **changes):
    """A process that runs a script for a person, once it has said something; killed in the end if need be."""
    with subprocess.Popen(
        command(code, person.id, person.password, *arguments),
        env={**os.environ, **emulator.environment(), **changes},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == f"{said}\n"
            yield process
        finally:
            process.kill()


# --- the end of the interpreter -----------------------------------------------------------------


def test_a_script_without_logout_exits_quietly_and_ends_its_session(emulator, alice):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    print("ready", chat.is_ready)
    """
    status, out, err, took = run(emulator, code, alice.id, alice.password)
    assert (status, out, err) == (0, "ready True\n", "")
    assert took < 10
    assert emulator.sessions(alice.id) == [], "the stream was ended, not cut"


def test_a_script_that_ends_right_after_sending_has_sent(emulator, alice, bob):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    for number in range(20):
        chat.send_private(int(sys.argv[3]), str(number))
    """
    with logged_in(bob):
        status, _, err, _ = run(emulator, code, alice.id, alice.password, bob.id)
        assert (status, err) == (0, "")
        messages = bob.events.wait_for("message_received", 20)
        assert [message.body for message in messages] == [str(number) for number in range(20)]


def test_a_script_that_ends_during_a_callback_exits_within_its_bound(emulator, alice, bob):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    inside = threading.Event()

    @chat.message_received.connect
    def stuck(chat, message):
        inside.set()
        threading.Event().wait()

    print("listening", flush=True)
    inside.wait(20)
    """
    with logged_in(bob):
        with running(emulator, code, alice) as process:
            began = time.monotonic()
            bob.chat.send_private(alice.id, "hello")
            _, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        assert err.endswith(": abandoned: 1 running receiver (now running: __main__.stuck)\n")
        assert time.monotonic() - began < TIMEOUT


ABANDONING = """
chat = Chat(
    Config.from_env(reconnect=ReconnectPolicy(delay=60.0), timeouts=Timeouts(exit=0.5))
)
inside = threading.Event()

@chat.message_received.connect
def stuck(chat, message):
    inside.set()
    threading.Event().wait()

def step(word):
    print(word, flush=True)
    sys.stdin.readline()

lost = threading.Event()

@chat.state_changed.connect
def note(chat, change):
    if change.state is ChatState.FORCE_CLOSED:
        lost.set()

me, other = int(sys.argv[1]), int(sys.argv[3])
chat.login(me, sys.argv[2])
if sys.argv[4] == "receivers":
    step("ready")
    inside.wait(20)
    chat.ping()
elif sys.argv[4] == "no link":
    step("ready")
    lost.wait(20)
    for number in range(2):
        chat.send_private(other, str(number))
elif sys.argv[4] == "frozen":
    step("ready")
    for number in range(3):
        chat.send_private(other, str(number))
elif sys.argv[4] == "history":
    asked = threading.Event()
    def stored_ids(dialog, ids):
        asked.set()
        threading.Event().wait()
    from tests.support.people import give_stored_ids
    give_stored_ids(chat, stored_ids)
    step("ready")
    chat.send_private(other, "did it arrive?")
    step("sent")
    lost.wait(20)
    chat.relogin()
    asked.wait(20)
"""

EXITS = {
    "the end": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "an exception": ("raise RuntimeError('its own')", 1, "RuntimeError: its own"),
}


def end_of(process, status, words):
    """Let the process go on to its end; return what it wrote to stderr, without the words of its own end."""
    _, err = process.communicate("go on\n", timeout=TIMEOUT * 2)
    assert process.returncode == status
    assert words in err
    return err


def abandoning(emulator, proxy, alice, bob, case, code=""):
    """A process that is ready to leave something undone, as ``case`` says, and then runs ``code``."""
    port = {"CONNECTYCUBE_CHAT_PORT": str(proxy.port)}
    return running(emulator, ABANDONING + code, alice, bob.id, case, said="ready", **port)


@pytest.mark.parametrize("how", EXITS)
def test_the_exit_reports_the_queued_events_and_the_running_receiver(
    emulator, alice, bob, proxy, how
):
    code, status, words = EXITS[how]
    with logged_in(bob), abandoning(emulator, proxy, alice, bob, "receivers", code) as process:
        for number in range(4):
            bob.chat.send_private(alice.id, str(number)).result(TIMEOUT)
        err = end_of(process, status, words)
    assert "abandoned: 3 queued events, 1 running receiver (now running: __main__.stuck)" in err


def test_the_exit_says_how_many_messages_were_never_written(emulator, alice, bob, proxy):
    with abandoning(emulator, proxy, alice, bob, "no link") as process:
        proxy.rst()
        assert "abandoned: 2 unsent messages\n" in end_of(process, 0, "")


def test_the_exit_over_a_frozen_link_reports_unacknowledged_messages(emulator, alice, bob, proxy):
    with abandoning(emulator, proxy, alice, bob, "frozen") as process:
        proxy.freeze()
        assert "abandoned: 3 unacknowledged messages\n" in end_of(process, 0, "")


def test_the_exit_does_not_wait_for_history_that_hangs(emulator, alice, bob, proxy):
    with (
        emulator.faults.start("refuse_resume", user=alice.id, times=1, h=False),
        abandoning(emulator, proxy, alice, bob, "history") as process,
    ):
        proxy.freeze()
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.stdout.readline() == "sent\n"
        proxy.rst()
        proxy.heal()
        err = end_of(process, 0, "")
    assert "abandoned: 1 unacknowledged message\n" in err


def test_a_process_that_dies_of_a_signal_says_nothing(emulator, alice, bob, proxy):
    with abandoning(emulator, proxy, alice, bob, "frozen", "inside.wait(20)") as process:
        proxy.freeze()
        process.stdin.write("go on\n")
        process.stdin.flush()
        process.terminate()
        _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (-signal.SIGTERM, "")


def test_a_receiver_that_logs_out_finishes_its_work_as_the_script_ends(emulator, alice, bob):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])

    @chat.message_received.connect
    def end(chat, message):
        chat.logout()
        threading.main_thread().join(0.5)  # the script is at its end by now
        print("worked to the end")

    print("listening", flush=True)
    chat.wait()
    """
    with (
        logged_in(bob),
        running(emulator, code, alice) as process,
    ):
        bob.chat.send_private(alice.id, "end")
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out, err) == (0, "worked to the end\n", "")


def test_a_stuck_connection_takes_no_time_of_the_others_at_the_exit(emulator, alice, bob):
    code = """
    stuck = connect(int(sys.argv[1]), sys.argv[2])
    inside = threading.Event()

    @stuck.message_received.connect
    def block(chat, message):
        inside.set()
        threading.Event().wait()

    others = [connect(int(sys.argv[4]), sys.argv[5]) for _ in range(3)]
    others[0].send_private(int(sys.argv[1]), "block").result(10)
    inside.wait(20)
    for number, chat in enumerate(others):
        chat.send_private(int(sys.argv[3]), str(number))
    """
    with logged_in(bob):
        other = Person.new(emulator)
        people = (alice.id, alice.password, bob.id, other.id, other.password)
        status, _, err, _ = run(emulator, code, *people)
        assert status == 0
        assert err.endswith("abandoned: 1 running receiver (now running: __main__.block)\n")
        assert err.count("abandoned") == 1
        found = bob.events.wait_for("message_received", 3)
        assert {message.body for message in found} == {"0", "1", "2"}
    assert emulator.sessions(other.id) == [], "each stream was ended, not cut"


def test_the_exit_logs_a_failing_receiver_but_none_that_it_cuts_off(emulator, alice, bob):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    inside = threading.Event()

    @chat.state_changed.connect
    def note(chat, change):
        if change.state is ChatState.CLOSED:
            raise ValueError("this one is told")

    @chat.message_received.connect
    def answer(chat, message):
        inside.set()
        chat.wait_for(chat.state_changed, 20, lambda change: change.state is ChatState.CLOSED)
        chat.reply(message, "too late")

    @chat.message_received.connect
    def second(chat, message):
        try:
            chat.relogin()
        except NotConnectedError as error:
            print(error)

    print("listening", flush=True)
    inside.wait(20)
    """
    with (
        logged_in(bob),
        running(emulator, code, alice) as process,
    ):
        bob.chat.send_private(alice.id, "hello")
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert out == "the interpreter exits: no connection is made any more\n"
    assert "NotConnectedError" not in err
    assert err.count("Traceback") == 1 and "this one is told" in err


def test_a_script_that_waits_with_signals_ends_in_good_order(emulator, alice, bob):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    chat.message_received.connect(lambda chat, message: chat.reply(message, "answer"))
    say_when_it_waits(signal.SIGTERM, signal.SIGINT)
    chat.wait(signals=(signal.SIGTERM, signal.SIGINT))
    print("after", chat.state.name, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    with logged_in(bob):
        for number in (signal.SIGTERM, signal.SIGINT):
            with running(emulator, code, alice) as process:
                before = len(bob.events.of("message_received"))
                bob.chat.send_private(alice.id, "question")
                bob.events.wait_for("message_received", before + 1)
                process.send_signal(number)
                out, err = process.communicate(timeout=TIMEOUT)
            assert (process.returncode, out, err) == (0, "after CLOSED True\n", "")
            assert emulator.sessions(alice.id) == [], "the stream was ended, not cut"


def test_a_second_signal_ends_a_script_at_once_despite_a_stuck_receiver(emulator, alice, bob):
    code = """
    config = Config.from_env(timeouts=Timeouts(logout=60.0, exit=60.0))
    chat = Chat(config)

    @chat.message_received.connect
    def stuck(chat, message):
        print("inside", flush=True)
        threading.Event().wait()

    chat.login(int(sys.argv[1]), sys.argv[2])
    say_when_it_waits(signal.SIGTERM)
    chat.wait(signals=(signal.SIGTERM,))
    print("after", chat.state.name)
    """
    with (
        logged_in(bob),
        running(emulator, code, alice) as process,
    ):
        bob.chat.send_private(alice.id, "hello")
        assert process.stdout.readline() == "inside\n"
        process.terminate()
        wait_until(lambda: emulator.sessions(alice.id) == [])
        process.terminate()
        out, err = process.communicate(timeout=TIMEOUT * 2)
    assert (process.returncode, out) == (0, "after CLOSED\n")
    assert err.endswith("abandoned: 1 running receiver (now running: __main__.stuck)\n")


def test_a_script_that_raises_exits_with_its_own_error(emulator, alice):
    code = """
    chat = connect(int(sys.argv[1]), sys.argv[2])
    raise RuntimeError("the script's own")
    """
    status, _, err, _ = run(emulator, code, alice.id, alice.password)
    assert status == 1
    assert err.strip().splitlines()[-1] == "RuntimeError: the script's own"
    assert err.count("Traceback") == 1


def test_an_unused_client_costs_no_thread_and_exits_at_once(emulator):
    code = """
    chat = Chat(Config.from_env())
    chat.message_received.connect(print)
    print(threading.active_count())
    """
    status, out, err, _ = run(emulator, code)
    assert (status, out, err) == (0, "1\n", "")


# --- forks --------------------------------------------------------------------------------------

FORK = """
def print(*words):
    "One write a line: parent and child share the pipe."
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

def in_child(action):
    "Run action in a fork; print what it prints; return its exit code."
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException as error:
            print("child raised", repr(error))
        os._exit(status)
    return os.waitpid(child, 0)[1]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_forked_child_spares_the_parents_connection_and_may_log_in(emulator, alice, bob):
    code = (
        FORK
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads, on purpose
got = threading.Semaphore(0)
chat = connect(int(sys.argv[1]), sys.argv[2])
chat.message_received.connect(lambda chat, message: got.release())
pending = chat.send_private(int(sys.argv[3]), "from the parent")

def child():
    print(chat.state.name, threading.active_count())
    for call in (
        lambda: chat.send_private(int(sys.argv[3]), "no"), chat.ping, chat.relogin, chat.wait,
        lambda: chat.wait_until_ready(1),
    ):
        try:
            call()
        except ForkedError as error:
            print("ForkedError", "log" in str(error))
    chat.logout()
    chat.login(int(sys.argv[1]), sys.argv[2])
    chat.send_private(int(sys.argv[3]), "from the child").result(5)
    print("child", chat.ping() < 5, pending.done())
    chat.logout()

status = in_child(child)
print("parent", chat.state.name, chat.ping() < 5, status, pending.result(5).body)
print("received", got.acquire(timeout=5))
chat.logout()
"""
    )
    with logged_in(bob):
        bob.chat.message_received.connect(lambda chat, message: _answer(chat, message))
        status, out, err, _ = run(emulator, code, alice.id, alice.password, bob.id)
    lines = out.splitlines()
    (warning,) = err.splitlines()
    assert status == 0 and "(message_received)" in warning
    assert lines[:6] == ["CLOSED 1", *["ForkedError True"] * 5]
    assert "child True True" in lines
    assert "parent READY True 0 from the parent" in lines
    assert "received True" in lines
    bodies = [message.body for message in bob.events.of("message_received")]
    assert bodies == ["from the parent", "from the child"]


def _answer(chat, message):
    if "parent" in message.body:
        chat.reply(message, "hello parent")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_fork_while_threads_use_the_connection_leaves_no_lock_held(emulator, alice, bob):
    code = (
        FORK
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
chat = connect(int(sys.argv[1]), sys.argv[2])
stop = threading.Event()

def busy():
    while not stop.is_set():
        chat.send_private(int(sys.argv[3]), "x").result(10)

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()

def child():
    chat.login(int(sys.argv[1]), sys.argv[2])
    chat.ping(5)
    chat.logout()

statuses = [in_child(child) for _ in range(10)]
stop.set()
for thread in threads:
    thread.join()
print(statuses, chat.state.name, chat.ping() < 5)
chat.logout()
"""
    )
    with logged_in(bob):
        status, out, err, _ = run(emulator, code, alice.id, alice.password, bob.id)
    assert (status, out, err) == (0, f"{[0] * 10} READY True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: fork with threads
def test_the_parent_of_a_fork_notices_nothing(alice, bob):
    with logged_in(alice, bob):
        child = os.fork()
        if child == 0:
            os._exit(0 if alice.chat.state is ChatState.CLOSED else 1)
        assert os.waitpid(child, 0)[1] == 0
        alice.chat.send_private(bob.id, "still here").result(TIMEOUT)
        assert bob.events.wait_for("message_received")[0].body == "still here"


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="this platform has no such signal")
def test_an_exception_in_a_signal_handler_ends_wait_cleanly_amid_messages(emulator, alice, bob):
    code = """
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    chat = connect(int(sys.argv[1]), sys.argv[2])

    @chat.message_received.connect
    def answer(chat, message):
        chat.reply(message, "more")

    print("listening", flush=True)
    chat.wait()
    """
    with logged_in(bob):
        for _ in range(5):
            with running(emulator, code, alice) as process:
                before = len(bob.events.of("message_received"))
                for _ in range(30):
                    bob.chat.send_private(alice.id, "more")
                bob.events.wait_for("message_received", before + 5)
                process.terminate()
                _, err = process.communicate(timeout=TIMEOUT)
            assert (process.returncode, err) == (7, "")
