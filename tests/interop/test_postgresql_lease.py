"""A lease in PostgreSQL: one of several listeners has it, also while the database comes and goes."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from connectycube import ChatState, LeaseHeldError, LeaseLostError, SqlLease
from connectycube.emulator import Emulator
from tests.interop.postgresql import PostgreSQL
from tests.support.people import PASSWORD, Person
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.referee("postgresql")

SECONDS = 9.0
SHORT = 3.0


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL. User ``postgres`` may enter its folder, but none that pytest makes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with PostgreSQL(Path(folder, "postgresql")) as server:
            yield server


@pytest.fixture(scope="module")
def running() -> Iterator[PostgreSQL]:
    """A server for the module."""
    with postgresql() as server:
        yield server


@pytest.fixture
def own_database() -> Iterator[PostgreSQL]:
    """A server that the test stops."""
    with postgresql() as server:
        yield server


@pytest.fixture
def database(running: PostgreSQL) -> PostgreSQL:
    """The server without a table of leases."""
    execute(running, "DROP TABLE IF EXISTS connectycube_lease")
    return running


@pytest.fixture
def listener(emulator: Emulator) -> Iterator[Callable[[], Person]]:
    """Make clients of one user, none of them logged in to the chat."""
    emulator.add_user("bot", PASSWORD)
    made: list[Person] = []

    def new() -> Person:
        made.append(Person.with_session(emulator, "bot"))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


def lease_in(database: PostgreSQL, seconds: float = SECONDS, **options: Any) -> SqlLease:
    return SqlLease(partial(psycopg.connect, database.address, **options), "bot", seconds)


def execute(database: PostgreSQL, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.address) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def until_of(database: PostgreSQL) -> float:
    ((until,),) = execute(database, "SELECT until FROM connectycube_lease")
    return float(until)


@pytest.mark.parametrize("options", [{}, {"autocommit": True}, {"row_factory": dict_row}])
def test_acquire_renew_and_release_by_the_clock_of_the_database(database, options):
    first, second = lease_in(database, **options), lease_in(database, **options)
    assert first.acquire("first") == 1
    ((left,),) = execute(
        database,
        "SELECT until - EXTRACT(EPOCH FROM clock_timestamp())::float8 FROM connectycube_lease",
    )
    assert SECONDS - 5 < left <= SECONDS
    assert second.acquire("second") is None
    assert second.held_by == "first"
    assert first.renew("first")
    first.release("first")
    assert second.acquire("second") == 2
    assert not first.renew("first")


def test_of_many_that_acquire_at_once_one_succeeds_each_time(database):
    for expected in range(1, 6):
        numbers: list[int] = []
        ready = threading.Barrier(8)

        def acquire(name: str, numbers: list[int], ready: threading.Barrier) -> None:
            lease = lease_in(database)
            ready.wait()
            fencing = lease.acquire(name)
            if fencing is not None:
                numbers.append(fencing)

        threads = [
            threading.Thread(target=acquire, args=(f"{expected}-{n}", numbers, ready))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert numbers == [expected]
        execute(database, "UPDATE connectycube_lease SET until = 0")


def test_a_stopped_process_keeps_no_row_locked(database):
    lease = lease_in(database)
    lease.acquire("first")
    with lease._cursor() as run:
        run("UPDATE connectycube_lease SET until = 0 WHERE name = :name")
        # The statement is done, and the process is stopped before anything else.
        assert lease_in(database, options="-c lock_timeout=5000").acquire("second") == 2


def test_an_account_that_may_not_make_tables_uses_the_one_there(database):
    lease_in(database).acquire("first")
    execute(database, "DROP ROLE IF EXISTS listener")
    execute(database, "CREATE ROLE listener LOGIN")
    execute(database, "GRANT SELECT, INSERT, UPDATE ON connectycube_lease TO listener")
    address = database.address.replace("user=postgres", "user=listener")
    other = SqlLease(partial(psycopg.connect, address), "another lease")
    assert other.acquire("second") == 1
    execute(database, "DROP OWNED BY listener")
    execute(database, "DROP ROLE listener")


def test_a_short_restart_of_the_database_is_not_noticed(own_database, listener):
    bot, other = listener(), listener()
    bot.chat.login(exclusive=lease_in(own_database))
    own_database.stop()
    own_database.start()
    until = until_of(own_database)
    wait_until(lambda: until_of(own_database) > until)
    assert bot.states == [ChatState.CONNECTING, ChatState.AUTHENTICATED, ChatState.READY]
    with pytest.raises(LeaseHeldError) as caught:
        other.chat.login(exclusive=lease_in(own_database), timeout=0.5)
    assert caught.value.holder is not None
    bot.chat.logout()
    other.chat.login(exclusive=lease_in(own_database), timeout=TIMEOUT)
    assert other.chat.fencing == 2


def test_a_long_outage_ends_the_connection_and_whoever_is_first_goes_on(own_database, listener):
    bot = listener()
    mine = lease_in(own_database, SHORT)
    bot.chat.login(exclusive=mine)
    own_database.stop()
    with pytest.raises(LeaseLostError):
        bot.chat.wait()
    again = threading.Thread(
        target=lambda: bot.chat.login(exclusive=mine, timeout=math.inf), daemon=True
    )
    again.start()
    own_database.start()
    again.join(TIMEOUT * 2)
    assert bot.chat.is_ready
    assert bot.chat.fencing == 2
