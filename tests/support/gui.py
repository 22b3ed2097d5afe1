"""A window's event loop without a window: the thread that calls ``run_until`` is the GUI thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.waiting import TIMEOUT


class Gui:
    """Calls what is posted, on the thread that made it, while that thread is in ``run_until``."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._posted: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._has_call = threading.Event()

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called by ``run_until``; for any thread."""
        self._posted.put(function)
        self._has_call.set()

    def is_here(self) -> bool:
        """Whether the caller is on the GUI thread."""
        return threading.get_ident() == self._thread

    def wait_for_post(self) -> None:
        """Wait, frozen, until a function was posted."""
        assert self._has_call.wait(TIMEOUT)

    def run_until(self, condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        """Call what is posted until ``condition()`` is true; return it."""
        assert self.is_here()
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited {timeout} s"
            self._call(0.01)
        return found

    def run_what_is_left(self) -> int:
        """Call all that is posted now; return how many functions that were."""
        count = 0
        while self._call(0.0):
            count += 1
        return count

    def _call(self, seconds: float) -> bool:
        try:
            function = self._posted.get(timeout=seconds)
        except queue.Empty:
            return False
        function()
        return True
