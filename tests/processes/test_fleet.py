"""A fleet in real processes: a signal, the exit of the interpreter, and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest

from connectycube import ChatState, ConnectyCube, Fleet
from tests.processes.forking import FORKS, holds_in_child
from tests.support.people import FAST, PASSWORD, logged_in
from tests.support.waiting import TIMEOUT, wait_until

PRELUDE = """
import signal, sys, threading, time
from connectycube import ConnectyCube, Fleet

password, *logins = sys.argv[1:]
cube = ConnectyCube.from_env()
fleet = Fleet(cube, [{"login": login, "password": password} for login in logins])
fleet.message_received.connect(lambda chat, message: chat.reply(message, "answer"))
assert fleet.login() == ()
"""


@contextmanager
def running(emulator, code, logins):
    """Run a script with a fleet, once it has written a line; it is killed in the end if need be."""
    script = PRELUDE + textwrap.dedent(code)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, PASSWORD, *logins],
        env={**os.environ, **emulator.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "listening\n", process.stderr.read()
            yield process
        finally:
            process.kill()


@pytest.fixture
def logins(emulator):
    names = [f"process-member{number}" for number in range(5)]
    for name in names:
        emulator.add_user(name, PASSWORD)
    return names


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_fleet_that_waits_with_signals_ends_in_good_order(emulator, logins, bob, number):
    code = """
    def watch():
        while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            time.sleep(0.001)
        print("listening", flush=True)

    threading.Thread(target=watch, daemon=True).start()
    fleet.wait(signals=(signal.SIGTERM, signal.SIGINT))
    print("after", list(fleet), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    with logged_in(bob), running(emulator, code, logins) as process:
        member = next(each["user_id"] for each in emulator.sessions() if each["user_id"] != bob.id)
        bob.chat.send_private(member, "question")
        bob.events.wait_for("message_received")
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, out, err) == (0, "after [] True\n", "")
        assert [each["user_id"] for each in emulator.sessions()] == [bob.id]


def test_a_fleet_without_close_ends_with_the_interpreter(emulator, logins):
    with running(emulator, 'print("listening", flush=True)', logins) as process:
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out, err) == (0, "", "")
    assert emulator.sessions() == []


@pytest.fixture
def fleet(emulator, logins):
    with (
        ConnectyCube(config=emulator.config(reconnect=FAST)) as cube,
        Fleet(cube, [{"login": login, "password": PASSWORD} for login in logins]) as made,
    ):
        yield made


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_forked_child_logs_its_fleet_in_again_and_the_parent_goes_on(fleet, fork):
    received = []
    fleet.message_received.connect(lambda chat, message: received.append(message.body))

    def in_child():
        states = {chat.state for chat in fleet}
        assert states == {ChatState.CLOSED}, states
        assert fleet.login(timeout=TIMEOUT) == ()
        one, other, *_ = fleet
        one.send_private(other.user, "in the child").result(TIMEOUT)
        wait_until(lambda: received == ["in the child"])
        assert not fleet.close()
        return True

    assert holds_in_child(in_child, fork)
    one, other, *_ = fleet
    assert all(chat.is_ready for chat in fleet)
    one.send_private(other.user, "in the parent").result(TIMEOUT)
    wait_until(lambda: "in the parent" in received)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_ends_at_once_without_a_byte_of_its_parents_members(fleet, emulator):
    assert holds_in_child(lambda: not fleet.close() and list(fleet) == [])
    assert all(chat.ping() >= 0 for chat in fleet)
