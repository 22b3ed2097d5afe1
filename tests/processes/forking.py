"""Run a check in a forked child, as an application's pre-forking server would run our code."""

from __future__ import annotations

import faulthandler
import logging
import os
import select
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

    Python's own hooks do run: a fork in C beside other threads may leave the interpreter's lock held. No
    other thread writes to the log meanwhile: the child logs a warning, and would wait for the stream's lock.
    """
    locks = [handler.lock for handler in logging.getLogger().handlers if handler.lock]
    with without_fork_hook():
        for lock in locks:
            lock.acquire()
        child = fork_by_python()
        if child:  # in the child, logging has replaced them
            for lock in locks:
                lock.release()
        return child


FORKS = {"with the hook": fork_by_python, "without the hook": fork_without_hook}


def holds_in_child(check: Callable[[], bool], fork: Callable[[], int] = fork_by_python) -> bool:
    """Whether ``check()`` returned True in a forked child.

    What the child raises is the failure of the test, and so are the stacks of a child that hangs, also in a
    fork hook.
    """
    reader, writer = os.pipe()
    faulthandler.register(signal.SIGUSR1, file=writer)  # before the fork, as a fork hook may hang
    child = fork()
    if child == 0:
        status = 2
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS * 2)  # for a child whose parent is gone
            status = 0 if check() else 1
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-60_000:])  # less than the pipe holds
        finally:
            os._exit(status)  # nothing of pytest may run here
    faulthandler.unregister(signal.SIGUSR1)
    os.close(writer)
    with open(reader, "rb") as end:  # it ends with the child
        hangs = not select.select([end], [], [], SECONDS)[0]
        if hangs:
            os.kill(child, signal.SIGUSR1)
            select.select([end], [], [], 5.0)
            os.kill(child, signal.SIGKILL)
        raised = end.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not hangs, f"the child hangs:\n{raised}"
    assert not raised, f"in the child:\n{raised}"
    return code == 0
