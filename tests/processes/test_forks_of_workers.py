"""A task that forks: its thread, the only one of the child, ends there, and no worker is missing here."""

import os
import threading

import pytest

from connectycube._deadline import Deadline
from connectycube.chat.dispatcher import Dispatcher, Task
from connectycube.config import Limits
from tests.processes.forking import fork_by_python
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def dispatcher():
    made = Dispatcher("forks", 1, Limits(), lambda: None)
    made.start()
    yield made
    made.stop()
    assert made.join(Deadline(TIMEOUT))


def test_a_task_that_forks_returns_in_the_child_whoever_has_the_lock(dispatcher):
    children, locked, over = [], threading.Event(), threading.Event()

    def hold():
        with dispatcher._lock:
            locked.set()
            assert over.wait(TIMEOUT)

    def fork():
        holder.start()
        assert locked.wait(TIMEOUT)
        if pid := fork_by_python():
            children.append(pid)

    holder = threading.Thread(target=hold)
    assert dispatcher.put(Task(fork))
    wait_until(lambda: children)
    try:
        wait_until(lambda: os.waitpid(children[0], os.WNOHANG) == (children[0], 0))
    finally:
        over.set()
        holder.join(TIMEOUT)
    done = threading.Event()
    assert dispatcher.put(Task(done.set))
    assert done.wait(TIMEOUT)
