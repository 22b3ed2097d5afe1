"""The connections that worker threads keep open are closed when their thread or their listener has ended."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube.contrib.django import databases
from connectycube.contrib.django.databases import KeptConnections
from tests.support.waiting import TIMEOUT


class Connection:
    """A connection as Django has it: for the thread that made it, unless it is shared."""

    def __init__(self):
        self.connection = object()
        self._shared = 0

    def inc_thread_sharing(self):
        self._shared += 1

    def dec_thread_sharing(self):
        self._shared -= 1

    def close(self):
        assert self._shared == 1
        self.connection = None


class Connections(threading.local):
    """One connection for each thread."""

    def __init__(self):
        self.own = Connection()

    def all(self, initialized_only):
        return [self.own]


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(databases, "connections", Connections())
    return KeptConnections()


def receive(kept):
    """Call a receiver that uses the connection of this thread; return the connection."""
    with kept.noted():
        return databases.connections.own


def test_the_end_closes_connections_of_threads_that_live_on(kept):
    with ThreadPoolExecutor(1) as pool:
        connection = pool.submit(receive, kept).result(TIMEOUT)
        assert connection.connection is not None
        kept.close()
        assert connection.connection is None


def test_the_connection_of_a_running_receiver_stays_open(kept):
    inside, go_on = threading.Event(), threading.Event()

    def run():
        with kept.noted(), KeptConnections().noted():
            inside.set()
            assert go_on.wait(TIMEOUT)
        return databases.connections.own

    with ThreadPoolExecutor(1) as pool:
        connection = pool.submit(receive, kept).result(TIMEOUT)
        running = pool.submit(run)
        assert inside.wait(TIMEOUT)
        kept.close()
        assert connection.connection is not None
        go_on.set()
        assert running.result(TIMEOUT) is connection
        kept.close()
        assert connection.connection is None


def test_what_an_ended_thread_has_left_is_closed_after_the_next_call(kept):
    with ThreadPoolExecutor(1) as pool:
        connection = pool.submit(receive, kept).result(TIMEOUT)
    assert connection.connection is not None
    assert receive(kept).connection is not None
    assert connection.connection is None
