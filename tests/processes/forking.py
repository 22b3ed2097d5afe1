"""Run a check in a forked child, as an application's pre-forking server would run our code."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

from tests.support.inside import without_fork_hook

SECONDS = 30


def fork_by_python() -> int:
    """Fork as ``multiprocessing`` and gunicorn do: Python runs its fork hooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a fork beside threads
        return os.fork()


def fork_without_hook() -> int:
    """Fork so that the package's fork hook does not run, as none does in uWSGI's workers.

    Python's own hooks do run: a fork in C beside other threads may leave the interpreter's lock held.
    """
    with without_fork_hook():
        return fork_by_python()


FORKS = {"with the hook": fork_by_python, "without the hook": fork_without_hook}


def holds_in_child(check: Callable[[], bool], fork: Callable[[], int] = fork_by_python) -> bool:
    """Whether ``check()`` returned True in a forked child; a child that hangs is ended by an alarm.

    What the child raises is the failure of the test.
    """
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        status = 2
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            status = 0 if check() else 1
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-60_000:])  # less than the pipe holds
        finally:
            os._exit(status)  # nothing of pytest may run here
    os.close(writer)
    with open(reader, "rb") as end:  # it ends with the child
        raised = end.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not raised, f"in the child:\n{raised}"
    assert code >= 0, f"the child was ended by {signal.Signals(-code).name}"
    return code == 0
