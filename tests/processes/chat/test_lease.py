"""Two listeners in processes of their own: one is killed, stopped, forked or interrupted, and one is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from connectycube import FileLease
from connectycube.chat.lease import file_lease
from connectycube.emulator import Emulator
from tests.support.people import PASSWORD, Person
from tests.support.waiting import TIMEOUT, wait_until

SECONDS = 6.0  # of a lease in a table; another listener takes over within 1.5 times as long
AT_ONCE = 3.0  # seconds, with the login, on a busy machine
MESSAGES = 40
RATE = 20.0  # messages a second

LISTENER = """
import json, math, os, signal, sqlite3, sys
from functools import partial
from connectycube import ChatError, ConnectyCube, FileLease, LeaseLostError, SqlLease

folder, kind, seconds, store, name, password = sys.argv[1:]
connect = partial(sqlite3.connect, folder + "/lease.db", timeout=30.0)
cursor = folder + "/cursor.json"


class Cursor:  # without a lock, which a process that is stopped would keep
    def load(self):
        if not os.path.exists(cursor):
            return None
        with open(cursor) as file:
            return json.load(file)

    def save(self, value):
        with open(f"{cursor}.{os.getpid()}", "w") as file:
            json.dump(value, file)
        os.replace(file.name, cursor)


def tell(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")  # print() writes a line in two pieces
    sys.stdout.flush()


if kind == "file":
    lease = FileLease(folder + "/bot.lease")
else:
    lease = SqlLease(connect, "bot", float(seconds))
kept = {"durable": folder + "/bot.db"} if store == "durable" else {"cursor_store": Cursor()}
cube = ConnectyCube.from_env(**kept)
cube.login(login=name, password=password)


@cube.chat.message_received.connect
def answer(chat, message):
    tell("handles", message.body)
    if message.body == "wait":
        sys.stdin.readline()
    try:
        chat.reply(message, f"answer to {message.body}").result()
    except ChatError as error:
        tell("refused", type(error).__name__)
        raise


tell("stands by")
while True:
    cube.chat.login(exclusive=lease, timeout=math.inf)
    tell("ready", cube.chat.fencing)
    try:
        cube.chat.wait(signals=(signal.SIGTERM,))
        break
    except LeaseLostError:
        tell("lost")
"""


class Listener:
    """A listener in a process of its own, and the lines that it has written."""

    def __init__(self, emulator: Emulator, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", LISTENER, *arguments, "bot", PASSWORD],
            env={**os.environ, **emulator.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.strip())
                self._changed.notify_all()

    def wait_for(self, line: str, timeout: float = TIMEOUT * 2) -> None:
        """Wait until the process has written a line that begins so."""

        def is_written() -> bool:
            return any(each.startswith(line) for each in self.lines)

        with self._changed:
            assert self._changed.wait_for(is_written, timeout), (line, self.lines)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def go_on(self) -> None:
        """Let the receiver of "wait" return."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def bot_id(emulator: Emulator) -> int:
    return emulator.add_user("bot", PASSWORD)


@pytest.fixture
def alice(emulator: Emulator, bot_id: int) -> Iterator[Person]:
    """A user who writes to the bot."""
    person = Person.new(emulator)
    person.login()
    yield person
    person.chat.logout()


@pytest.fixture
def listener(
    emulator: Emulator, tmp_path: Path, bot_id: int, stack: ExitStack
) -> Callable[..., Listener]:
    """Start a listener that has, or waits for, the lease."""

    def start(kind: str, store: str, line: str, seconds: float = SECONDS) -> Listener:
        made = Listener(emulator, str(tmp_path), kind, str(seconds), store)
        stack.callback(made.close)
        made.wait_for(line)
        return made

    return start


def answers_of(alice: Person, count: int, timeout: float = TIMEOUT * 3) -> list[str]:
    """Wait for so many answers; return all."""
    alice.events.wait(lambda _: len(alice.bodies) >= count, timeout)
    alice.chat.ping()
    return alice.bodies


@pytest.mark.parametrize("store", ["durable", "cursor"])
@pytest.mark.parametrize(("kind", "within"), [("file", AT_ONCE), ("table", SECONDS * 1.5)])
def test_a_killed_listener_is_replaced_and_each_message_answered_once(
    listener, alice, bot_id, kind, within, store
):
    first = listener(kind, store, "ready 1")
    second = listener(kind, store, "stands by")
    bodies = [str(number) for number in range(MESSAGES)]

    def send() -> None:
        began = time.monotonic()
        for number, body in enumerate(bodies):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            alice.chat.send_private(bot_id, body)

    sender = threading.Thread(target=send)
    sender.start()
    alice.events.wait(lambda _: len(alice.bodies) >= MESSAGES // 2)
    first.kill()
    killed = time.monotonic()
    second.wait_for("ready 2")
    took = time.monotonic() - killed
    sender.join(TIMEOUT)
    assert answers_of(alice, MESSAGES) == [f"answer to {body}" for body in bodies]
    assert took < within
    second.signal(signal.SIGTERM)
    assert second.process.wait(TIMEOUT) == 0


def test_a_stopped_listener_that_goes_on_handles_and_sends_nothing(listener, alice, bot_id):
    first = listener("table", "cursor", "ready 1", 2.0)
    second = listener("table", "cursor", "stands by", 2.0)
    alice.chat.send_private(bot_id, "one")
    answers_of(alice, 1)
    alice.chat.send_private(bot_id, "wait")
    first.wait_for("handles wait")
    alice.chat.send_private(bot_id, "queued").result()
    alice.chat.ping()
    first.signal(signal.SIGSTOP)
    alice.chat.send_private(bot_id, "after the stop").result()
    second.wait_for("ready 2")
    second.go_on()  # in case that it handles "wait" as well
    answers_of(alice, 4)
    first.signal(signal.SIGCONT)
    first.go_on()
    first.wait_for("refused LeaseLostError")
    first.wait_for("lost")
    alice.chat.send_private(bot_id, "last").result()
    answers = answers_of(alice, 5)
    texts = ["one", "wait", "queued", "after the stop", "last"]
    assert answers == [f"answer to {text}" for text in texts]
    assert [line for line in first.lines if line.startswith("handles")] == [
        "handles one",
        "handles wait",
    ]
    second.kill()  # the first one stands by again
    first.wait_for("ready 3")


# --- forks ------------------------------------------------------------------------------------------


def test_a_forked_child_neither_keeps_nor_frees_the_lock_of_its_parent(tmp_path):
    path = tmp_path / "bot.lease"
    lease = FileLease(path)
    assert lease.acquire("parent") == 1
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        lease.release("parent")
        os.read(reader, 1)  # lives for longer than the parent has the lock
        os._exit(0)
    try:
        os.close(reader)
        assert FileLease(path).acquire("other") is None
        lease.release("parent")
        other = FileLease(path)
        assert wait_until(lambda: other.acquire("other")) == 2
        other.release("other")
    finally:
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0


def test_a_child_forked_while_the_file_is_locked_does_not_keep_the_lock(tmp_path, monkeypatch):
    path, lock, children = tmp_path / "bot.lease", file_lease._lock, []
    reader, writer = os.pipe()

    def lock_and_fork(descriptor: int) -> bool:
        is_locked = lock(descriptor)
        children.append(os.fork())
        if not children[-1]:
            os.close(writer)
            os.read(reader, 1)  # lives for longer than the parent has the lock
            os._exit(0)
        return is_locked

    lease = FileLease(path)
    monkeypatch.setattr(file_lease, "_lock", lock_and_fork)
    try:
        assert lease.acquire("parent") == 1
        monkeypatch.undo()
        lease.release("parent")
        other = FileLease(path)
        assert wait_until(lambda: other.acquire("other")) == 2
        other.release("other")
    finally:
        os.close(reader)
        os.close(writer)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
