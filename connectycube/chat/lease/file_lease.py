"""A lease of one host: the lock of the operating system on a file."""

from __future__ import annotations

import json
import os
import sys
from typing import cast

from ..._containers import AnyDict
from ..._forks import check_fork, register_for_fork
from ...errors import ArgumentTypeError, ArgumentValueError, LeaseStoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FileLease"]

_KIND = "connectycube lease"
_SIZE = 1_024  # bytes of the text, padded, so that it is written in one piece
_LOCKED_BYTE = (
    1 << 30
)  # on Windows a locked byte cannot be read, and the text is to be read by others
_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FileLease:
    """Lets one process of this host at a time listen: ``chat.login(exclusive=FileLease(path))``.

    The system frees the lock when the process that holds it ends, however it ends, so another one takes over
    at once; nothing has to be renewed. A process that is stopped (SIGSTOP), or hangs, keeps the lock. The
    file stays; it names the holder and counts the acquisitions. ``chat.fencing`` begins at 1 again if the
    file is removed, as it is in ``/run`` at a restart of the machine. It must be on a disk of this machine:
    many network file systems lock nothing.

    May be used from any thread. A copy, also in a forked child, is without the lock of the original.

    Args:
        path: The file; it is made if it is missing.

    Raises:
        ArgumentTypeError, ArgumentValueError: ``path`` is no path.

    Example:
        >>> lease = FileLease("bot.lease")
        >>> lease.acquire("this process")  # chat.login(exclusive=lease) does this
        1
        >>> FileLease("bot.lease").acquire("another process") is None
        True
        >>> lease.release("this process")
    """

    seconds: float | None = None
    """None: the lease lasts as long as the process."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ArgumentTypeError(f"path must be a path, not {type(path).__name__}")
        text = os.fspath(path)
        if not isinstance(text, str) or not text or "\0" in text:
            raise ArgumentValueError(f"path must be the path of a file, not {path!r}")
        self.path: str = os.path.abspath(text)  # the process may change its folder later
        self.held_by: str | None = None
        """The holder that the last refused ``acquire`` has found."""
        self._descriptors: dict[str, int] = {}  # by holder
        register_for_fork(self)

    def __reduce__(self) -> tuple[type[FileLease], tuple[str]]:
        return FileLease, (self.path,)

    @property
    def name(self) -> str:
        """The path of the file."""
        return self.path

    def acquire(self, holder: str) -> int | None:
        """Lock the file if no other holder has.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            The next number of the file, which is the fencing number; None if another holder has locked it.

        Raises:
            LeaseStoreError: The file cannot be opened, read or written, or is not that of a lease.
        """
        check_fork()
        if holder in self._descriptors:
            self._close(holder)
        # Noted before it is locked: a child that is forked in between must close it, or it keeps the lock.
        descriptor = self._descriptors[holder] = self._open()
        try:
            # The lock of a file that was removed or replaced since it was opened excludes nobody.
            if _lock(descriptor) and self._is_at_path(descriptor):
                fencing = self._next(descriptor)
                _write(descriptor, fencing, holder)
                return fencing
            self.held_by = cast("str | None", _read(descriptor).get("holder"))
        except OSError as error:
            self._close(holder)
            raise LeaseStoreError(f"the file {self.path} cannot be used: {error}") from None
        except BaseException:
            self._close(holder)
            raise
        self._close(holder)
        return None

    def renew(self, holder: str) -> bool:
        """Ask whether the locked file still is the one that others would lock.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            Whether it is; False without a lock, or if the file was removed or replaced.
        """
        check_fork()
        descriptor = self._descriptors.get(holder)
        return descriptor is not None and self._is_at_path(descriptor)

    def release(self, holder: str) -> None:
        """Free the lock; without one, do nothing.

        Args:
            holder: The text that tells this login apart from all others.
        """
        check_fork()
        self._close(holder)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | _CLOSED_ON_EXEC, 0o600)
        except OSError as error:
            raise LeaseStoreError(f"the file {self.path} cannot be opened: {error}") from None

    def _next(self, descriptor: int) -> int:
        found = _read(descriptor)
        if not found and os.fstat(descriptor).st_size:
            raise LeaseStoreError(f"the file {self.path} is not that of a lease")
        fencing = found.get("fencing", 0)
        if not isinstance(fencing, int):
            raise LeaseStoreError(f"the file {self.path} is damaged: its number is {fencing!r}")
        return fencing + 1

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(descriptor))

    def _close(self, holder: str) -> None:
        descriptor = self._descriptors.pop(holder, None)
        if descriptor is not None:
            os.close(descriptor)  # which frees the lock, as no child has kept the descriptor

    def _after_fork_in_child(self) -> None:
        # Only closed: an explicit unlock would free the lock of the parent, which shares it.
        descriptors, self._descriptors = self._descriptors, {}
        for descriptor in descriptors.values():
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock the file if no one else has; return whether it is locked now."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _read(descriptor: int) -> dict[str, object]:
    """Return what the file says; nothing if it is new, or not that of a lease."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(descriptor, _SIZE))
    except ValueError:
        return {}
    return found if isinstance(found, AnyDict) and found.get("kind") == _KIND else {}


def _write(descriptor: int, fencing: int, holder: str) -> None:
    """Write the number and the holder in one piece: a process that is killed leaves the old or the new."""
    text = json.dumps({"kind": _KIND, "fencing": fencing, "holder": holder})
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode().ljust(_SIZE - 1) + b"\n")
    os.fsync(descriptor)
