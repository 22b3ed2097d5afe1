"""Signals end tests and the programs that they start, also where the run is a background job.

A shell lets its background jobs ignore SIGINT and SIGQUIT, ``nohup`` SIGHUP, and their children inherit that.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

_HANDLERS: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
for _name in ("SIGQUIT", "SIGHUP"):
    if hasattr(signal, _name):
        _HANDLERS[getattr(signal, _name)] = signal.SIG_DFL


def pytest_configure(config: pytest.Config) -> None:
    """Let no signal be ignored in this process, nor in its children."""
    for number, handler in _HANDLERS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
            config.add_cleanup(lambda number=number: signal.signal(number, signal.SIG_IGN))
