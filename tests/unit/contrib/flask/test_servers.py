"""What a web server says of this process: its threads, and that it ends."""

from __future__ import annotations

import os
import signal
import sys
from types import SimpleNamespace

import pytest

from connectycube.contrib.flask import servers


class Worker:
    """As gunicorn's worker: it handles SIGTERM itself."""

    def __init__(self, threads):
        self.alive = True
        self.cfg = SimpleNamespace(threads=threads)

    def handle_exit(self, number, frame):
        self.alive = False


Worker.__module__ = "gunicorn.workers.gthread"


@pytest.fixture
def worker():
    made = Worker(8)
    before = signal.signal(signal.SIGTERM, made.handle_exit)
    yield made
    signal.signal(signal.SIGTERM, before)


THREADS = {"wsgi.multithread": True}


def test_a_worker_of_gunicorn_ends_when_it_is_told_to(worker):
    assert not servers.is_ending()
    signal.raise_signal(signal.SIGTERM)
    assert servers.is_ending()


def test_a_worker_whose_server_was_killed_ends(worker):
    worker.ppid = os.getppid()
    assert not servers.is_ending()
    worker.ppid += 1
    assert servers.is_ending()


def test_one_thread_of_gunicorn_is_left_for_other_requests(worker):
    assert servers.most_streams(THREADS) == 7
    assert servers.most_streams({}) == 0


def test_a_server_that_says_nothing_does_not_end_and_has_no_bound():
    assert not servers.is_ending()
    assert servers.most_streams(THREADS) is None
    assert servers.most_streams({"wsgi.multithread": False}) == 0


def test_a_greenlet_for_each_request_has_no_bound(monkeypatch, worker):
    monkeypatch.setattr(Worker, "__module__", "gunicorn.workers.ggevent")
    assert servers.most_streams(THREADS) is None


@pytest.mark.parametrize(
    ("options", "most"), [({"threads": b"4"}, 3), ({"threads": [b"2", b"8"]}, 7), ({}, None)]
)
def test_uwsgi_says_how_many_threads_it_has(monkeypatch, options, most):
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt=options))
    assert servers.most_streams(THREADS) == most
