"""Run a check in a forked child, as an application's pre-forking server would run our code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

SECONDS = 10


def holds_in_child(check: Callable[[], bool]) -> bool:
    """Whether ``check()`` returned True in a forked child; a child that hangs is ended by an alarm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a fork beside threads
        child = os.fork()
    if child == 0:
        status = 2
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            status = 0 if check() else 1
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)  # nothing of pytest may run here
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
