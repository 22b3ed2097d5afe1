"""The file of dead letters: shared between processes, private, bounded."""

from __future__ import annotations

import logging
import sqlite3
import stat

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    DeadLetters,
    DurableStoreError,
    Message,
    ReceiverGaveUp,
    SerializedError,
)
from connectycube.chat.durable import dead_letters
from connectycube.cli import main

KEY = '["c", 7, "m"]'


def failure(name: str = "m", body: str = "hello") -> ReceiverGaveUp:
    return ReceiverGaveUp(
        event=Message(id=name, body=body),
        signal="message_received",
        receiver="bot.answer",
        error=ValueError("wrong"),
        attempts=3,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bot.db.dead"


@pytest.fixture
def letters(path) -> DeadLetters:
    return DeadLetters(path)


def test_without_a_letter_there_is_no_file(letters, path):
    assert list(letters) == []
    assert len(letters) == 0
    with pytest.raises(ArgumentValueError, match="id is that of no dead letter"):
        letters.retry(1)
    assert not path.exists()


def test_letters_are_there_for_every_process_in_order(letters, path):
    letters.add("s1", failure("one"), KEY)
    letters.add("s2", failure("two"), KEY)
    first, second = DeadLetters(str(path))
    assert (first.event, second.event) == (failure("one").event, failure("two").event)
    assert (first.signal, first.receiver, first.attempts) == ("message_received", "bot.answer", 3)
    assert isinstance(first.error, SerializedError)
    assert (str(first.error), first.error.class_name) == ("wrong", "builtins.ValueError")
    assert first.at.tzinfo is not None
    assert first.id < second.id
    assert len(letters) == 2


def test_the_file_is_for_its_owner_alone(letters, path):
    letters.add("s", failure(), KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dropped_letter_is_gone_and_its_id_is_never_used_again(letters):
    letters.add("s1", failure(), KEY)
    [letter] = letters
    letters.drop(letter.id)
    assert list(letters) == []
    letters.add("s2", failure(), KEY)
    assert next(iter(letters)).id > letter.id
    with pytest.raises(ArgumentValueError, match=f"no dead letter in .*: {letter.id}"):
        letters.drop(letter.id)


def test_a_letter_to_be_retried_is_marked_until_it_is_removed(letters):
    letters.add("s1", failure("one"), KEY)
    letters.add("s2", failure("two"), KEY)
    one, _ = letters
    letters.retry(one.id)
    assert [letter.is_marked for letter in letters] == [True, False]
    [marked] = letters.marked()
    assert (marked.id, marked.failure.event, marked.key) == (one.id, one.event, KEY)
    letters.remove([one.id])
    assert letters.marked() == []


@pytest.mark.parametrize("wrong", ["1", None, 1.0, True])
def test_an_id_is_a_number(letters, wrong):
    with pytest.raises(ArgumentTypeError, match="id must be an int"):
        letters.drop(wrong)


@pytest.mark.parametrize(
    ("name", "most", "kept"), [("_MOST_LETTERS", 3, 3), ("_MOST_BYTES", 2_000, 2)]
)
def test_beyond_the_bounds_the_oldest_is_dropped_with_a_warning(
    letters, monkeypatch, caplog, name, most, kept
):
    monkeypatch.setattr(dead_letters, name, most)
    body = "x" * (most // 3 if name == "_MOST_BYTES" else 1)
    for number in range(kept):
        letters.add(f"s{number}", failure(str(number), body), KEY)
    assert caplog.records == []
    letters.add("new", failure("new", body), KEY)
    assert len(letters) == kept
    assert [letter.event.id for letter in letters][-1] == "new"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "the oldest 1 dead letters were dropped" in record.getMessage()


def test_one_letter_beyond_all_bounds_is_kept(letters, monkeypatch):
    monkeypatch.setattr(dead_letters, "_MOST_BYTES", 10)
    for name in ("one", "two"):
        letters.add(name, failure(name), KEY)
    assert [letter.event.id for letter in letters] == ["two"]


def test_a_file_of_another_program_is_refused_and_left_alone(letters, path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (n)")
    connection.close()
    before = path.read_bytes()
    for use in (lambda: list(letters), lambda: letters.add("s", failure(), KEY)):
        with pytest.raises(DurableStoreError, match="a database of another program") as caught:
            use()
        assert caught.value.path == str(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_or_of_a_later_release_is_refused(letters, path):
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(DurableStoreError, match="not a database"):
        list(letters)
    path.unlink()
    letters.add("s", failure(), KEY)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DurableStoreError, match="its version is 9"):
        letters.drop(1)


def test_a_damaged_letter_is_an_error(letters, path):
    letters.add("s", failure(), KEY)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE letters SET failure = '{}'")
    connection.close()
    with pytest.raises(DurableStoreError, match="it holds a letter that is damaged"):
        list(letters)


# --- connectycube dead ---------------------------------------------------------------------------


def test_the_command_lists_retries_and_drops(letters, path, capsys):
    for name in ("one", "two", "three"):
        letters.add(name, failure(name), KEY)
    one, two, three = letters
    durable = str(path).removesuffix(".dead")
    assert main(["dead", "retry", durable, str(one.id)]) == 0
    assert main(["dead", "drop", durable, str(two.id), str(three.id)]) == 0
    assert main(["dead", "list", durable]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{one.id}  {one.at:%Y-%m-%d}")
    assert "message_received  bot.answer  raised 3 times, at last " in line
    assert line.endswith("wrong  (to be retried)")
    assert main(["dead", "list", str(path), "--json"]) == 0
    assert '"body": "hello"' in capsys.readouterr().out


def test_the_command_takes_all_letters_at_once(letters, path):
    for name in ("one", "two"):
        letters.add(name, failure(name), KEY)
    assert main(["dead", "retry", str(path), "--all"]) == 0
    assert [letter.is_marked for letter in letters] == [True, True]
    assert main(["dead", "drop", str(path), "--all"]) == 0
    assert list(letters) == []


def test_the_command_names_what_is_wrong(path, capsys):
    assert main(["dead", "drop", str(path), "7"]) == 1
    assert "connectycube dead: id is that of no dead letter" in capsys.readouterr().err
