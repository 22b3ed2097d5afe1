"""Calls off the GUI thread: on a few threads that end when there is nothing to call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Background"]

Result = TypeVar("Result")


class Background:
    """Calls functions on at most ``most`` daemon threads, which begin and end with the work.

    An executor of the standard library would keep its threads, and the exit of the interpreter would wait
    for their calls.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0

    def call(self, function: Callable[[], Result], future: Future[Result]) -> None:
        """Have a function called; ``future`` gets its result or error."""
        with self._lock:
            self._waiting.append((future, function))
            if self._threads == self._most:
                return
            self._threads += 1
        threading.Thread(target=self._work, name=f"{self._name}-run", daemon=True).start()

    def cancel(self) -> None:
        """Cancel the calls that have not begun."""
        with self._lock:
            cancelled, self._waiting = self._waiting, deque()
        for future, _ in cancelled:
            future.cancel()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                future, function = self._waiting.popleft()
            _settle(future, function)
            del future, function  # or the next call would keep them alive


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - also SystemExit: it would end this thread alone
        future.set_exception(error)
    else:
        future.set_result(result)
