"""Web servers that fork: each worker has its own connections, and the parent's chat notices nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

from tests.processes.programs.running import LOGIN, PASSWORD, available, program, serving
from tests.support.people import logged_in
from tests.support.waiting import wait_until

MODULE = "tests.processes.programs.webapp"
REQUESTS = 300
WORKERS = "3"

GUNICORN = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "4"],
    "gevent": ["-k", "gevent"],
}
PATCHED_FIRST = "from gevent import monkey; monkey.patch_all()\n"
UWSGI = {
    "no flags": [],
    "py-call-uwsgi-fork-hooks": ["--py-call-uwsgi-fork-hooks"],
    "py-call-osafterfork": ["--py-call-osafterfork"],
    "enable-threads": ["--enable-threads"],
    "enable-threads and fork hooks": ["--enable-threads", "--py-call-uwsgi-fork-hooks"],
    "threads": ["--threads", "4"],
}
LAZY = ["--enable-threads", "--lazy-apps"]
_WITHOUT_HOOKS = {"no flags", "enable-threads", "threads"}
_WARNING = "set py-call-uwsgi-fork-hooks = true, or log in to the chat in a worker"


def gunicorn(*flags):
    """The command that starts gunicorn with the application."""
    address = ["--bind", "127.0.0.1:PORT", "--workers", WORKERS, "--log-level", "warning"]
    return [program("gunicorn"), *address, *flags, f"{MODULE}:application"]


def uwsgi(*flags):
    """The command that starts uWSGI with the application."""
    address = ["--http-socket", "127.0.0.1:PORT", "--master", "--processes", "4", "--die-on-term"]
    # uWSGI has the interpreter of its own build; the packages are those of the tests.
    python = ["--virtualenv", sys.prefix, "--disable-logging", "--module", MODULE]
    return [program("uwsgi"), *address, *python, *flags]


@contextmanager
def site_of(emulator, folder, command, **environment):
    """The application in a web server, and users to ask it for."""
    app = emulator.add_user(LOGIN, PASSWORD)
    users = [emulator.add_user(f"user{number}", PASSWORD) for number in range(20)]
    with serving(emulator, folder, command, **environment) as site:
        yield site, app, users
        assert site.program.ends() == 0
        assert "Traceback" not in site.program.words


def check_answers(site, users):
    """Every answer is that to the request."""
    asked = [users[number % len(users)] for number in range(REQUESTS)]
    said = site.get_all([f"/user/{user}" for user in asked])
    assert said == [str(user) for user in asked]


def check_workers_chat(emulator, site, app):
    """Each worker that is asked logs in by itself, also twice at once."""
    before = len(emulator.sessions(app))
    processes = set(site.get_all(["/chat"] * 24))
    assert all(process.isdecimal() for process in processes), processes
    assert len(available(emulator, app)) == before + len(processes)


def check_no_worker_has_the_parents_chat(emulator, site, app, users, bob):
    """The workers know that the connection is not theirs; that of the parent goes on."""
    parents = wait_until(lambda: available(emulator, app), "the parent's chat")
    assert len(parents) == 1
    assert set(site.get_all(["/state"] * 24)) == {"CLOSED False"}
    check_answers(site, users)
    assert available(emulator, app) == parents
    with logged_in(bob):
        bob.chat.send_private(app, "which process are you?")
        (said,) = bob.events.wait_for("message_received")
        assert said.body == str(site.master)


@pytest.mark.parametrize("kind", GUNICORN)
def test_each_gunicorn_worker_has_its_own_answers_and_chat(emulator, tmp_path, kind):
    command = gunicorn(*GUNICORN[kind])
    with site_of(emulator, tmp_path, command) as (site, app, users):
        check_answers(site, users)
        check_workers_chat(emulator, site, app)


@pytest.mark.parametrize("kind", GUNICORN)
def test_gunicorn_workers_share_no_connection_of_a_preloaded_client(emulator, tmp_path, bob, kind):
    command = gunicorn(*GUNICORN[kind], "--preload")
    with site_of(emulator, tmp_path, command, CHAT_AT_IMPORT="1") as (site, app, users):
        check_no_worker_has_the_parents_chat(emulator, site, app, users, bob)
        check_workers_chat(emulator, site, app)


def test_gevent_may_patch_before_a_client_is_preloaded(emulator, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(PATCHED_FIRST)
    command = gunicorn(*GUNICORN["gevent"], "--preload")
    with site_of(emulator, tmp_path, command) as (site, app, users):
        check_answers(site, users)
        check_workers_chat(emulator, site, app)


@pytest.mark.parametrize("flags", UWSGI)
def test_uwsgi_workers_share_no_connection_of_their_master(emulator, tmp_path, bob, flags):
    command = uwsgi(*UWSGI[flags])
    with site_of(emulator, tmp_path, command, CHAT_AT_IMPORT="1") as (site, app, users):
        check_no_worker_has_the_parents_chat(emulator, site, app, users, bob)
        check_workers_chat(emulator, site, app)
        assert site.program.words.count(_WARNING) == (1 if flags in _WITHOUT_HOOKS else 0)


def test_uwsgi_workers_that_load_the_application_have_a_chat(emulator, tmp_path):
    with site_of(emulator, tmp_path, uwsgi(*LAZY), CHAT_AT_IMPORT="1") as (site, app, users):
        wait_until(lambda: len(available(emulator, app)) == 4, "a session of each worker")
        assert set(site.get_all(["/state"] * 24)) == {"READY True"}
        check_answers(site, users)
