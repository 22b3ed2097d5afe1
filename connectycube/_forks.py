"""Forks: a child process replaces the objects that it must not share with its parent.

Python runs its fork hooks for ``os.fork()``, but not for a fork in C: uWSGI runs them in its workers only if
it is told to. So the methods that use such an object call :func:`check_fork` as well.
"""

from __future__ import annotations

# Before a fork Python runs the hook that was registered last, first: ours is to run before that of logging,
# which holds logging's lock. One of ours waits for another thread's import, which may need that lock.
import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
import mmap
import os
import sys
import threading
import weakref
from contextlib import ExitStack
from os import getpid
from typing import Any, Protocol

__all__ = [
    "check_fork",
    "is_unnoticed_fork",
    "owns_objects",
    "register_before_fork",
    "register_for_fork",
]


class Inherited(Protocol):
    """Something with a lock, a socket or a thread of its own."""

    def _after_fork_in_child(self) -> None:
        """Replace everything that the parent goes on using, without sending a byte or waiting for a lock."""


class Parent(Protocol):
    """Something that the parent does before a fork."""

    def _before_fork(self) -> None:
        """Do it on the thread that forks, without waiting for a lock but those of imports.

        It is not called before a fork in C.
        """


_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()
_parents: weakref.WeakSet[Parent] = weakref.WeakSet()
# The process that owns the objects, and the process that began last to replace them.
_owner = _begun_in = getpid()
_WIPE_ON_FORK = 18  # of madvise(), since Linux 4.14


class _OwnerByNumber:
    """Tells by the number of the process, a system call, whether it owns the objects."""

    def __getitem__(self, index: int) -> int:
        return getpid() == _owner

    def __setitem__(self, index: int, value: int) -> None:
        """The number tells it."""


def _owner_mark() -> Any:
    """Return a page of memory that the kernel empties in a child, of whatever fork, or what stands for it."""
    system: str = sys.platform  # a text, of which type checkers draw no conclusions
    try:
        if system != "linux":
            return _OwnerByNumber()  # the number means something else there
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (OSError, ValueError):  # an older kernel
        return _OwnerByNumber()
    page[0] = 1
    return page


owns_objects: Any = _owner_mark()
"""``owns_objects[0]`` is 0 in a child until it has replaced the objects: what every message asks first."""
_locks: dict[int, Any] = {}
"""The lock for the threads of a process, by process. No thread of the parent can hold the lock of a child."""


def register_for_fork(thing: Inherited) -> None:
    """Let every forked child call ``thing._after_fork_in_child()``, for as long as ``thing`` lives."""
    # Before the object is added: a child that makes an object owns it, and must not replace it later.
    check_fork()
    _inherited.add(thing)


def register_before_fork(thing: Parent) -> None:
    """Call ``thing._before_fork()`` before each fork that Python knows of, for as long as ``thing`` lives."""
    _parents.add(thing)


def is_unnoticed_fork() -> bool:
    """Whether the objects in this process still are those of its parent."""
    return getpid() != _owner


def check_fork() -> None:
    """Replace the parent's objects if this process is a child whose fork hooks did not run.

    Every method that waits for a lock, or uses a connection, a thread or a file, calls it first.
    """
    if getpid() != _owner:
        # The child may have several threads by now: the first one replaces the objects, and the others wait.
        with _locks.setdefault(getpid(), threading.RLock()):
            # If it is equal, another thread has replaced them, or this thread is replacing them now.
            if getpid() != _begun_in:
                _replace_inherited()


def _replace_inherited() -> None:
    global _owner, _begun_in  # noqa: PLW0603 - of this process
    _begun_in = getpid()
    try:
        # The stack calls all methods, even if one raises: each replaces locks that may be held forever.
        with ExitStack() as stack:
            for thing in list(_inherited):
                stack.callback(thing._after_fork_in_child)
    finally:
        _owner = _begun_in
        owns_objects[0] = 1


def _tell_parents() -> None:
    for thing in list(_parents):
        thing._before_fork()


# Two functions that a test can keep from doing anything. Python writes an error of a hook to standard error,
# and parent and child go on.
def _before_fork() -> None:
    _tell_parents()


def _at_fork() -> None:
    _replace_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_at_fork)
