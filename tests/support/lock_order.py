"""The order of locks: whether two of the package's locks are ever acquired in both orders.

Two threads that hold one lock each and wait for the lock of the other wait for ever, but a test meets that
only by chance. So each lock that the package makes notes which locks its thread holds already. A circle of
such pairs, in whichever tests and at whichever times, fails the test that closes it. Each worker of
pytest-xdist looks at its own tests.

A lock is known by the module and attribute that hold it, so all instances of a class have one order. Two
instances of the same class have an order of their own.
"""

from __future__ import annotations

import itertools
import linecache
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

_PACKAGE = "connectycube"
_ASSIGNED = re.compile(r"\s*(?:self\.)?(\w+)(?::[^=]*)? = ")
_SHOWN = 8  # frames of a stack
_numbers = itertools.count(1)


class LockOrder:
    """The pairs of locks that were held together, and the circles among them."""

    def __init__(self) -> None:
        # It has no lock, because a signal or a collection may acquire one anywhere; setdefault is one step.
        self._after: dict[str, dict[str, str]] = {}
        self.circles: list[str] = []
        self._local = threading.local()

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """All pairs so far: the lock that was held, and the one that was acquired then."""
        return {(held, then) for held, found in self._after.items() for then in found}

    @property
    def held(self) -> list[OrderedLock]:
        """The locks that the current thread holds, in the order of their acquisition."""
        try:
            held: list[OrderedLock] = self._local.held
        except AttributeError:
            held = self._local.held = []
        return held

    def forget_held(self) -> None:
        """Begin anew in a forked child, which replaces its locks."""
        self._local = threading.local()

    def acquiring(self, lock: OrderedLock) -> None:
        """Note the locks that this thread holds while it waits for ``lock``."""
        held = self.held
        if not held or lock in held:
            return
        for other in held:
            if other.name == lock.name:
                self._note(other.instance, lock.instance)
            else:
                self._note(other.name, lock.name)

    def _note(self, held: str, then: str) -> None:
        after = self._after.setdefault(held, {})
        if then not in after:
            circle = self._path(then, held)
            after.setdefault(then, _stack())
            if circle:
                self.circles.append(self._described([*circle, then]))

    def _path(self, start: str, end: str) -> list[str]:
        """Return the locks from ``start`` to ``end``, each acquired while the one before was held."""
        ways = [[start]]
        known = {start}
        while ways:
            way = ways.pop(0)
            if way[-1] == end:
                return way
            new = [name for name in self._after.get(way[-1], {}) if name not in known]
            known.update(new)
            ways += [[*way, name] for name in new]
        return []

    def _described(self, circle: list[str]) -> str:
        steps = [
            f"{then} while {held} was held, at:\n{self._after[held][then]}"
            for held, then in itertools.pairwise(circle)
        ]
        return f"locks in a circle ({' -> '.join(circle)}):\n" + "\n".join(steps)


class OrderedLock:
    """A lock of the package, which tells the order of its acquisition."""

    def __init__(self, lock: Any, name: str, order: LockOrder) -> None:
        self._lock = lock
        self._order = order
        self.name = name
        self.instance = f"{name} {next(_numbers)}"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking:  # an attempt that does not wait cannot be a part of a deadlock
            self._order.acquiring(self)
        acquired: bool = self._lock.acquire(blocking, timeout)
        if acquired:
            self._order.held.append(self)
        return acquired

    def release(self) -> None:
        self._lock.release()
        self._released()

    def _released(self) -> None:
        held = self._order.held
        for place in range(len(held) - 1, -1, -1):
            if held[place] is self:
                del held[place]
                return

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    # What threading.Condition uses: wait() gives up the lock, however often it is held.

    def _is_owned(self) -> bool:
        if hasattr(self._lock, "_is_owned"):
            return bool(self._lock._is_owned())
        return bool(
            self._lock.locked()
        )  # as threading.Condition sees it: another thread may hold it

    def _release_save(self) -> tuple[int, Any]:
        count = sum(lock is self for lock in self._order.held)
        for _ in range(count):
            self._released()
        if hasattr(self._lock, "_release_save"):
            return count, self._lock._release_save()
        return count, self._lock.release()

    def _acquire_restore(self, saved: tuple[int, Any]) -> None:
        count, state = saved
        self._order.acquiring(self)
        if hasattr(self._lock, "_acquire_restore"):
            self._lock._acquire_restore(state)
        else:
            self._lock.acquire()
        self._order.held.extend([self] * count)


def ordered(order: LockOrder, package: str = _PACKAGE) -> dict[str, Callable[..., Any]]:
    """Return replacements of Lock, RLock and Condition of ``threading``; only those of ``package`` differ."""
    make_lock, make_rlock, condition = threading.Lock, threading.RLock, threading.Condition

    def is_ours(frame: FrameType) -> bool:
        name = frame.f_globals.get("__name__", "")
        return bool(name == package or name.startswith(f"{package}."))

    def lock() -> Any:
        frame = sys._getframe(1)
        return OrderedLock(make_lock(), _name(frame), order) if is_ours(frame) else make_lock()

    def rlock() -> Any:
        frame = sys._getframe(1)
        return OrderedLock(make_rlock(), _name(frame), order) if is_ours(frame) else make_rlock()

    class Condition(condition):  # type: ignore[misc, valid-type]
        def __init__(self, inner: Any = None) -> None:
            frame = sys._getframe(1)
            if inner is None and is_ours(frame):
                inner = OrderedLock(make_rlock(), _name(frame), order)
            super().__init__(inner)

    # As the functions of threading, which are in C, they do not become methods of a class that keeps them.
    return {"Lock": staticmethod(lock), "RLock": staticmethod(rlock), "Condition": Condition}


def _name(frame: FrameType) -> str:
    module = frame.f_globals["__name__"].removeprefix(f"{_PACKAGE}.")
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    assigned = _ASSIGNED.match(line)
    return f"{module}.{assigned[1] if assigned else frame.f_lineno}"


def _stack() -> str:
    stack = traceback.extract_stack(sys._getframe(4), limit=_SHOWN)
    return "".join(traceback.format_list(stack))


# --- for the whole session --------------------------------------------------------------------------

ORDER = LockOrder()


def pytest_configure(config: pytest.Config) -> None:
    """Watch every lock that the package makes from here on."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name, replacement in ordered(ORDER).items():
        patch.setattr(threading, name, replacement)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=ORDER.forget_held)


@pytest.fixture(autouse=True)
def _locks_in_one_order() -> Iterator[None]:
    ORDER.held.clear()  # a test of forks leaves locks of a "parent" behind that it never releases
    yield
    if ORDER.circles:
        circles, ORDER.circles[:] = list(ORDER.circles), []
        pytest.fail("\n".join(circles), pytrace=False)
