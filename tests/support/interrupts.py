"""SIGINT interrupts tests and the programs that they start, also where the run is a background job.

A shell lets its background jobs ignore SIGINT, and their children inherit that.
"""

from __future__ import annotations

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT raise KeyboardInterrupt in this process, and be its default in children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        config.add_cleanup(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
