"""The file of the emulator's state: whose it is, in which form, and by whom it is used."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from connectycube.emulator.db.database import Database
from connectycube.errors import ArgumentValueError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.db")


def foreign(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_what_was_written_is_there_when_it_is_opened_again(path):
    database = Database(path)
    assert database.fact("colour", "red") == "red"
    database.close()
    database = Database(path)
    assert database.fact("colour", "blue") == "red"
    database.close()


def test_a_database_refuses_a_second_owner_until_the_first_has_closed(path):
    first = Database(path)
    with pytest.raises(OSError, match=r"state\.db is in use by another emulator"):
        Database(path)
    assert first.fact("still", "works") == "works"
    first.close()
    Database(path).close()


def test_an_unknown_format_is_refused_with_both_numbers_and_left_as_it_is(path):
    Database(path).close()
    foreign(path, "PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(ArgumentValueError, match="its format is 99, here it is 2"):
            Database(path)


def test_the_database_of_another_program_is_refused_and_left_as_it_is(path):
    foreign(path, "CREATE TABLE orders (id)")
    with pytest.raises(ArgumentValueError, match="holds no data of an emulator"):
        Database(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
        mode = connection.execute("PRAGMA journal_mode").fetchone()
    assert (names, mode) == ([("orders",)], ("delete",))


def test_a_file_that_is_no_database_is_refused(path):
    with open(path, "w") as file:
        file.write("dear diary " * 1000)
    with pytest.raises(ArgumentValueError, match=r"holds no data of an emulator: .*not a database"):
        Database(path)


def test_a_folder_that_is_not_there_is_an_os_error_that_names_the_file(tmp_path):
    with pytest.raises(OSError, match=r"nowhere/state\.db: unable to open"):
        Database(str(tmp_path / "nowhere" / "state.db"))


def test_a_transaction_inside_another_is_undone_with_it():
    database = Database()

    def outer():
        with database.transaction():
            with database.transaction():
                database.fact("inner", "x")
            raise KeyError

    with pytest.raises(KeyError):
        outer()
    assert database.count("facts", "1") == 0
    database.close()


def test_a_wipe_empties_all_tables_and_lets_ids_start_anew():
    database = Database()
    database.create("CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
    first = database.insert("things", {"name": "a"}).lastrowid
    database.fact("colour", "red")
    database.wipe()
    assert (database.count("things", "1"), database.fact("colour", "blue")) == (0, "blue")
    assert database.insert("things", {"name": "b"}).lastrowid == first
    database.close()
