"""The mutex that tells an observer: after its release, on the thread that noted it, and in order."""

import threading

import pytest

from connectycube.chat.observed_mutex import ObservedMutex
from tests.support.observing import Recorder, raising
from tests.support.waiting import TIMEOUT

CHAT = object()


class Looking(Recorder):
    """Notes whether the lock was free as well."""

    mutex = None

    def note(self, method, *arguments):
        assert not self.mutex.locked()
        super().note(method, *arguments)


@pytest.fixture
def observer():
    return Looking()


@pytest.fixture
def mutex(observer):
    observer.mutex = ObservedMutex(observer, CHAT)
    return observer.mutex


def told(observer):
    return [(call.method, *call.arguments) for call in observer.calls]


def test_the_observer_is_told_in_order_and_without_the_lock(mutex, observer):
    with mutex:
        mutex.note("event_queued", "typing_started", 1)
        mutex.note("state_changed", 2)
        assert mutex.locked() and observer.calls == []
    assert told(observer) == [
        ("event_queued", CHAT, "typing_started", 1),
        ("state_changed", CHAT, 2),
    ]
    with mutex:
        pass
    assert len(observer.calls) == 2


def test_a_wait_for_a_condition_tells_before_it_waits(mutex, observer):
    changed = threading.Condition(mutex)
    entered = threading.Event()

    def wait():
        with mutex:
            mutex.note("state_changed", 1)
            entered.set()
            assert changed.wait(TIMEOUT)
            assert mutex.locked()

    thread = threading.Thread(target=wait, name="waits")
    thread.start()
    assert entered.wait(TIMEOUT)
    observer.wait_for("state_changed")
    with mutex:
        changed.notify_all()
    thread.join(TIMEOUT)
    assert [call.thread for call in observer.calls] == ["waits"]


def test_a_holder_without_notes_tells_none_of_the_next_holder(mutex, observer):
    other = threading.Thread(target=lambda: note(mutex, 1), name="notes")
    inner = mutex._lock

    class Slow:
        """A lock after whose first release another thread has its turn."""

        acquire, locked = inner.acquire, inner.locked

        def release(self):
            mutex._lock = inner
            inner.release()
            other.start()
            other.join(TIMEOUT)

    mutex._lock = Slow()
    with mutex:
        pass
    assert [call.thread for call in observer.calls] == ["notes"]


def test_an_observer_may_use_the_lock_itself(mutex, observer):
    class Nested(Recorder):
        def state_changed(self, chat, change):
            self.note("state_changed", change)
            if change < 3:
                with self.mutex:
                    self.mutex.note("state_changed", change + 1)

    nested = Nested()
    nested.mutex = ObservedMutex(nested, CHAT)
    with nested.mutex:
        nested.mutex.note("state_changed", 1)
    assert [call.arguments for call in nested.calls] == [(1,), (2,), (3,)]


def test_a_thread_with_another_lock_tells_when_it_has_released_it(mutex, observer):
    with mutex.telling_later():
        with mutex:
            mutex.note("state_changed", 1)
        assert observer.calls == []

        other = threading.Thread(target=lambda: note(mutex, 2))
        other.start()
        other.join(TIMEOUT)
        assert told(observer) == [("state_changed", CHAT, 2)]
    assert told(observer) == [("state_changed", CHAT, 2), ("state_changed", CHAT, 1)]
    note(mutex, 3)
    assert len(observer.calls) == 3


def note(mutex, change):
    with mutex:
        mutex.note("state_changed", change)


def test_each_thread_tells_what_it_has_noted():
    observer = Recorder()
    mutex = ObservedMutex(observer, CHAT)

    def work():
        for number in range(200):
            with mutex:
                pass
            note(mutex, (threading.current_thread().name, number))

    threads = [threading.Thread(target=work, name=f"thread {n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    for thread in threads:
        mine = [call.arguments[1] for call in observer.calls if call.thread == thread.name]
        assert mine == [(thread.name, number) for number in range(200)]


def test_ctrl_c_in_an_observer_leaves_the_lock_as_it_should_be():
    mutex = ObservedMutex(raising(KeyboardInterrupt), CHAT)
    changed = threading.Condition(mutex)
    with pytest.raises(KeyboardInterrupt):
        note(mutex, 1)
    assert not mutex.locked()
    with pytest.raises(KeyboardInterrupt), mutex:
        mutex.note("state_changed", 1)
        changed.wait(0.0)
    assert not mutex.locked()
