"""A lease of one host: one holder of the file at a time, whoever it is."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path

import pytest

from connectycube import ArgumentTypeError, ArgumentValueError, FileLease, LeaseStoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.lease"


def test_one_holder_has_the_file_until_it_is_released(path):
    one, two = FileLease(path), FileLease(str(path))
    assert one.acquire("first") == 1
    assert two.acquire("second") is None
    assert two.held_by == "first"
    one.release("first")
    assert two.acquire("second") == 2
    two.release("second")


def test_two_holders_with_one_object_exclude_each_other(path):
    lease = FileLease(path)
    assert lease.acquire("first") == 1
    assert lease.acquire("second") is None
    lease.release("second")
    assert lease.renew("first")
    lease.release("first")


def test_the_holder_may_acquire_again(path):
    lease = FileLease(path)
    assert [lease.acquire("me"), lease.acquire("me")] == [1, 2]
    lease.release("me")


def test_the_file_names_the_holder_and_is_for_its_owner_alone(path):
    lease = FileLease(path)
    lease.acquire("process 5 on web-1 (ab)")
    assert json.loads(path.read_text())["holder"] == "process 5 on web-1 (ab)"
    assert path.stat().st_mode & 0o777 == 0o600
    lease.release("process 5 on web-1 (ab)")
    assert path.exists()


def test_the_number_grows_beyond_the_digits_of_the_one_before(path):
    lease = FileLease(path)
    lease.acquire("a holder with a long name")
    path.write_text(
        json.dumps({"kind": "connectycube lease", "fencing": 9_999, "holder": "x" * 300})
    )
    lease.release("a holder with a long name")
    assert lease.acquire("me") == 10_000
    assert json.loads(path.read_text())["holder"] == "me"
    lease.release("me")


@pytest.mark.parametrize("text", ["SQLite format 3", '{"kind": "x"}', "[]", "{"])
def test_a_file_of_another_program_is_refused_and_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(LeaseStoreError, match="not that of a lease") as caught:
        FileLease(path).acquire("me")
    assert str(path) in str(caught.value)
    assert path.read_text() == text


def test_a_damaged_number_is_refused(path):
    path.write_text('{"kind": "connectycube lease", "fencing": "7"}')
    with pytest.raises(LeaseStoreError, match="damaged"):
        FileLease(path).acquire("me")


@pytest.mark.parametrize("where", ["missing/bot.lease", "."])
def test_a_path_that_cannot_be_opened_is_named(tmp_path, where):
    with pytest.raises(LeaseStoreError, match="cannot be opened"):
        FileLease(tmp_path / where).acquire("me")


@pytest.mark.parametrize("device", ["fifo", "/dev/null", "/dev/full"])
def test_a_file_that_cannot_be_written_is_named(tmp_path, device):
    path = Path(device)
    if not path.is_absolute():
        path = tmp_path / device
        os.mkfifo(path)
    lease = FileLease(path)
    with pytest.raises(LeaseStoreError, match=f"the file {path} cannot be used"):
        lease.acquire("me")
    assert not lease.renew("me")


def test_a_file_that_was_removed_is_not_the_lease_any_more(path):
    lease = FileLease(path)
    lease.acquire("me")
    assert lease.renew("me")
    path.unlink()
    assert not lease.renew("me")
    other = FileLease(path)
    assert other.acquire("other") == 1
    assert not lease.renew("me")
    lease.release("me")
    other.release("other")


def test_a_lock_on_a_file_that_was_replaced_is_no_lease(path, monkeypatch):
    lease, opened = FileLease(path), FileLease._open

    def replaced(self: FileLease) -> int:
        descriptor = opened(self)
        path.unlink()
        path.touch()
        return descriptor

    monkeypatch.setattr(FileLease, "_open", replaced)
    assert lease.acquire("me") is None
    monkeypatch.setattr(FileLease, "_open", opened)
    assert lease.acquire("me") == 1
    lease.release("me")


def test_no_descriptor_is_left(path):
    lease = FileLease(path)
    before = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
    lease.acquire("first")
    FileLease(path).acquire("second")
    lease.release("first")
    lease.release("first")
    after = os.listdir("/proc/self/fd") if before else []
    assert len(after) == len(before)


def test_the_path_is_kept_when_the_folder_changes(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    lease = FileLease(path.name)
    monkeypatch.chdir("/")
    assert lease.name == str(path)


@pytest.mark.parametrize("copied", [copy.copy, lambda lease: pickle.loads(pickle.dumps(lease))])
def test_a_copy_is_without_the_lock(path, copied):
    lease = FileLease(path)
    lease.acquire("me")
    other = copied(lease)
    assert other.acquire("other") is None
    lease.release("me")


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        (5, ArgumentTypeError, "path must be a path, not int"),
        (None, ArgumentTypeError, "path must be a path, not NoneType"),
        ("", ArgumentValueError, "path must be the path of a file"),
        ("a\0b", ArgumentValueError, "path must be the path of a file"),
    ],
)
def test_a_wrong_path_is_named(path, error, words):
    with pytest.raises(error, match=words):
        FileLease(path)
