"""A thread starts, and steps are taken, whole or not at all: whatever a signal's handler raises meanwhile."""

import gc
import signal
import threading

import pytest

from connectycube import _threads
from connectycube._threads import start_thread, uninterrupted
from tests.support.cutting import cut_at_each_call
from tests.support.waiting import TIMEOUT

INTERRUPTED = (
    start_thread,
    uninterrupted,
    _threads._in_thread,
    _threads._Elsewhere.__init__,
    _threads._Elsewhere.finish,
    threading.Thread.start,
    threading.Event.wait,
    threading.Condition.__enter__,
    threading.Condition.wait,
)


def begins(run):
    """Whether a thread that is started now runs."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return not thread.is_alive()


def test_a_start_that_is_interrupted_anywhere_leaves_no_lock_held():
    starts, runs = [], []

    def start():
        thread = threading.Thread(target=runs.append, args=(1,), daemon=True)
        starts.append(thread)
        start_thread(thread)

    for _ in cut_at_each_call(start, *INTERRUPTED):
        if starts[-1].ident is not None:
            starts[-1].join(TIMEOUT)
        assert begins(int)
        assert len(runs) == sum(thread.ident is not None for thread in starts)
    assert len(starts) > 5
    assert starts[-1].ident is not None


def test_steps_that_are_interrupted_are_taken_whole_or_not_at_all():
    taken, rounds = [], 0

    def steps():
        taken.append("begun")
        taken.append("done")

    for was_cut in cut_at_each_call(lambda: uninterrupted(steps), *INTERRUPTED):
        rounds += 1
        assert taken == ["begun", "done"] or (was_cut and taken == [])
        taken.clear()
        assert begins(int)
    assert rounds > 5


def test_what_a_handler_raises_amid_the_steps_is_raised_after_them():
    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    taken = []

    def steps():
        signal.raise_signal(signal.SIGUSR1)  # its handler runs in the main thread
        taken.append(1)

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(Alarm):
            uninterrupted(steps)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert taken == [1]


def test_an_error_of_the_steps_is_raised_and_kept_nowhere():
    class Failure(Exception):
        pass

    def fail():
        raise Failure

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(Failure):
            uninterrupted(fail)
        gone = not any(isinstance(thing, Failure) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert gone


def test_without_another_thread_steps_are_taken_and_a_start_fails(monkeypatch):
    def refuse(*arguments, **named):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_threads._thread, "start_new_thread", refuse)
    for name in ("_start_new_thread", "_start_joinable_thread"):  # the second from Python 3.13 on
        if hasattr(threading, name):
            monkeypatch.setattr(threading, name, refuse)
    taken = []
    uninterrupted(lambda: taken.append(1), lambda: taken.append(2))
    assert taken == [1, 2]
    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_thread(threading.Thread(target=int))


def test_another_thread_takes_its_steps_itself():
    took = []
    begins(lambda: uninterrupted(lambda: took.append(threading.current_thread())))
    begins(lambda: took.append(threading.current_thread()))
    assert len({*took}) == 2
    assert all(thread is not threading.main_thread() for thread in took)
