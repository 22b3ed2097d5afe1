"""What a chat that logs in says about the options of uWSGI."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest

from connectycube.chat.uwsgi import warn_about_uwsgi

THREADS = "set enable-threads = true"
HOOKS = "set py-call-uwsgi-fork-hooks = true"


def words(monkeypatch, caplog, *, has_threads=1, worker=1, master=4711, processes=4, **options):
    """Return what is logged in a process of a uWSGI with such options."""
    uwsgi = SimpleNamespace(
        has_threads=has_threads,
        opt=options,
        numproc=processes,
        worker_id=lambda: worker,
        masterpid=lambda: master,
    )
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    with caplog.at_level(logging.WARNING, "connectycube.chat"):
        warn_about_uwsgi("connectycube-1")
    return caplog.text


def test_nothing_is_said_outside_of_uwsgi(monkeypatch, caplog):
    monkeypatch.delitem(sys.modules, "uwsgi", raising=False)
    warn_about_uwsgi("connectycube-1")
    assert caplog.text == ""


def test_uwsgi_whose_threads_stop_between_requests_gets_a_warning(monkeypatch, caplog):
    assert THREADS in words(monkeypatch, caplog, has_threads=0)


def test_a_worker_with_threads_gets_no_warning(monkeypatch, caplog):
    assert words(monkeypatch, caplog) == ""


@pytest.mark.parametrize(("master", "processes"), [(4711, 1), (0, 2)])
def test_a_chat_of_a_process_that_will_fork_gets_a_warning(monkeypatch, caplog, master, processes):
    said = words(monkeypatch, caplog, worker=0, master=master, processes=processes)
    assert HOOKS in said
    assert THREADS not in said


def test_a_process_that_never_forks_gets_no_warning(monkeypatch, caplog):
    assert words(monkeypatch, caplog, worker=0, master=0, processes=1) == ""


@pytest.mark.parametrize(
    "option", ["py-call-uwsgi-fork-hooks", "py-call-osafterfork", "lazy-apps", "lazy"]
)
def test_an_option_that_makes_forks_harmless_ends_the_warning(monkeypatch, caplog, option):
    assert words(monkeypatch, caplog, worker=0, **{option: True}) == ""
