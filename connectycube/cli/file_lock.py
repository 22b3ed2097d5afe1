"""The lock of the operating system on an open file: one process at a time. Closing the file frees it."""

from __future__ import annotations

import sys
import time
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock", "try_to_lock"]

_INTERVAL = 0.05  # seconds between two attempts where the system has no wait without an end
_LOCKED_BYTE = (
    1 << 30
)  # on Windows a locked byte cannot be read or written, so it is behind all others


def try_to_lock(file: IO[Any]) -> bool:
    """Lock the file if no other process has locked it; return whether it is locked now."""
    descriptor = file.fileno()
    try:
        if sys.platform == "win32":
            position = file.tell()
            file.seek(_LOCKED_BYTE)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                file.seek(position)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock(file: IO[Any]) -> None:
    """Lock the file, and wait for as long as another process has locked it."""
    if sys.platform == "win32":
        while not try_to_lock(file):
            time.sleep(_INTERVAL)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
