"""Data folder: the folder of ``--data``, which an emulator uses only if the folder is its own.

A developer may name any folder, also one with work in it. The emulator therefore takes a folder that it has
marked, or an empty one, which it marks. In its folder it touches only the names below, and none of them
through a link. Only the user of the process may read its files, which hold tokens and hashes of passwords.
"""

from __future__ import annotations

import contextlib
import os
import stat

from connectycube.errors import ArgumentValueError

__all__ = ["BUCKET", "DATABASE", "MARKER", "claim_folder", "is_folder"]

MARKER = ".connectycube-emulator"
DATABASE = "state.db"
BUCKET = "bucket"
_OF_SQLITE = ("", "-wal", "-shm", "-journal")
_EXPLANATION = (
    "This folder belongs to `connectycube emulator --data`. It writes and deletes the files state.db* and "
    "bucket/object-* in here.\n"
)
_FOR_ALL_OTHERS = 0o077


def claim_folder(path: str) -> str:
    """Return the real path of a folder that is the emulator's own, made and marked if it is new.

    Raises ArgumentValueError if the folder is not the emulator's, OSError if it cannot be used.
    """
    real = os.path.realpath(path)
    try:
        if os.path.lexists(real) and not os.path.isdir(real):
            raise ArgumentValueError(f"data must be a folder, and {path} is none")
        os.makedirs(real, 0o700, exist_ok=True)
        _check_owner(real, path)
        _make_private(real, 0o700)
        _check_bucket(os.path.join(real, BUCKET))
        for ending in _OF_SQLITE:
            _check_file(os.path.join(real, DATABASE + ending))
        _make_file(os.path.join(real, DATABASE))  # SQLite gives its other files the same mode
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"{path} cannot hold the emulator's data: {reason}") from error
    return real


def _check_owner(real: str, path: str) -> None:
    marker = os.path.join(real, MARKER)
    if not os.path.lexists(marker):
        if os.listdir(real):
            raise ArgumentValueError(
                f"{path} is not the emulator's own folder: it holds other files, and no file {MARKER}. "
                "Name a folder that is new or empty"
            )
        _make_file(marker, _EXPLANATION)
    _check_file(marker)


def _make_file(path: str, text: str = "") -> None:
    # A file that exists is never opened: closing a file of SQLite ends the locks of this process on it.
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _check_file(path: str) -> None:
    """Refuse a name that is a link or another name of a file; make the file private."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise ArgumentValueError(f"{path} is a link or no file; the emulator does not use it")
    if found.st_nlink > 1:
        raise ArgumentValueError(f"{path} has another name, too (a hard link): make it a copy")
    _make_private(path, 0o600)


def _check_bucket(path: str) -> None:
    if os.path.lexists(path):
        if not is_folder(path):
            raise ArgumentValueError(f"{path} is a link or no folder; the emulator does not use it")
        _make_private(path, 0o700)


def is_folder(path: str) -> bool:
    """Whether a path is a folder itself, and no link to one."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISDIR(os.lstat(path).st_mode)
    return False


def _make_private(path: str, mode: int) -> None:
    # os.chmod() raises for the file or folder of another user, and its error says why.
    if stat.S_IMODE(os.lstat(path).st_mode) & _FOR_ALL_OTHERS:
        os.chmod(path, mode)
