"""A chat that was connected before a fork: the child knows that it is not its own, the parent goes on.

Also if the fork hook did not run, as in uWSGI's workers.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest

from connectycube import (
    Chat,
    ChatState,
    ChatTimeoutError,
    DialogRef,
    FileLease,
    ForkedError,
    NotConnectedError,
)
from tests.processes.forking import FORKS, holds_in_child
from tests.support.inside import driver_of, signals_of
from tests.support.observing import Recorder
from tests.support.paths import ROOT
from tests.support.people import PASSWORD, Person, logged_in, settled
from tests.support.waiting import TIMEOUT

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS),
]

ROOM = DialogRef.room("5d5e2d8cca8bf43ca4d51a5b")
CALLS = {
    "ping": lambda chat: chat.ping(),
    "relogin": lambda chat: chat.relogin(),
    "wait": lambda chat: chat.wait(),
    "wait_until_ready": lambda chat: chat.wait_until_ready(),
    "events": lambda chat: chat.events(chat.message_received, 1),
    "wait_for": lambda chat: chat.wait_for(chat.message_received, 1),
    "send_private": lambda chat: chat.send_private(777, "hello"),
    "send_typing": lambda chat: chat.send_typing(DialogRef.private(777)),
    "join": lambda chat: chat.join(ROOM),
    "leave": lambda chat: chat.leave(ROOM),
    "mark_inactive": lambda chat: chat.mark_inactive(),
    "contacts": lambda chat: chat.contacts.list(),
    "privacy": lambda chat: chat.privacy.block(777),
}


def raises_forked_error(call, chat):
    """Whether the call says that this process is a fork."""
    try:
        call(chat)
    except ForkedError:
        return True
    return False


@pytest.fixture
def locked(alice):
    """A chat that is READY, while another thread holds the locks of its connection and its signals."""
    held, release = threading.Event(), threading.Event()

    def hold(locks):
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            assert release.wait(TIMEOUT * 3), "the fork waits for a lock"

    with logged_in(alice):
        driver = driver_of(alice.chat)
        locks = [driver._mutex, driver.dispatcher._lock, driver.history_reader._woken]
        locks += [signal._lock for signal in signals_of(alice.chat)]
        holder = threading.Thread(target=hold, args=(locks,))
        holder.start()
        assert held.wait(TIMEOUT)

        def let_go():
            release.set()
            holder.join()

        yield alice.chat, let_go
        let_go()


def test_every_call_raises_forked_error_whatever_lock_the_parent_holds(locked, fork):
    chat, let_go = locked

    def in_child():
        return all(raises_forked_error(call, chat) for call in CALLS.values())

    held = holds_in_child(in_child, fork)
    let_go()
    assert held
    assert chat.ping() >= 0


@pytest.mark.parametrize(
    "look",
    [
        lambda chat: chat.state is ChatState.CLOSED,
        lambda chat: not chat.is_ready,
        lambda chat: chat.statistics().state is ChatState.CLOSED,
        lambda chat: not chat.logout(),
        lambda chat: not chat.destroy() and chat.user is None,
        lambda chat: (
            chat.message_received.connect(lambda chat, message: None) and not chat.is_ready
        ),
    ],
    ids=["state", "is_ready", "statistics", "logout", "destroy", "connect"],
)
def test_the_first_look_at_a_parents_chat_in_a_child_says_closed(locked, fork, look):
    chat, let_go = locked
    held = holds_in_child(lambda: look(chat), fork)
    let_go()
    assert held
    assert chat.ping() >= 0


def test_a_handle_of_the_parent_is_settled_in_the_child(alice, bob, proxy, fork):
    with logged_in(alice):
        handle = alice.chat.send_private(bob.id, "hello")
        handle.result()

        def in_child():
            return handle.done() and handle.result() is not None

        assert holds_in_child(in_child, fork)


def test_several_threads_of_a_child_replace_the_parents_objects_once(alice, fork):
    def in_child():
        said, start = [], threading.Barrier(8)

        def look():
            start.wait()
            said.append((alice.chat.state, alice.chat._resource))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(said) == 8 and len(set(said)) == 1 and said[0][0] is ChatState.CLOSED

    with logged_in(alice):
        assert holds_in_child(in_child, fork)


def test_a_child_logs_in_by_itself_while_its_parent_stays_connected(emulator, alice, fork):
    def in_child():
        alice.chat.login(alice.id, PASSWORD)
        is_own = alice.chat.ping() >= 0 and alice.chat.is_ready
        return is_own and not alice.chat.logout()

    with logged_in(alice):
        before = emulator.sessions(alice.id)
        assert holds_in_child(in_child, fork)
        assert alice.chat.ping() >= 0
        assert emulator.sessions(alice.id) == before


def test_a_child_begins_with_statistics_of_its_own(alice, bob, fork):
    def in_child():
        statistics = alice.chat.statistics()
        return (
            statistics.state is ChatState.CLOSED
            and isinstance(statistics.last_reason, ForkedError)
            and (statistics.sent, statistics.outbound_unacknowledged, statistics.own_echoes)
            == (0, 0, 0)
        )

    with logged_in(alice):
        alice.chat.send_private(bob.id, "x").result(TIMEOUT)
        assert holds_in_child(in_child, fork)
        assert alice.chat.statistics().sent == 1


def test_a_child_has_no_number_of_the_lease_of_its_parent(alice, fork, tmp_path):
    lease = FileLease(tmp_path / "alice.lease")
    alice.chat.login(alice.id, PASSWORD, exclusive=lease)
    assert holds_in_child(lambda: alice.chat.fencing is None, fork)
    assert alice.chat.fencing == 1
    alice.chat.logout()


def test_an_observer_goes_on_in_a_child(emulator, alice, fork):
    observer = Recorder()
    watched = Person(alice.id, emulator.config(observer=observer))

    def in_child():
        del observer.calls[:]
        watched.login()
        watched.chat.logout()
        states = [call.arguments[1].state for call in observer.of("state_changed")]
        return states[0] is ChatState.CONNECTING and states[-1] is ChatState.CLOSED

    with logged_in(watched):
        settled(watched)
        before = len(observer.calls)
        assert holds_in_child(in_child, fork)
        assert watched.chat.ping() >= 0
        assert len(observer.calls) == before


EXIT = """
import logging, os, sys
from connectycube import *
from tests.processes.forking import FORKS

chat = Chat(Config.from_env())
lost = []
logging.disable()  # the warning about this receiver
chat.state_changed.connect(lambda chat, change: lost.extend([change.reason] if change.reason else []))
chat.login(int(sys.argv[1]), sys.argv[2])
child = FORKS[sys.argv[3]]()
if child == 0:
    sys.exit(0)  # with everything that the end of the interpreter does, before anything noticed the fork
assert os.waitpid(child, 0)[1] == 0
print(chat.ping() >= 0, chat.is_ready, lost)
"""


def test_the_exit_of_a_child_does_not_end_the_chat_of_its_parent(emulator, alice, fork):
    name = next(name for name, one in FORKS.items() if one is fork)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXIT, str(alice.id), PASSWORD, name],
        cwd=ROOT,
        env={**os.environ, **emulator.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "True True []\n")


LOAD = """
import os, signal, sys, threading
from connectycube import *
from tests.processes.forking import FORKS, SECONDS

other, fork = int(sys.argv[3]), FORKS[sys.argv[4]]
cube = ConnectyCube.from_env()
cube.login(login=sys.argv[1], password=sys.argv[2])
cube.chat.login()
is_over, handles, failures = threading.Event(), [], []

def send():
    while not is_over.is_set():
        handles.append(cube.chat.send_private(other, "under load"))
        handles[-1].result()

def ask():
    while not is_over.is_set():
        if cube.users.get(other).id != other:
            failures.append("another answer")

def in_child(number):
    assert not cube.chat.is_ready
    assert cube.users.get(other).id == other
    if number % 10 == 0:
        cube.chat.login()
        cube.chat.send_private(other, "of a child").result()
        cube.chat.logout()

threads = [threading.Thread(target=target) for target in (send, send, ask)]
for thread in threads:
    thread.start()
for number in range(50):
    child = fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(SECONDS)
            in_child(number)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    if status:
        failures.append(f"child {number}: {status}")
is_over.set()
for thread in threads:
    thread.join()
for handle in handles:
    handle.result()
print(failures, cube.chat.is_ready, len(handles) > 50)
"""


def test_fifty_forks_while_threads_send_and_ask_disturb_nobody(emulator, alice, fork):
    emulator.add_user("forker", PASSWORD)
    name = next(name for name, one in FORKS.items() if one is fork)
    with logged_in(alice):
        done = subprocess.run(
            [sys.executable, "-c", LOAD, "forker", PASSWORD, str(alice.id), name],
            cwd=ROOT,
            env={**os.environ, **emulator.environment()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[] True True\n")


@contextmanager
def log_that_a_thread_writes_to():
    """The package logs to a full pipe that nobody reads, and a thread is inside a write to it."""
    reader, writer = os.pipe()
    with open(reader, "rb") as read_end, open(writer, "w", encoding="utf-8") as stream:
        handler = logging.StreamHandler(stream)
        thread = threading.Thread(target=lambda: stream.buffer.write(b"x" * 1_000_000))
        thread.start()
        assert select.select([read_end], [], [], TIMEOUT)[0]
        logging.getLogger("connectycube").addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger("connectycube").removeHandler(handler)
            read_end.read(1_000_000)
            thread.join()


def test_a_fork_waits_for_no_log_that_another_thread_writes_to(alice, fork):
    with logged_in(alice):
        settled(alice)
        assert holds_in_child(lambda: alice.chat.state is ChatState.CLOSED, FORKS["with the hook"])
        with log_that_a_thread_writes_to():
            assert holds_in_child(lambda: alice.chat.state is ChatState.CLOSED, fork)


def test_a_stream_of_a_child_does_not_end_when_the_fork_is_noticed(emulator, alice, fork):
    def in_child():
        chat = Chat(emulator.config())
        events = chat.events(chat.message_received, TIMEOUT)
        assert alice.chat.state is ChatState.CLOSED
        chat.login(alice.id, PASSWORD)
        with pytest.raises(ChatTimeoutError):
            events.next(timeout=0.0)
        return not chat.logout()

    with logged_in(alice):
        assert holds_in_child(in_child, fork)


def test_a_stream_of_the_parent_is_at_an_end_in_a_child(alice, fork):
    def in_child(events):
        try:
            events.next()
        except NotConnectedError as error:
            return isinstance(error, ForkedError)
        return False

    with logged_in(alice), alice.chat.events(alice.chat.message_received, TIMEOUT) as events:
        assert holds_in_child(lambda: in_child(events), fork)
