"""The condition that knows whether a thread waits."""

from __future__ import annotations

import threading

from connectycube.chat.changed import Changed
from tests.support.waiting import wait_until


def test_each_waiting_thread_is_woken_and_counted_until_then():
    changed, woken = Changed(), []

    def wait() -> None:
        with changed:
            woken.append(changed.wait(10))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: changed.waiting == 3)
    with changed:
        changed.notify()
    wait_until(lambda: len(woken) == 1)
    with changed:
        changed.notify_all()
    for thread in threads:
        thread.join()
    assert woken == [True] * 3 and changed.waiting == 0


def test_a_wait_that_ends_in_vain_is_not_counted():
    changed = Changed(threading.Lock())
    with changed:
        assert not changed.wait(0.001)
        assert not changed.wait_for(lambda: False, 0.001)
        assert changed.waiting == 0
        changed.notify()
        changed.notify_all()
