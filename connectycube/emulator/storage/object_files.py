"""Object files: the bytes of the bucket's objects, as files of one folder.

Every file has a name that this module gave it. Other names are never opened or deleted, and a link is never
followed, whatever the folder or the database holds.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Collection
from typing import BinaryIO

from ..db.data_folder import is_folder

__all__ = ["ObjectFiles"]

_OURS = re.compile(r"object-[0-9a-f]{32}")
# A link is not followed, and a FIFO is not waited for.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class ObjectFiles:
    """The files of a folder, which is made when the first one is written."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def create(self) -> tuple[BinaryIO, str]:
        """Return a new file, open for writing, and its name."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)
        name = f"object-{secrets.token_hex(16)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | _SAFELY
        return open(os.open(self._path(name), flags, 0o600), "wb"), name

    def open(self, name: str) -> BinaryIO:
        """Return a file, open for reading."""
        file = open(os.open(self._path(name), os.O_RDONLY | _SAFELY), "rb")  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise FileNotFoundError(f"{name} is no file")
        return file

    def delete(self, name: str) -> None:
        """Delete a file, if it is there.

        Windows deletes no file that is being read. It is out of the database then, and the next start deletes
        it.
        """
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            pass
        except PermissionError:
            if os.name != "nt":
                raise

    def keep_only(self, names: Collection[str]) -> None:
        """Delete the files of this module, except those with these names."""
        if is_folder(self._folder):
            for name in os.listdir(self._folder):
                if _OURS.fullmatch(name) and name not in names:
                    self._delete_if_file(name)

    def _delete_if_file(self, name: str) -> None:
        path = os.path.join(self._folder, name)
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)

    def _path(self, name: str) -> str:
        if not _OURS.fullmatch(name) or not is_folder(self._folder):
            raise FileNotFoundError(f"{name} is no file of the bucket")
        return os.path.join(self._folder, name)
