"""The bucket's files: names of its own alone, and never through a link."""

from __future__ import annotations

import os
import stat

import pytest

from connectycube.emulator.storage.object_files import ObjectFiles

NAME = f"object-{'0a' * 16}"
FOREIGN = [
    *("important", "object-", "object-half", f"{NAME}x", f"x{NAME}", NAME.upper(), f"{NAME}\n"),
    *("../state.db", f"../{NAME}", f"sub/{NAME}", f"..\\{NAME}", "", ".", "..", "/etc/passwd"),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "bucket"


@pytest.fixture
def files(folder):
    return ObjectFiles(str(folder))


def test_a_written_file_is_read_and_deleted_and_is_private(files, folder):
    file, name = files.create()
    with file:
        file.write(b"content")
    with files.open(name) as file:
        assert file.read() == b"content"
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files.delete(name)
    files.delete(name)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_name_is_neither_opened_nor_deleted(files, folder, name):
    (folder / "sub").mkdir(parents=True)
    for path in (folder, folder / "sub", folder.parent):
        (path / "state.db").write_text("work")
        (path / NAME).write_text("work")
    with pytest.raises(FileNotFoundError):
        files.open(name)
    files.delete(name)
    assert all((path / NAME).exists() for path in (folder, folder / "sub", folder.parent))
    assert (folder.parent / "state.db").exists()


def test_what_is_in_no_row_is_deleted_but_nothing_foreign(files, folder):
    folder.mkdir()
    foreign = [name for name in FOREIGN if name.strip(".") and "/" not in name]
    for name in foreign:
        (folder / name).write_text("work")
    kept, gone = f"object-{'1b' * 16}", f"object-{'2c' * 16}"
    for name in (kept, gone):
        (folder / name).write_text("bytes")
    (folder / NAME).mkdir()  # of this form, and no file
    (folder / f"object-{'3d' * 16}").symlink_to(folder.parent)
    files.keep_only({kept})
    assert sorted(os.listdir(folder)) == sorted([*foreign, kept, NAME, f"object-{'3d' * 16}"])


@pytest.mark.posix
def test_a_link_is_not_followed(files, folder, tmp_path):
    folder.mkdir()
    (tmp_path / "secret").write_text("work")
    (folder / NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        files.open(NAME)
    files.delete(NAME)
    assert (tmp_path / "secret").read_text() == "work"


def test_a_folder_that_became_a_link_is_not_used(files, folder, tmp_path):
    file, name = files.create()
    file.close()
    other = tmp_path / "other"
    folder.rename(other)
    folder.symlink_to(other)
    with pytest.raises(FileNotFoundError):
        files.create()
    with pytest.raises(FileNotFoundError):
        files.open(name)
    files.delete(name)
    files.keep_only(())
    assert os.listdir(other) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.posix
def test_a_named_pipe_does_not_hold_up_a_reader(files, folder):
    folder.mkdir()
    os.mkfifo(folder / NAME)
    with pytest.raises(FileNotFoundError):
        files.open(NAME)
