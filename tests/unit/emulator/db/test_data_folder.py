"""Which folders the emulator takes for its state, and that nothing else in them or behind links changes."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat

import pytest

from connectycube.emulator import Emulator
from connectycube.emulator.db.data_folder import BUCKET, DATABASE, MARKER, claim_folder
from connectycube.emulator.db.database import Database
from connectycube.errors import ArgumentValueError


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def tree(folder):
    """Return every name below a folder, with its content and its mode."""
    return {
        str(path.relative_to(folder)): (
            os.lstat(path).st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("there", [False, True])
def test_a_new_or_empty_folder_is_marked_and_taken_again(data, there):
    if there:
        data.mkdir(0o755)
    for _ in range(2):
        assert claim_folder(str(data)) == os.path.realpath(data)
    assert (data / MARKER).read_text().startswith("This folder belongs to")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_user_may_read_the_state(data, mask):
    before = os.umask(mask)
    try:
        data.mkdir(0o777)
        claim_folder(str(data))
        (data / BUCKET).mkdir(0o777)
        (data / f"{DATABASE}-wal").touch(0o666)
        for name in (DATABASE, MARKER):
            (data / name).chmod(0o644)
        claim_folder(str(data))
    finally:
        os.umask(before)
    assert (mode(data), mode(data / BUCKET)) == (0o700, 0o700)
    assert {mode(data / name) for name in (DATABASE, MARKER, f"{DATABASE}-wal")} == {0o600}


def test_the_files_of_sqlite_get_the_same_mode(data):
    database = Database(os.path.join(claim_folder(str(data)), DATABASE))
    try:
        database.create("CREATE TABLE a (b)")
        assert {mode(path) for path in data.iterdir()} == {0o600}
        assert len(list(data.iterdir())) >= 3
    finally:
        database.close()


@pytest.mark.parametrize(
    "name",
    [
        "bucket/important",
        "bucket/object-0123456789abcdef0123456789abcdef",
        "state.db",
        "state.db-wal",
        ".gitkeep",
        "a\\b",
        "C:\\x",
        "CON",
        "bucket\\object-1",
        f"{MARKER}.bak",
        MARKER.upper(),
        "sub/" + MARKER,
    ],
)
def test_a_folder_with_other_files_is_refused_and_unchanged(data, name):
    (data / name).parent.mkdir(parents=True)
    (data / name).write_text("work")
    data.chmod(0o755)
    before = tree(data)
    with pytest.raises(ArgumentValueError, match=r"not the emulator's own folder.*new or empty"):
        Emulator(data=data).start()
    assert (tree(data), mode(data)) == (before, 0o755)


@pytest.mark.parametrize("name", [MARKER, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", BUCKET])
@pytest.mark.parametrize("to", ["file", "folder", "nothing"])
def test_a_link_in_place_of_its_own_name_is_refused(data, tmp_path, name, to):
    target = tmp_path / "target"
    claim_folder(str(data))
    (data / name).unlink(missing_ok=True)
    if to == "file":
        target.write_text("work")
        target.chmod(0o644)
    elif to == "folder":
        target.mkdir(0o755)
        (target / "important").write_text("work")
    (data / name).symlink_to(target)
    before = tree(tmp_path)
    with pytest.raises(ArgumentValueError, match="is a link or no"):
        claim_folder(str(data))
    assert tree(tmp_path) == before


def test_a_second_name_of_the_database_is_refused(data, tmp_path):
    claim_folder(str(data))
    os.link(data / DATABASE, tmp_path / "other")
    with pytest.raises(ArgumentValueError, match="hard link"):
        claim_folder(str(data))


@pytest.mark.parametrize("name", [MARKER, DATABASE])
def test_a_folder_in_place_of_a_file_is_refused(data, name):
    claim_folder(str(data))
    (data / name).unlink()
    (data / name).mkdir()
    with pytest.raises(ArgumentValueError, match="is a link or no file"):
        claim_folder(str(data))


def test_a_file_in_place_of_the_bucket_is_refused(data):
    claim_folder(str(data))
    (data / BUCKET).write_text("work")
    with pytest.raises(ArgumentValueError, match="is a link or no folder"):
        claim_folder(str(data))


def test_a_file_is_no_folder(data):
    data.write_text("work")
    with pytest.raises(ArgumentValueError, match="data must be a folder"):
        claim_folder(str(data))
    with pytest.raises(OSError, match="cannot hold the emulator's data: Not a directory"):
        claim_folder(str(data / "below"))
    assert data.read_text() == "work"


def test_a_folder_named_by_a_link_is_the_folder_itself(data, tmp_path):
    (tmp_path / "link").symlink_to(data)
    data.mkdir()
    assert claim_folder(str(tmp_path / "link")) == os.path.realpath(data)


@pytest.mark.parametrize(
    ("call", "code"), [("chmod", errno.EPERM), ("open", errno.EROFS), ("open", errno.EACCES)]
)
def test_a_folder_that_cannot_be_used_is_named_with_the_reason(data, monkeypatch, call, code):
    data.mkdir(0o755)

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=f"data cannot hold .*: {os.strerror(code)}"):
        claim_folder(str(data))


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_a_path_that_is_none_is_refused_at_once(text):
    with pytest.raises(ArgumentValueError, match="data"):
        Emulator(data=text)


def test_a_relative_path_stays_where_it_was_given(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    emulator = Emulator(data="data")
    monkeypatch.chdir(tmp_path / "two")
    assert emulator._data == str(tmp_path / "one" / "data")


def written(path):
    """Write a database of an emulator that spans some pages."""
    database = Database(str(path))
    database.create("CREATE TABLE a (b TEXT)")
    for number in range(500):
        database.insert("a", {"b": f"{number}" * 50})
    database.close()


def test_data_of_a_newer_release_is_refused_and_unchanged(data):
    claim_folder(str(data))
    written(data / DATABASE)
    with sqlite3.connect(data / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = tree(data)
    with pytest.raises(ArgumentValueError, match="another release: its format is 99"):
        Database(os.path.join(claim_folder(str(data)), DATABASE))
    assert tree(data)[DATABASE] == before[DATABASE]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
def test_damaged_data_is_refused_with_a_sentence(data, place):
    claim_folder(str(data))
    written(data / DATABASE)
    content = bytearray((data / DATABASE).read_bytes())
    start = int(place * len(content)) // 4096 * 4096
    content[start : start + 4096] = b"\xff" * 4096
    (data / DATABASE).write_bytes(content)
    with pytest.raises(ArgumentValueError, match=r"damaged|no data of an emulator"):
        Database(os.path.join(claim_folder(str(data)), DATABASE))
    assert (data / DATABASE).read_bytes() == content
