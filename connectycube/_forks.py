"""Forks: a child process replaces the objects that it must not share with its parent."""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol

__all__ = ["register_for_fork"]


class Inherited(Protocol):
    """Something with a lock, a socket or a thread of its own."""

    def after_fork_in_child(self) -> None:
        """Replace everything that the parent goes on using, without sending a byte or waiting for a lock."""


_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()


def register_for_fork(thing: Inherited) -> None:
    """Let every forked child call ``thing.after_fork_in_child()``, for as long as ``thing`` lives."""
    _inherited.add(thing)


def _after_fork_in_child() -> None:
    # The stack calls all methods, even if one raises, because each replaces locks that may be held for ever.
    # Python writes the error to standard error, and the child goes on.
    with ExitStack() as stack:
        for thing in list(_inherited):
            stack.callback(thing.after_fork_in_child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
