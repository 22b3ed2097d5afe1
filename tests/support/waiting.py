"""Wait for a condition with a deadline, where nothing can announce it."""

from __future__ import annotations

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
