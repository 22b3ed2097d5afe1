"""A forked child shares nothing that is in use with its parent: no lock, connection, event or file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext

import pytest

from connectycube import Chat, DialogRef, ForkedError, Message, Signal
from connectycube import _forks as forks
from connectycube.chat import ids
from connectycube.chat.event_stream import EventStream
from connectycube.chat.ids import new_id
from connectycube.chat.send_handle import SendHandle
from tests.processes.forking import FORKS, holds_in_child
from tests.support.inside import driver_of
from tests.support.paths import ROOT
from tests.support.people import PASSWORD, logged_in
from tests.support.scripted_http import ScriptedHttpServer, answer
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.parametrize(("fork", "owns"), [("with the hook", 1), ("without the hook", 0)])
def test_a_child_owns_no_objects_until_it_has_replaced_them(fork, owns):
    def check():
        before = forks.owns_objects[0]
        forks.check_fork()
        return (before, forks.owns_objects[0]) == (owns, 1)

    assert holds_in_child(check, FORKS[fork])
    assert forks.owns_objects[0] == 1


@pytest.mark.parametrize("fork", FORKS)
def test_a_child_makes_other_ids_than_its_parent(fork, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_633_780_800.0)
    new_id(), new_id()
    parts = set(ids._ids._made[2])
    assert parts and holds_in_child(lambda: new_id()[8:] not in parts, FORKS[fork])


def test_a_handle_settles_in_a_forked_child_despite_the_parents_locks():
    handle = SendHandle("m1", Message(id="m1", body="secret words"), TIMEOUT, nullcontext)
    held, release = threading.Event(), threading.Event()

    def hold():
        with handle._condition:
            held.set()
            release.wait(TIMEOUT)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(TIMEOUT)

    def settles():
        handle.settle_in_child(ForkedError("sent by the parent"))
        return isinstance(handle.exception(), ForkedError)

    settled = holds_in_child(settles)
    release.set()
    holder.join()
    assert settled
    assert not handle.done()


def test_a_signal_connects_in_a_forked_child_despite_the_parents_lock():
    signal, chat = Signal("message_received", Message, "A message arrived."), object()
    held, release = threading.Event(), threading.Event()

    def hold():
        with signal._lock:
            held.set()
            release.wait(TIMEOUT)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(TIMEOUT)

    def receiver(chat, event):
        """Never called."""

    def connects():
        signal.connect(receiver)
        return list(signal.receivers_for(chat)) == [receiver]

    connected = holds_in_child(connects)
    release.set()
    holder.join()
    assert connected


def test_in_a_forked_child_a_stream_is_at_an_end_and_no_new_one_can_be_had(alice):
    def in_child(chat: Chat, events: EventStream) -> bool:
        try:
            list(events)
        except ForkedError:
            events.close()
            try:
                chat.events(chat.message_received, 1)
            except ForkedError:
                return True
        return False

    with logged_in(alice):
        events = alice.chat.events(alice.chat.message_received, TIMEOUT)
        with events._changed, driver_of(alice.chat)._router.streams._lock:
            assert holds_in_child(lambda: in_child(alice.chat, events))
        alice.chat.send_typing(DialogRef.private(alice.id + 1))
        events.close()


CONNECTIONS = textwrap.dedent(
    """
    import os, sys, threading
    from connectycube.rest._http import CallDeadline, HttpClient, Request
    from tests.processes.forking import FORKS

    url, fork = sys.argv[1], FORKS[sys.argv[2]]
    pool = HttpClient()

    def get(path):
        return pool.send(Request(method="GET", url=url + path, deadline=CallDeadline(10))).body

    assert get("/parent") == b"/parent"
    waiting = threading.Thread(target=get, args=("/slow",))
    waiting.start()
    assert get("/is-slow-there") == b"yes"
    child = fork()
    if child == 0:
        status = 1
        try:
            assert get("/child") == b"/child"
            pool.close()
            open_files = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
            open_files = [os.readlink(name) for name in open_files if os.path.lexists(name)]
            assert not [name for name in open_files if name.startswith("socket:")], open_files
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert get("/release") == b"/release"
    waiting.join(10)
    assert get("/parent") == b"/parent"
    pool.close()
    """
)


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks at /proc")
def test_a_forked_child_leaves_the_parents_connections_alone(fork):
    slow, released = threading.Event(), threading.Event()

    def respond(request):
        if request.path == "/slow":
            slow.set()
            released.wait(20)
        elif request.path == "/is-slow-there":
            return answer(200, content=b"yes" if slow.wait(10) else b"no")
        elif request.path == "/release":
            released.set()
        return answer(200, content=request.path.encode())

    with ScriptedHttpServer() as server:
        server.respond(respond)
        done = subprocess.run(
            [sys.executable, "-c", CONNECTIONS, server.url, fork],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    numbers = {request.path: request.connection for request in server.requests}
    assert numbers["/child"] not in (numbers["/parent"], numbers["/slow"])


STORE = """
import gc, os, sys
from connectycube import *
from tests.processes.forking import FORKS

fork, child_uses_it = FORKS[sys.argv[5]], sys.argv[6] == "uses it"
cube = ConnectyCube.from_env(durable=sys.argv[1])
cube.login(login=sys.argv[2], password=sys.argv[3])
cube.chat.login()
child = fork()
if child == 0:
    if child_uses_it:
        try:
            cube.chat.login()
        except DurableStoreError as error:
            print("child", "of its parent" in str(error), flush=True)
    else:
        del cube
        gc.collect()
    sys.exit(0)  # with everything that the end of the interpreter does
assert os.waitpid(child, 0)[1] == 0
handle = cube.chat.send_private(int(sys.argv[4]), "after the fork")
print("parent", handle.result(10).body)
cube.chat.logout()
cube.chat.login()
print("again", cube.chat.ping() >= 0)
cube.chat.logout()
"""


@pytest.mark.parametrize("use", ["uses it", "drops it"])
@pytest.mark.parametrize("fork", FORKS)
def test_a_forked_child_leaves_the_file_to_its_parent(emulator, alice, tmp_path, fork, use):
    emulator.add_user("forker", PASSWORD)
    path = tmp_path / "bot.db"
    command = [sys.executable, "-W", "error", "-c", STORE]
    with logged_in(alice):
        done = subprocess.run(
            [*command, path, "forker", PASSWORD, str(alice.id), fork, use],
            cwd=ROOT,
            env={**os.environ, **emulator.environment()},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        said = ["child True"] if use == "uses it" else []
        assert done.stdout.splitlines() == [*said, "parent after the fork", "again True"]
        assert alice.events.wait_for("message_received")[0].body == "after the fork"


RECEIVERS = """
import os, sys, warnings
from connectycube import *

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads, on purpose
cube = ConnectyCube.from_env()
cube.login(login=sys.argv[1], password=sys.argv[2])

@cube.chat.message_received.connect
def answer(chat, message):
    pass

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

fork()  # nobody has logged in: the child may do so, and then its receivers run
print("before login", file=sys.stderr, flush=True)
cube.chat.login()
fork()
cube.chat.logout()
print("after logout", file=sys.stderr, flush=True)
fork()
"""


def test_a_forked_child_names_the_receivers_that_do_not_run_there(emulator):
    emulator.add_user("preloader", PASSWORD)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RECEIVERS, "preloader", PASSWORD],
        env={**os.environ, **emulator.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, warning, last = done.stderr.splitlines()
    assert (first, last) == ("before login", "after logout")
    assert "forked" in warning and "__main__.answer (message_received)" in warning
    assert "chat.login()" in warning


IMPORTING = """
import os, signal, sys, threading, warnings
from connectycube import ConnectyCube

part, module = sys.argv[1:]
importing, forked = threading.Event(), threading.Event()

class Finder:
    def find_spec(self, name, path, target=None):
        if name == module:
            importing.set()
            forked.wait(0.5)  # for a fork that does not wait for the end of this import

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads, on purpose
cube = ConnectyCube(app_id=7, auth_key="key")
sys.meta_path.insert(0, Finder())
thread = threading.Thread(target=getattr, args=(cube, part))
thread.start()
importing.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(getattr(cube, part) is None)
forked.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("part", "module"),
    [
        ("users", "connectycube.rest._paging"),
        ("users", "connectycube.models.results"),
        ("chat", "connectycube.chat.signals"),
    ],
)
def test_a_child_of_a_fork_in_the_middle_of_an_import_has_the_part(part, module):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTING, part, module],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
