"""Forks: what a child process must not share with its parent is replaced before the child goes on."""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol

__all__ = ["register_for_fork"]


class Inherited(Protocol):
    """Something with a lock, a socket or a thread of its own."""

    def after_fork_in_child(self) -> None:
        """Replace what the parent goes on using; nothing may be sent, and no lock waited for."""


_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()


def register_for_fork(thing: Inherited) -> None:
    """Have ``thing.after_fork_in_child()`` called in every forked child, for as long as it lives."""
    _inherited.add(thing)


def _after_fork_in_child() -> None:
    # The stack calls all of them, also when one raises: the locks of the others are as much in the way.
    # Python writes what is raised to standard error, and goes on.
    with ExitStack() as stack:
        for thing in list(_inherited):
            stack.callback(thing.after_fork_in_child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
