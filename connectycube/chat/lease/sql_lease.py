"""A lease of several hosts: one row of a table, in any database with a module of DB-API 2.0 (PEP 249)."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..._checks import check_callable, check_number, check_one_of, check_str
from ..._containers import AnyMapping
from ...errors import LeaseStoreError
from .lease import LEAST_SECONDS, MOST_SECONDS

__all__ = ["SqlLease"]

_STYLES = ("qmark", "numeric", "named", "format", "pyformat")
_CLOCKS = (
    "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",  # PostgreSQL
    "UNIX_TIMESTAMP(SYSDATE(6))",  # MySQL and MariaDB
    "((julianday('now') - 2440587.5) * 86400.0)",  # SQLite
)
"""The time of the database, in unix seconds, when a row is looked at: not when the statement began, which may
have waited for the row. The first one that a database knows is used.
"""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS connectycube_lease (name VARCHAR(190) NOT NULL PRIMARY KEY,"
    " holder VARCHAR(255) NOT NULL, fencing BIGINT NOT NULL, until DOUBLE PRECISION NOT NULL)"
)
_ROW = "INSERT INTO connectycube_lease (name, holder, fencing, until) VALUES (:name, '', 0, 0)"
# The one statement that decides: the database looks at the row and changes it while no one else can.
_ACQUIRE = (
    "UPDATE connectycube_lease SET holder = :holder, fencing = fencing + 1, until = NOW + :seconds"
    " WHERE name = :name AND (until <= NOW OR holder = :holder)"
)
_READ = "SELECT holder, fencing FROM connectycube_lease WHERE name = :name"
_RENEW = (
    "UPDATE connectycube_lease SET until = NOW + :seconds WHERE name = :name AND holder = :holder"
)
_RELEASE = "UPDATE connectycube_lease SET until = 0 WHERE name = :name AND holder = :holder"
_LONGEST_NAME = 190  # characters; an index of MySQL takes no more


class SqlLease:
    """Lets one process of all hosts at a time listen: ``chat.login(exclusive=SqlLease(connect, name))``.

    The lease is a row of the table ``connectycube_lease``, which is made if it is missing: ``name``,
    ``holder``, ``fencing`` (a number that grows by one with each acquisition) and ``until`` (unix seconds by
    the clock of the database; clocks of the hosts do not matter). PostgreSQL, MySQL, MariaDB and SQLite.

    May be used from any thread; each call opens a connection of its own and closes it, so a restart of the
    database leaves no broken one.

    Args:
        connect: Called without arguments; returns a new connection of a DB-API 2.0 module, as
            ``partial(psycopg.connect, "dbname=shop")``, or one of a pool that ``close()`` gives back. Let it
            give up within a third of ``seconds``. The connection is closed after each call.
        name: Which lease it is: one name for all listeners of which one is to be connected.
        seconds: How long the lease lasts without being renewed. After a holder has died, another listener
            has it at most 1.2 times as many seconds later.
        paramstyle: That of the module (``"format"`` …); None: the module of the connection says it.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.

    Example:
        >>> import sqlite3
        >>> from functools import partial
        >>> lease = SqlLease(partial(sqlite3.connect, "shop.db"), "orders bot", seconds=15.0)
        >>> lease.acquire("this process")  # chat.login(exclusive=lease) does this
        1
        >>> lease.release("this process")
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        name: str,
        seconds: float = 15.0,
        *,
        paramstyle: str | None = None,
    ) -> None:
        check_callable("connect", connect)
        if paramstyle is not None:
            check_one_of("paramstyle", paramstyle, _STYLES)
        self.name: str = check_str("name", name, longest=_LONGEST_NAME)
        self.seconds: float | None = check_number(
            "seconds", seconds, least=LEAST_SECONDS, most=MOST_SECONDS
        )
        self.held_by: str | None = None
        """The holder that the last refused ``acquire`` has found."""
        self._connect = connect
        self._style = paramstyle
        self._clock: str | None = None

    def acquire(self, holder: str) -> int | None:
        """Take the row if its time is over; the table and the row are made if they are missing.

        Errors of the database are raised as they are.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            The new number of the row, which is the fencing number; None if another holder has the row.
        """
        if self._clock is None:
            self._clock = self._find_clock()
        found = None
        with contextlib.suppress(
            Exception
        ):  # modules have classes of their own for a missing table
            found = self._take(holder)
        if found is None:
            self._make()
            found = self._take(holder)
        if found is None or found[0] != holder:
            self.held_by = None if found is None else found[0]
            return None
        return int(found[1])

    def renew(self, holder: str) -> bool:
        """Extend the time of the row to ``seconds`` from now.

        Errors of the database are raised as they are.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            Whether the holder still has the row; False if another holder has taken it, or it was deleted.
        """
        with self._cursor() as run:
            changed: int = run(_RENEW, holder=holder).rowcount
        return changed == 1

    def release(self, holder: str) -> None:
        """Let the time be over, unless another holder has taken the row.

        Args:
            holder: The text that tells this login apart from all others.
        """
        if self._clock is not None:  # else no call has come so far as to take it
            with self._cursor() as run:
                run(_RELEASE, holder=holder)

    # --- connections and statements ---

    def _take(self, holder: str) -> Sequence[Any] | None:
        """Take the row if its time is over; return its holder and its number, or None if there is no row."""
        with self._cursor() as run:
            run(_ACQUIRE, holder=holder)
            found = run(_READ).fetchone()
        return tuple(found.values()) if isinstance(found, AnyMapping) else found

    def _make(self) -> None:
        """Make the table and the row, if they are missing: an account may lack the right to make tables."""
        for statement in (_TABLE, _ROW):
            if self._is_made(statement):
                continue
            try:
                with self._cursor() as run:
                    run(statement)
            except Exception:
                if not self._is_made(statement):  # another process may have made it first
                    raise

    def _is_made(self, statement: str) -> bool:
        try:
            with self._cursor() as run:
                return run(_READ).fetchone() is not None or statement is _TABLE
        except Exception:  # noqa: BLE001 - modules have classes of their own for a missing table
            return False

    def _find_clock(self) -> str:
        with self._cursor() as run:
            run("SELECT 1").fetchone()  # a database that is away says so itself, and not of a clock
        failures: list[Exception] = []
        for clock in _CLOCKS:
            try:
                with self._cursor() as run:
                    run(f"SELECT {clock}").fetchone()
                return clock
            except LeaseStoreError:
                raise
            except Exception as error:  # noqa: BLE001 - another database, or one that is away
                failures.append(error)
        raise failures[0]

    @contextmanager
    def _cursor(self) -> Generator[Callable[..., Any]]:
        """Give a function that executes a statement at once, on a connection of its own."""
        connection = self._connect()
        if not callable(getattr(connection, "close", None)):
            kind = type(connection).__name__
            raise LeaseStoreError(f"connect must return a connection of DB-API 2.0, not {kind}")
        restore = _make_autocommit(connection)
        try:
            style = self._style or _style_of(connection)
            cursor = connection.cursor()

            def run(statement: str, **values: object) -> Any:
                values |= {"name": self.name, "seconds": self.seconds}
                cursor.execute(
                    *_in_style(style, statement.replace("NOW", self._clock or "NOW"), values)
                )
                return cursor

            yield run
            connection.commit()  # for modules that know no autocommit
        except BaseException:
            with contextlib.suppress(Exception):  # a connection that is broken cannot roll back
                connection.rollback()
            raise
        finally:
            with contextlib.suppress(Exception):
                restore()
            connection.close()


def _make_autocommit(connection: Any) -> Callable[[], object]:
    """Let each statement be a transaction; return a function that restores the connection, for its pool.

    A process that is stopped between a change and its commit would keep the row locked for all others.
    """
    if callable(getattr(connection, "autocommit", None)):  # MySQLdb, PyMySQL
        before = getattr(connection, "get_autocommit", bool)()
        connection.autocommit(True)
        return partial(connection.autocommit, before)
    # psycopg, mysql.connector and SQLite from Python 3.12 on; then SQLite before.
    for name, value in (("autocommit", True), ("isolation_level", None)):
        if hasattr(connection, name):
            before = getattr(connection, name)
            setattr(connection, name, value)
            return partial(setattr, connection, name, before)
    return bool


def _style_of(connection: object) -> str:
    """Return the paramstyle of the module that a connection, or a class that it extends, comes from."""
    for kind in type(connection).__mro__:
        name = kind.__module__
        while name:
            style = getattr(sys.modules.get(name), "paramstyle", None)
            if style in _STYLES:
                return str(style)
            name = name.rpartition(".")[0]
    raise LeaseStoreError(
        f"the module of {type(connection).__qualname__} does not say its paramstyle:"
        " give SqlLease(…, paramstyle=…)"
    )


def _in_style(
    style: str, statement: str, values: dict[str, object]
) -> tuple[str, dict[str, object] | tuple[object, ...]]:
    """Return a statement with parameters like ``:name`` as a module wants it, and its parameters."""
    names = re.findall(r":(\w+)", statement)
    if style in ("named", "pyformat"):
        shown = "%({})s" if style == "pyformat" else ":{}"
        text = re.sub(r":(\w+)", lambda found: shown.format(found[1]), statement)
        return text, {name: values[name] for name in names}
    if style == "numeric":
        numbers = iter(range(1, len(names) + 1))
        text = re.sub(r":\w+", lambda _: f":{next(numbers)}", statement)
    else:
        text = re.sub(r":\w+", "?" if style == "qmark" else "%s", statement)
    return text, tuple(values[name] for name in names)
