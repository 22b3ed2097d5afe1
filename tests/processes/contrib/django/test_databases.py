"""The project on SQLite and PostgreSQL: its own tests, and a database that restarts under the bot."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.interop.postgresql import PostgreSQL
from tests.processes.contrib.django.project import SECONDS, Project
from tests.processes.programs.running import Site, program, running
from tests.support.people import logged_in
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT, wait_until

MESSAGES = 120
RATE = 20.0  # messages a second
AWAY = (1.0, 1.0, 3.0)  # seconds, at each restart

pytestmark = pytest.mark.time_limit(300)


@pytest.fixture
def postgresql():
    """An empty database. User ``postgres`` may enter its folder, but none that pytest makes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with PostgreSQL(Path(folder, "postgresql")) as running:
            yield running


@pytest.fixture
def on_postgresql(emulator, bot_id, tmp_path, postgresql):
    """The project with a migrated PostgreSQL database; its bot is durable."""
    made = Project(
        *(emulator, tmp_path),
        SHOP_DURABLE=str(tmp_path / "bot.db"),
        SHOP_POSTGRESQL=str(postgresql.port),
    )
    made.migrate()
    return made


def run_its_tests(project):
    users = {"USERS": {"BY": "identity", "CACHE": "default"}}
    environment = {"SHOP_CONNECTYCUBE": json.dumps(users)}
    done = project.manage("test", "tests.support.django_project.shop.tests", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 6 tests" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


def test_the_tests_of_a_project_pass_on_sqlite(project):
    run_its_tests(project)


@pytest.mark.referee("postgresql")
@pytest.mark.parametrize("seconds", [0, 600])
def test_the_tests_of_a_project_pass_on_postgresql(on_postgresql, postgresql, seconds):
    on_postgresql.environment["SHOP_CONN_MAX_AGE"] = str(seconds)
    run_its_tests(on_postgresql)
    wait_until(lambda: clients_of(postgresql) == [])


class OneForAll(Site):
    """A site that is up once it says hello."""

    def is_up(self):
        try:
            assert self.program.process.poll() is None, self.program.words
            return self.get("/hello/") == "hello"
        except OSError:
            return False


@pytest.mark.referee("postgresql")
def test_ten_web_workers_make_and_renew_one_session_of_a_user(on_postgresql, emulator):
    port = free_port()
    settings = {
        "SHOP_CACHE": "tokens",
        "SHOP_CONNECTYCUBE": json.dumps(
            {"USERS": {"BY": "password"}, "TIMEOUTS": {"TOKEN_STORE": 60.0, "REST_READ": 120.0}}
        ),
        "DJANGO_SUPERUSER_PASSWORD": "a password",
    }
    on_postgresql.environment.update(settings)
    for arguments in (
        ["createcachetable"],
        ["createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com"],
    ):
        done = on_postgresql.manage(*arguments)
        assert done.returncode == 0, done.stderr
    # A worker takes one request at a time, so that ten requests are in ten processes.
    command = [program("gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "10", "--preload"]
    command += ["tests.support.django_project.wsgi"]
    folder = on_postgresql.folder
    with running(emulator, folder, command, **on_postgresql.environment) as server:
        site = OneForAll(port, server)
        wait_until(site.is_up, "the site", SECONDS)
        workers = set()
        tokens = ask_all(site, workers)
        assert len(tokens) == 1
        emulator.clock.advance(LATER)
        renewed = ask_all(site, workers)
        assert len(renewed) == 1
        assert renewed != tokens
        assert len(workers) > 3, "several workers answered"
        assert server.ends() == 0
        assert "Traceback" not in server.words


LATER = 7_201  # seconds: a session has ended by then


def ask_all(site, workers):
    """Ask ten times at once; return the tokens of the answers."""
    answers = [each.split() for each in site.get_all(["/session/ann/"] * 10)]
    workers.update(process for process, _ in answers)
    return {token for _, token in answers}


def orders(postgresql):
    with psycopg.connect(postgresql.address) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM shop_order ORDER BY id")]


def clients_of(postgresql):
    """What other processes have open to the database: the last query of each."""
    with psycopg.connect(postgresql.address) as connection:
        found = connection.execute(
            "SELECT query FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [query for (query,) in found]


class Sender:
    """A friend who writes numbers to the bot, so many a second."""

    def __init__(self, friend, bot_id):
        self.bodies = [str(number) for number in range(MESSAGES)]
        self._friend = friend
        self._bot_id = bot_id
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(TIMEOUT + MESSAGES / RATE)

    def _run(self):
        began = time.monotonic()
        for number, body in enumerate(self.bodies):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            self._friend.chat.send_private(self._bot_id, body)


def check_answers(friend, bodies):
    try:
        answers = friend.events.wait_for("message_received", len(bodies), timeout=SECONDS)
    except TimeoutError:
        answers = friend.events.of("message_received")
    assert [answer.body for answer in answers] == [f"kept {body}" for body in bodies]


WARNED = "runs again in"
TOLD = (WARNED, "was not renewed", "the messages to send cannot be read for the moment")
"""What a bot without its database writes: one line each."""


@pytest.mark.referee("postgresql")
def test_three_restarts_of_the_database_cost_a_bot_no_message(
    on_postgresql, postgresql, bob, bot_id
):
    with logged_in(bob), on_postgresql.listening() as bot:
        with Sender(bob, bot_id) as sender:
            for seconds in AWAY:
                warnings = bot.words.count(WARNED)
                postgresql.stop()
                time.sleep(seconds)  # it is a time without the database that is tested
                wait_until(lambda before=warnings: bot.words.count(WARNED) > before)
                postgresql.start()
        check_answers(bob, sender.bodies)
        wait_until(lambda: clients_of(postgresql) == [], "the bot has nothing to do")
        assert bot.ends() == 0
        assert orders(postgresql) == sender.bodies
        assert "Traceback" not in bot.words
        lines = bot.words.splitlines()[1:]
        assert [line for line in lines if not any(words in line for words in TOLD)] == []


@pytest.mark.referee("postgresql")
def test_connections_that_are_kept_are_closed_at_the_end(on_postgresql, postgresql, bob, bot_id):
    with logged_in(bob), on_postgresql.listening(SHOP_CONN_MAX_AGE="600") as bot:
        bob.chat.send_private(bot_id, "apples")
        check_answers(bob, ["apples"])
        wait_until(lambda: len(clients_of(postgresql)) == 1, "the worker keeps one")
        postgresql.stop()
        postgresql.start()
        bob.chat.send_private(bot_id, "pears")
        check_answers(bob, ["apples", "pears"])
        assert WARNED not in bot.words, "it was checked before it was used"
        assert bot.ends() == 0
        assert "Warning" not in bot.words
        assert "Traceback" not in bot.words
    wait_until(lambda: clients_of(postgresql) == [])


@pytest.mark.referee("postgresql")
def test_a_database_that_is_away_at_the_start_costs_no_message(
    on_postgresql, postgresql, bob, bot_id
):
    with logged_in(bob):
        bob.chat.send_private(bot_id, "apples").result(TIMEOUT)
        postgresql.stop()
        done = on_postgresql.manage("connectycube_listen")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert done.stderr.startswith("CommandError: the database 'default' does not answer: ")
        postgresql.start()
        with on_postgresql.listening() as bot:
            check_answers(bob, ["apples"])
            assert bot.ends() == 0
    assert orders(postgresql) == ["apples"]


@pytest.mark.referee("postgresql")
def test_sigterm_while_the_database_is_away_leaves_the_rest_to_the_next(
    on_postgresql, postgresql, bob, bot_id
):
    sender = Sender(bob, bot_id)
    with logged_in(bob), ExitStack() as stack:
        quick = {"SHOP_CONNECTYCUBE": json.dumps({"LEASE_SECONDS": 5})}
        with on_postgresql.listening(**quick) as bot:
            stack.enter_context(sender)
            bob.events.wait_for("message_received", 10)
            postgresql.stop()
            wait_until(lambda: WARNED in bot.words)
            assert bot.ends() == 0
            assert "Traceback" not in bot.words
        postgresql.start()
        with on_postgresql.listening() as bot:
            check_answers(bob, sender.bodies)
            assert bot.ends() == 0
            assert "Traceback" not in bot.words
    assert orders(postgresql) == sender.bodies
