"""Observers for tests: one that notes every call, one that raises in every method."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attrs import frozen

from connectycube import Observer, RequestRecord
from tests.support.lock_order import ORDER
from tests.support.waiting import wait_until

METHODS = tuple(name for name in vars(Observer) if not name.startswith("_"))


@frozen
class Call:
    """One call of an observer: the method, its arguments, and the thread and the locks it was made with."""

    method: str
    arguments: tuple[Any, ...]
    thread: str
    locks: tuple[str, ...]


def _each(make: Callable[[str], Callable[..., None]]) -> dict[str, Callable[..., None]]:
    return {name: make(name) for name in METHODS}


class _Noting(Observer):
    """Notes every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def note(self, method: str, *arguments: Any) -> None:
        """Take one call."""
        locks = tuple(lock.name for lock in ORDER.held)
        self.calls.append(Call(method, arguments, threading.current_thread().name, locks))

    def of(self, method: str) -> list[Call]:
        """Return the calls of a method so far."""
        return [call for call in list(self.calls) if call.method == method]

    def wait_for(
        self, method: str, count: int = 1, where: Callable[[Call], object] = lambda call: True
    ) -> list[Call]:
        """Wait for so many calls of a method that fit."""

        def found() -> list[Call] | None:
            calls = [call for call in self.of(method) if where(call)]
            return calls if len(calls) >= count else None

        calls = wait_until(found, f"{count} calls of {method}")
        assert calls is not None
        return calls


def _noting(name: str) -> Callable[..., None]:
    def method(self: _Noting, *arguments: Any) -> None:
        self.note(name, *arguments)

    return method


Recorder = type("Recorder", (_Noting,), _each(_noting))
"""An observer that notes every call."""


class Requests(Observer):
    """An observer of REST requests alone: ``told(record)`` is called for each."""

    def __init__(self, told: Callable[[RequestRecord], object]) -> None:
        self._told = told

    def request_finished(self, record: RequestRecord) -> None:
        """Pass on the record."""
        self._told(record)


def raising(error: Callable[[str], BaseException]) -> Observer:
    """Return an observer whose methods all raise ``error(method)``, and whose ``called`` has their names."""
    called: set[str] = set()

    def method_of(name: str) -> Callable[..., None]:
        def method(self: Observer, *arguments: Any) -> None:
            called.add(name)
            raise error(name)

        return method

    observer = type("Raising", (Observer,), _each(method_of))()
    observer.called = called  # type: ignore[attr-defined]
    return observer
