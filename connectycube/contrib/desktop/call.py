"""One call on the GUI thread, and the worker that waits for its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Call", "WindowClosed"]

logger: logging.Logger = logging.getLogger("connectycube.desktop")


class WindowClosed(Exception):
    """The window was closed before the receiver began."""


class Call:
    """A function that the GUI thread calls once, unless the call is taken back before it begins.

    ``name`` is that of the receiver, for the log: an error that nobody waits for any more is logged.
    """

    def __init__(self, name: str, function: Callable[[], object]) -> None:
        self.since: float = time.monotonic()
        """When the call was made."""
        self._name = name
        self._function: Callable[[], object] | None = function
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_awaited = True
        self._error: BaseException | None = None

    def run(self) -> None:
        """Call the function; for the GUI thread. Only what is no ``Exception`` is raised here."""
        with self._lock:
            function, self._function = self._function, None
        if function is None:
            return
        try:
            function()
        except Exception as error:  # noqa: BLE001 - it is the application's code
            self._fail(error)
        except BaseException as error:
            self._fail(error)
            raise  # Ctrl-C and sys.exit() are for the GUI thread as well
        finally:
            self._ended.set()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._is_awaited:
                self._error = error
                return
        if isinstance(error, WindowClosed):
            return
        logger.error("receiver %s raised, and nobody waited for it", self._name, exc_info=error)

    def wait(self, seconds: float) -> bool:
        """Wait at most so many seconds for the end of the call; return whether it has ended."""
        return self._ended.wait(seconds)

    def take_back(self) -> bool:
        """Keep the call from beginning; return False if it has begun."""
        with self._lock:
            function, self._function = self._function, None
        return function is not None

    def forget(self) -> None:
        """Wait for the call no longer: what it raises from now on is logged."""
        with self._lock:
            self._is_awaited = False

    def raise_error(self) -> None:
        """Raise what the function raised, if it raised; for a call that has ended."""
        with self._lock:
            error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del (
                    error
                )  # its frames would hold it, and the objects of the window, until a collection
