"""The file of dead letters: shared between processes, private, bounded."""

from __future__ import annotations

import logging
import sqlite3
import stat

import pytest
from attrs import evolve

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
from connectycube.chat.durable.records import Identity
from connectycube.chat.durable.serialization import text_of
from connectycube.chat.durable.store import DurableStore
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


WITHOUT_EVENT = text_of(evolve(failure(), event=None))


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


def test_each_change_says_how_many_letters_there_are(letters, monkeypatch):
    monkeypatch.setattr(dead_letters, "_MOST_LETTERS", 2)
    assert [letters.add(source, failure(), KEY) for source in ("s1", "s2", "s1", "s3")] == [
        1,
        2,
        2,
        2,
    ]
    assert letters.remove([letter.id for letter in letters][:1]) == 1
    assert len(letters) == 1


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
    assert (marked.id, marked.failure.event, marked.key) == (one.id, one.event, ("c", 7, "m"))
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


@pytest.mark.parametrize(
    "text",
    ["{}", "{", "[1]", '{"schema": 1, "model": {"a": "b"}}', WITHOUT_EVENT, "[" * 100_000],
    ids=["empty", "cut off", "list", "no model", "no event", "deep"],
)
def test_a_letter_that_cannot_be_read_costs_itself(letters, path, text, capsys):
    for name in ("one", "two", "three"):
        letters.add(name, failure(name), KEY)
    one, two, three = letters
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE letters SET failure = ? WHERE id = ?", (text, two.id))
    connection.close()
    first, damaged, last = letters
    assert (first, last) == (one, three)
    assert (damaged.id, damaged.event, damaged.signal) == (two.id, None, "")
    assert "it holds a letter that is damaged" in str(damaged.error)
    assert damaged.to_dict()["event"] is None
    letters.retry_all()
    assert [marked.id for marked in letters.marked()] == [one.id, three.id]
    assert main(["dead", "list", str(path)]) == 0
    assert "cannot be read: " in capsys.readouterr().out.splitlines()[1]
    letters.drop(two.id)
    assert [letter.id for letter in letters] == [one.id, three.id]


@pytest.mark.parametrize("key", ["", "7", '["c", 7]'])
def test_a_letter_whose_key_cannot_be_read_is_not_retried(letters, key):
    letters.add("one", failure("one"), key)
    letters.add("two", failure("two"), KEY)
    letters.retry_all()
    assert [marked.failure.event.id for marked in letters.marked()] == ["two"]


def test_several_letters_are_changed_at_once_or_none(letters):
    for name in ("one", "two", "three"):
        letters.add(name, failure(name), KEY)
    one, two, _ = letters
    for wrong, why in ((99, "no dead letter in .*: 99"), (2**70, "id must be at most")):
        for change in (letters.retry, letters.drop):
            with pytest.raises(ArgumentValueError, match=why):
                change(one.id, wrong, two.id)
    assert [letter.is_marked for letter in letters] == [False] * 3
    letters.retry(one.id, two.id)
    assert [letter.is_marked for letter in letters] == [True, True, False]
    letters.drop(one.id, two.id)
    assert (len(letters), letters.retry_all(), letters.drop_all()) == (1, 1, 1)
    assert (len(letters), letters.retry_all(), letters.drop_all()) == (0, 0, 0)


def test_the_durable_file_in_place_of_the_letters_is_named(tmp_path):
    durable = tmp_path / "bot.db"
    store = DurableStore(str(durable), Identity(1, 5, "localhost"))
    advice = "dead letters of a file of durable mode are in .*bot.db.dead"
    with pytest.raises(DurableStoreError, match=f"locked.*{advice}"):
        list(DeadLetters(durable))
    store.close()
    with pytest.raises(DurableStoreError, match=f"another program.*{advice}"):
        list(DeadLetters(durable))


# --- connectycube dead ---------------------------------------------------------------------------


def test_the_command_lists_retries_and_drops(letters, path, capsys):
    for name in ("one", "two", "three"):
        letters.add(name, failure(name), KEY)
    one, two, three = letters
    durable = str(path).removesuffix(".dead")
    assert main(["dead", "retry", durable, str(one.id)]) == 0
    assert main(["dead", "drop", durable, str(two.id), str(three.id)]) == 0
    assert main(["dead", "list", durable]) == 0
    retried, dropped, line = capsys.readouterr().out.splitlines()
    assert (retried, dropped) == ("1 letter marked to be retried", "2 letters dropped")
    assert line.startswith(f"{one.id}  {one.at:%Y-%m-%d}")
    assert "message_received  bot.answer  raised 3 times, at last builtins.ValueError: " in line
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


def test_the_command_names_what_is_wrong(letters, path, capsys):
    letters.add("s", failure(), KEY)
    assert main(["dead", "drop", str(path), "7"]) == 1
    assert "connectycube dead: id is that of no dead letter" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_the_command_changes_all_its_letters_or_none(letters, path, action):
    for name in ("one", "two"):
        letters.add(name, failure(name), KEY)
    one, two = letters
    assert main(["dead", action, str(path), str(one.id), "99", str(two.id)]) == 1
    assert list(letters) == [one, two]


@pytest.mark.parametrize("words", [[], ["1", "--all"]])
@pytest.mark.parametrize("action", ["retry", "drop"])
def test_the_command_wants_ids_or_all(letters, path, action, words, capsys):
    letters.add("s", failure(), KEY)
    with pytest.raises(SystemExit) as caught:
        main(["dead", action, str(path), *words])
    assert caught.value.code == 2
    assert "--all" in capsys.readouterr().err
    assert [letter.is_marked for letter in letters] == [False]


@pytest.mark.parametrize("words", [["list"], ["retry", "--all"], ["drop", "1"]])
@pytest.mark.parametrize("name", ["typo.db", "typo.db.dead", "", ".", "/"])
def test_the_command_refuses_a_file_that_is_not_there(tmp_path, monkeypatch, words, name, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["dead", words[0], name, *words[1:]]) == 1
    assert "FILE is no file of durable mode: there is no file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_that_there_are_no_letters(tmp_path, capsys):
    durable = tmp_path / "bot.db"
    DurableStore(str(durable), Identity(1, 5, "localhost")).close()
    assert main(["dead", "list", str(durable)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"no dead letters in {durable}.dead\n")


def test_the_command_prints_one_line_a_letter_whatever_the_error_says(letters, path, capsys):
    steering = "\x1b[2J\nid\r\x85\u2028\ud800\u202e ü"
    given_up = failure()
    letters.add("s", evolve(given_up, error=ValueError(steering)), KEY)
    assert main(["dead", "list", str(path)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert out[:-1].isprintable()
    assert out.endswith(r"builtins.ValueError: \x1b[2J\nid\r\x85\u2028\ud800\u202e ü" "\n")
