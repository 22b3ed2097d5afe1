"""A test that hangs fails after a minute with the stacks of all threads.

The alarm interrupts what Python code can be interrupted in, a lock or a socket included. Where it cannot,
the process ends half a minute later, stacks printed.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

SECONDS = 60.0
_SECONDS_UNTIL_EXIT = 30.0
_HAS_ALARMS = hasattr(signal, "SIGALRM")  # Windows has none: there the process ends, stacks printed

_stderr = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the terminal's stderr, which tests do not see, and register the marker."""
    config.addinivalue_line(
        "markers", f"time_limit(seconds): the test may run longer than {SECONDS} s"
    )
    stderr = config.stash[_stderr] = os.fdopen(os.dup(2), "w")
    config.add_cleanup(stderr.close)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Set both alarms for set-up, call and tear-down together."""
    marker = item.get_closest_marker("time_limit")
    seconds = float(marker.args[0]) if marker else SECONDS
    stderr = item.config.stash[_stderr]

    def abort(signum: int, frame: Any) -> None:
        print(
            f"\n{item.nodeid} hangs. Threads:",
            *threading.enumerate(),
            sep="\n  ",
            file=stderr,
            flush=True,
        )
        faulthandler.dump_traceback(file=stderr, all_threads=True)
        pytest.fail(f"not done within {seconds} s; the stacks are on stderr")

    if _HAS_ALARMS:
        previous = signal.signal(signal.SIGALRM, abort)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + _SECONDS_UNTIL_EXIT, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        if _HAS_ALARMS:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
