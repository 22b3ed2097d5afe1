"""A lease in a table: who has it, until when, and with which number, in SQLite and in each paramstyle."""

from __future__ import annotations

import pickle
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectycube import ArgumentTypeError, ArgumentValueError, LeaseStoreError, SqlLease
from connectycube.chat.lease import sql_lease


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease.db"


@pytest.fixture
def lease(path: Path) -> SqlLease:
    return SqlLease(partial(sqlite3.connect, path), "orders")


def execute(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def test_the_first_holder_gets_the_number_one_and_the_next_a_greater_one(lease):
    assert lease.acquire("first") == 1
    lease.release("first")
    assert lease.acquire("second") == 2


def test_another_holder_is_refused_and_learns_who_has_it(lease):
    lease.acquire("first")
    assert lease.acquire("second") is None
    assert lease.held_by == "first"


def test_the_holder_may_acquire_again_with_a_greater_number(lease):
    assert [lease.acquire("first"), lease.acquire("first")] == [1, 2]


def test_leases_of_other_names_do_not_matter(lease, path):
    other = SqlLease(partial(sqlite3.connect, path), "other")
    assert (lease.acquire("first"), other.acquire("second")) == (1, 1)


def test_the_time_of_the_database_decides_when_it_is_free(lease, path):
    lease.acquire("first")
    ((until, now),) = execute(
        path, "SELECT until, (julianday('now') - 2440587.5) * 86400 FROM connectycube_lease"
    )
    assert until - now == pytest.approx(15.0, abs=5.0)
    execute(path, "UPDATE connectycube_lease SET until = ?", now - 0.001)
    assert lease.acquire("second") == 2


def test_a_renewal_begins_the_time_anew(lease, path):
    lease.acquire("first")
    execute(path, "UPDATE connectycube_lease SET until = until - 10")
    ((before,),) = execute(path, "SELECT until FROM connectycube_lease")
    assert lease.renew("first")
    ((after,),) = execute(path, "SELECT until FROM connectycube_lease")
    assert after > before + 5


def test_a_lease_that_was_taken_is_neither_renewed_nor_released(lease, path):
    lease.acquire("first")
    execute(path, "UPDATE connectycube_lease SET until = 0")
    lease.acquire("second")
    assert not lease.renew("first")
    lease.release("first")
    assert lease.renew("second")
    assert lease.acquire("third") is None


def test_a_row_that_is_gone_is_not_renewed_and_made_again(lease, path):
    lease.acquire("first")
    execute(path, "DELETE FROM connectycube_lease")
    assert not lease.renew("first")
    assert lease.acquire("second") == 1


def test_a_table_that_is_gone_is_made_again(lease, path):
    lease.acquire("first")
    execute(path, "DROP TABLE connectycube_lease")
    assert lease.acquire("second") == 1


def test_a_release_before_anything_was_acquired_asks_nothing():
    def connect() -> object:
        raise AssertionError

    SqlLease(connect, "orders").release("me")


def test_of_many_threads_that_acquire_at_once_one_succeeds(path):
    numbers: list[int] = []
    ready = threading.Barrier(8)

    def acquire(number: int) -> None:
        lease = SqlLease(partial(sqlite3.connect, path, timeout=30.0), "orders")
        ready.wait()
        fencing = lease.acquire(f"holder {number}")
        if fencing is not None:
            numbers.append(fencing)

    threads = [threading.Thread(target=acquire, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [1]


def test_each_connection_is_closed_also_after_an_error(path):
    made: list[Closing] = []

    class Closing(sqlite3.Connection):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True
            super().close()

    def connect() -> Closing:
        made.append(sqlite3.connect(path, factory=Closing))
        return made[-1]

    lease = SqlLease(connect, "orders")
    lease.acquire("first")
    lease.acquire("second")
    assert made
    assert all(connection.is_closed for connection in made)


def test_an_error_of_the_database_is_raised_as_it_is():
    def connect() -> object:
        raise sqlite3.OperationalError("no database today")

    with pytest.raises(sqlite3.OperationalError, match="today"):
        SqlLease(connect, "orders").acquire("me")


# --- paramstyles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "text", "values"),
    [
        ("qmark", "a = ? AND b = ? OR a = ?", (1, 2, 1)),
        ("format", "a = %s AND b = %s OR a = %s", (1, 2, 1)),
        ("numeric", "a = :1 AND b = :2 OR a = :3", (1, 2, 1)),
        ("named", "a = :a AND b = :b OR a = :a", {"a": 1, "b": 2}),
        ("pyformat", "a = %(a)s AND b = %(b)s OR a = %(a)s", {"a": 1, "b": 2}),
    ],
)
def test_statements_are_written_in_the_style_of_the_module(style, text, values):
    written = sql_lease._in_style(
        style, "a = :a AND b = :b OR a = :a", {"a": 1, "b": 2, "unused": 3}
    )
    assert written == (text, values)


@pytest.mark.parametrize("style", ["qmark", "named"])
def test_the_styles_that_sqlite_knows_all_work(path, style):
    lease = SqlLease(partial(sqlite3.connect, path), "orders", paramstyle=style)
    assert lease.acquire("first") == 1
    assert lease.renew("first")
    assert lease.acquire("second") is None


class Translated:
    """SQLite as a module with another paramstyle would show it."""

    def __init__(self, path: Path, style: str) -> None:
        self._connection = sqlite3.connect(path)
        self._style = style

    def cursor(self) -> Translated:
        self._cursor = self._connection.cursor()
        return self

    def execute(self, statement: str, values: Any) -> None:
        if self._style == "numeric":  # SQLite takes a number for a name
            self._cursor.execute(statement, {str(n): value for n, value in enumerate(values, 1)})
            return
        names = values if isinstance(values, dict) else {}
        shown = {name: f":{name}" for name in names}
        text = statement % (shown if names else ("?",) * len(values))
        self._cursor.execute(text, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__.get("_cursor"), name, None) or getattr(self._connection, name)

    def close(self) -> None:
        self._connection.close()

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount


@pytest.mark.parametrize("style", ["format", "pyformat", "numeric"])
def test_the_styles_of_other_databases_all_work(path, style):
    lease = SqlLease(lambda: Translated(path, style), "orders", paramstyle=style)
    assert lease.acquire("first") == 1
    assert lease.renew("first")
    assert lease.acquire("second") is None


def test_the_style_comes_from_the_module_of_an_extended_class(path):
    class Own(sqlite3.Connection):
        pass

    assert SqlLease(partial(sqlite3.connect, path, factory=Own), "orders").acquire("me") == 1


def test_what_is_no_connection_is_named():
    with pytest.raises(LeaseStoreError, match=r"connect must return .* not NoneType"):
        SqlLease(lambda: None, "orders").acquire("me")


def test_a_connection_that_is_closed_is_not_taken_for_another_database(path):
    with closing(sqlite3.connect(path)) as shared:
        lease = SqlLease(lambda: shared, "orders")
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            lease.acquire("me")


def test_a_connection_of_an_unknown_module_asks_for_the_style():
    class Pooled:
        def rollback(self) -> None: ...
        def close(self) -> None: ...

    with pytest.raises(LeaseStoreError, match="paramstyle"):
        SqlLease(Pooled, "orders").acquire("me")


# --- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("dbname=x", "orders"), {}, ArgumentTypeError, "connect must be callable, not str"),
        ((dict, 5), {}, ArgumentTypeError, "name must be a string, not int"),
        ((dict, ""), {}, ArgumentValueError, "name must not be empty"),
        ((dict, "x" * 191), {}, ArgumentValueError, "name has 191 characters"),
        ((dict, "orders", "15"), {}, ArgumentTypeError, "seconds must be a number"),
        ((dict, "orders", 0.1), {}, ArgumentValueError, "seconds must be at least 0.5"),
        ((dict, "orders", 1e6), {}, ArgumentValueError, "seconds must be at most"),
        ((dict, "orders"), {"paramstyle": "?"}, ArgumentValueError, "paramstyle must be one of"),
    ],
)
def test_a_wrong_argument_is_named(arguments, options, error, words):
    with pytest.raises(error, match=words):
        SqlLease(*arguments, **options)


def test_a_lease_can_be_sent_to_another_process(path):
    lease = pickle.loads(pickle.dumps(SqlLease(partial(sqlite3.connect, str(path)), "orders", 2)))
    assert (lease.acquire("me"), lease.seconds) == (1, 2.0)
