"""Forks and the end of the interpreter, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from connectycube import ChatState
from tests.chat.people import PATIENCE, logged_in

PRELUDE = """
import os, sys, threading
from connectycube import *

def connect(user_id, password):
    chat = Chat(Config.from_env())
    chat.login(user_id, password)
    return chat
"""


def command(code, *arguments):
    """What runs a script of ours with warnings as errors."""
    script = PRELUDE + textwrap.dedent(code)
    return [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]


def run(emulator, code, *arguments, timeout=30.0):
    """Run a script against the emulator; return its exit code, output and how long it took."""
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            PRELUDE + textwrap.dedent(code),
            *map(str, arguments),
        ],
        env={**os.environ, **emulator.environment()},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


# --- the end of the interpreter -----------------------------------------------------------------


def test_a_script_that_ends_without_logout_exits_quietly_and_ends_its_session(emulator, alice):
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


def test_a_script_that_ends_in_the_middle_of_a_callback_exits_within_its_bound(
    emulator, alice, bob
):
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
        with subprocess.Popen(
            command(code, alice.id, alice.password),
            env={**os.environ, **emulator.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout.readline() == "listening\n"
            began = time.monotonic()
            bob.chat.send_private(alice.id, "hello")
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert err.endswith(": abandoned: 1 running receiver (now running: __main__.stuck)\n")
        assert time.monotonic() - began < 6


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
def test_a_forked_child_leaves_the_parents_connection_alone_and_can_log_in_itself(
    emulator, alice, bob
):
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
    assert (status, err) == (0, "")
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
def test_a_fork_while_other_threads_use_the_connection_leaves_no_lock_behind(emulator, alice, bob):
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
        alice.chat.send_private(bob.id, "still here").result(PATIENCE)
        assert bob.events.wait_for("message_received")[0].body == "still here"


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="this platform has no such signal")
def test_an_exception_of_a_signal_handler_ends_wait_cleanly_while_messages_pour_in(
    emulator, alice, bob
):
    code = """
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    chat = connect(int(sys.argv[1]), sys.argv[2])

    @chat.message_received.connect
    def answer(chat, message):
        try:
            chat.reply(message, "more")
        except NotConnectedError:
            pass  # the exit has begun

    print("listening", flush=True)
    chat.wait()
    """
    with logged_in(bob):
        for _ in range(5):
            with subprocess.Popen(
                command(code, alice.id, alice.password),
                env={**os.environ, **emulator.environment()},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stdout.readline() == "listening\n"
                before = len(bob.events.of("message_received"))
                for _ in range(30):
                    bob.chat.send_private(alice.id, "more")
                bob.events.wait_for("message_received", before + 5)
                process.terminate()
                _, err = process.communicate(timeout=PATIENCE)
            assert (process.returncode, err) == (7, "")
