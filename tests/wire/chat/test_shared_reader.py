"""The reader that many connections share: turns to connect, what one connection breaks, and its thread."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from selectors import EVENT_READ
from types import SimpleNamespace

import pytest

from connectycube._deadline import Deadline
from connectycube.chat.connection_thread import Run, Step
from connectycube.chat.shared_reader import SharedReader
from tests.support.waiting import TIMEOUT, wait_until

NAMES = (f"reader-of-test-{number}" for number in itertools.count())


class Connection:
    """Plays a driver whose link is one end of a pair of sockets."""

    def __init__(self, reader, connected=None):
        self.name = next(NAMES)
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.run = Run(1, None)
        self.wants_link, self.is_ready, self.is_over = True, False, False
        self.deadline = None
        self.breaks = None
        self.read, self.errors, self.steps, self.postponed = [], [], 0, 0
        self.has_left = threading.Event()
        self._connected = connected or (lambda connection: connection.become_ready())
        self.place = reader.start(self, self.run)

    def become_ready(self):
        self.run.link = SimpleNamespace(sock=self.sock)
        self.is_ready = True

    def next_step(self, run):
        self.steps += 1
        if self.breaks == "step":
            raise ValueError("a defect")
        if self.is_over:
            return None
        connects = run.link is None and self.wants_link
        return Step(self.deadline, connects, EVENT_READ, self.is_ready)

    def wait_for_turn(self, run):
        self.postponed += 1

    def connect(self, run, waker):
        self._connected(self)

    def serve(self, run):
        if self.breaks == "serve":
            self.sock.recv(100)
            raise ValueError("a defect")
        self.read.append(self.sock.recv(100))
        return self.next_step(run)

    def give_up(self, run, error):
        self.errors.append(str(error))
        self.is_over = True
        self.breaks = None

    def leave(self, run, waker):
        self.sock.close()
        self.peer.close()
        self.has_left.set()

    def end(self):
        self.is_over = True
        self.place.wake()
        assert self.has_left.wait(TIMEOUT)
        self.place.join(TIMEOUT)


@pytest.fixture
def scene():
    """Makes connections that share a reader, and ends them."""
    reader = SharedReader(next(NAMES), 2)
    made = []

    def connection(**options):
        made.append(Connection(reader, **options))
        return made[-1]

    yield SimpleNamespace(reader=reader, connection=connection)
    for each in made:
        each.end()
    reader.join(Deadline(TIMEOUT))
    assert threads_of(reader) == []


def threads_of(reader):
    return [each for each in threading.enumerate() if each.name.startswith(reader._name)]


def test_what_arrives_on_each_socket_is_served_by_one_thread(scene):
    connections = [scene.connection() for _ in range(10)]
    for number, each in enumerate(connections):
        each.peer.send(b"%d" % number)
    wait_until(lambda: all(each.read for each in connections))
    assert [each.read for each in connections] == [[b"%d" % number] for number in range(10)]
    assert len(threads_of(scene.reader)) == 1


def test_connections_wait_for_their_turn_to_connect_in_order(scene):
    order, go = [], threading.Semaphore(0)

    def connect(connection):
        order.append(connection)
        assert go.acquire(timeout=TIMEOUT)
        connection.become_ready()

    connections = [scene.connection(connected=connect) for _ in range(5)]
    wait_until(lambda: len(order) == 2 and all(each.postponed for each in connections[2:]))
    for count in (3, 4, 5):
        go.release()
        wait_until(lambda count=count: len(order) == count)
    go.release(2)
    wait_until(lambda: all(each.is_ready for each in connections))
    assert set(order[:2]) == set(connections[:2]) and order[2:] == connections[2:]


def test_a_turn_is_held_until_the_connection_is_ready(scene):
    def connect(connection):
        connection.run.link = SimpleNamespace(sock=connection.sock)  # not ready yet

    first, second = (scene.connection(connected=connect) for _ in range(2))
    third = scene.connection()
    wait_until(lambda: third.postponed)
    assert not third.is_ready
    first.is_ready = True
    first.place.wake()
    wait_until(lambda: third.is_ready)
    second.end()


@pytest.mark.parametrize("broken", ["step", "serve"])
def test_a_defect_of_one_connection_ends_that_one_alone(scene, broken):
    one, other = scene.connection(), scene.connection()
    wait_until(lambda: one.is_ready and other.is_ready)
    one.breaks = broken
    one.peer.send(b"bad")
    one.place.wake()
    assert one.has_left.wait(TIMEOUT)
    assert one.errors == ["a defect"]
    other.peer.send(b"good")
    wait_until(lambda: other.read)


def test_a_defect_while_connecting_ends_that_connection_alone(scene):
    def connect(connection):
        raise ValueError("a defect")

    one, other = scene.connection(connected=connect), scene.connection()
    assert one.has_left.wait(TIMEOUT)
    assert one.errors == ["a defect"]
    wait_until(lambda: other.is_ready)


def test_a_connection_is_looked_at_when_its_deadline_has_come(scene):
    connection = scene.connection()
    wait_until(lambda: connection.is_ready)
    connection.deadline = time.monotonic() + 0.05
    connection.place.wake()
    wait_until(lambda: time.monotonic() >= connection.deadline)
    before = connection.steps
    connection.deadline = None
    wait_until(lambda: connection.steps > before or connection.steps >= 3)


def test_the_thread_ends_with_the_last_run_and_begins_with_the_next(scene):
    first = scene.connection()
    wait_until(lambda: first.is_ready)
    first.end()
    wait_until(lambda: threads_of(scene.reader) == [])
    second = scene.connection()
    second.peer.send(b"again")
    wait_until(lambda: second.read == [b"again"])
