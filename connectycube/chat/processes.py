"""Living in other people's processes: what happens to connections at a fork and at the exit."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from ..deadline import Deadline

__all__ = ["Resident", "look_after"]


class Resident(Protocol):
    """What a connection has to offer."""

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing to end."""

    @property
    def exit_timeout(self) -> float:
        """The seconds it may take when the interpreter exits."""

    def logout(self, deadline: Deadline) -> None:
        """End it within the deadline."""

    def after_fork_in_child(self) -> None:
        """Let go of everything shared with the parent process."""


_residents: weakref.WeakSet[Resident] = weakref.WeakSet()


def look_after(resident: Resident) -> None:
    """Tell ``resident`` of forks and of the exit, for as long as it lives."""
    _residents.add(resident)


def _after_fork_in_child() -> None:
    for resident in list(_residents):
        resident.after_fork_in_child()


def _at_exit() -> None:
    """End every connection politely, all together within the shortest of their time-outs."""
    open_ones = [resident for resident in list(_residents) if not resident.is_closed]
    if open_ones:
        deadline = Deadline(min(resident.exit_timeout for resident in open_ones))
        for resident in open_ones:
            resident.logout(deadline)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
