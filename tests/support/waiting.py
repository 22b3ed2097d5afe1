"""How tests wait: with a deadline, for an event where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

TIMEOUT = 10.0
"""Seconds that a test waits for what comes at once: long enough for a busy machine."""


def wait_until(
    condition: Callable[[], Value], what: str = "the condition", timeout: float = TIMEOUT
) -> Value:
    """Return the first true value of ``condition()``; raise TimeoutError after ``timeout`` seconds.

    Prefer an event. This is for what other processes and the kernel do.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.005)
    return value


class Gate:
    """A receiver, task or callback that keeps its thread inside until the gate is opened."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self, *_: object) -> None:
        self._entered.set()
        assert self._opened.wait(TIMEOUT * 3)

    def wait_until_entered(self) -> None:
        """Wait until a thread is inside."""
        assert self._entered.wait(TIMEOUT)

    def open(self) -> None:
        """Let out who is inside, and let through who comes later."""
        self._opened.set()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
