"""Dispatchers that share their workers: turns, the bound of all of them, threads, and the end of each."""

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from connectycube._deadline import Deadline
from connectycube.chat import workers as workers_module
from connectycube.chat.dispatcher import Again, Dispatcher, Task
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.workers import Workers, workers_of_process
from connectycube.config import Limits
from tests.support.waiting import TIMEOUT, Gate, wait_until

NAMES = (f"shared-{number}" for number in itertools.count())


class Shared:
    """Workers, and the dispatchers that share them."""

    def __init__(self, count=1, size=1_000_000):
        self.workers = Workers(next(NAMES), count, size)
        self.made = []
        self.low = []

    def dispatcher(self, *, start=True, events=1_000):
        made = Dispatcher("one", self.workers, Limits(queued_events=events), self._drained)
        self.made.append(made)
        if start:
            made.start()
        return made

    def _drained(self):
        self.low.append(threading.current_thread())

    def finish(self):
        for each in self.made:
            each.stop()
        for each in self.made:
            assert each.join(Deadline(TIMEOUT))
        assert self.workers.join(Deadline(TIMEOUT))
        assert not any(thread.is_alive() for thread in self.workers.threads)
        assert self.workers.queued_bytes == 0


@pytest.fixture
def shared():
    made = []

    def make(*arguments, **options):
        made.append(Shared(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.finish()


def test_dispatchers_with_tasks_take_turns(shared):
    scene, order = shared(), []
    first, second = scene.dispatcher(), scene.dispatcher()
    with Gate() as gate:
        first.put(Task(gate))
        gate.wait_until_entered()
        for number in range(3):
            first.put(Task(lambda number=number: order.append(f"first {number}"), number))
        for number in range(3):
            second.put(Task(lambda number=number: order.append(f"second {number}"), number))
    assert first.wait_until_idle(TIMEOUT) and second.wait_until_idle(TIMEOUT)
    wait_until(lambda: len(order) == 6)
    assert sorted(order[:2]) == ["first 0", "second 0"]
    assert sorted(order[2:4]) == ["first 1", "second 1"]


def test_one_dispatcher_has_at_most_half_of_the_workers(shared):
    scene, running = shared(4), threading.Semaphore(0)
    one, other = scene.dispatcher(), scene.dispatcher()
    with Gate() as gate:

        def slow():
            running.release()
            gate()

        for number in range(10):
            one.put(Task(slow, number))
        assert running.acquire(timeout=TIMEOUT) and running.acquire(timeout=TIMEOUT)
        done = threading.Event()
        other.put(Task(done.set))
        assert done.wait(TIMEOUT)
        assert not running.acquire(blocking=False)
        assert len(one.running_receivers()) == 0 and len(one._at_work) == 2
    assert one.wait_until_idle(TIMEOUT)


def test_a_dispatcher_with_few_bytes_has_room_in_full_workers(shared):
    scene = shared(size=1_000)
    loud, quiet = scene.dispatcher(), scene.dispatcher()
    with Gate() as gate:
        loud.put(Task(gate))
        gate.wait_until_entered()
        taken = 0
        while loud.put(Task(lambda: None, size=50)):
            taken += 50
        assert taken == 500
        for _ in range(5):
            assert quiet.put(Task(lambda: None, size=50))
        assert not quiet.put(Task(lambda: None, size=50))
        assert scene.workers.queued_bytes == 750
        assert scene.low == []
    assert loud.wait_until_idle(TIMEOUT) and quiet.wait_until_idle(TIMEOUT)
    wait_until(lambda: len(scene.low) == 2)  # each is told that it has room again


def test_a_dispatcher_waits_for_room_while_it_and_all_are_half_full(shared):
    scene = shared(size=1_000)
    loud, quiet = scene.dispatcher(), scene.dispatcher()

    def has_room_after(dispatcher, size, *, count):
        for _ in range(count):
            assert dispatcher.put(Task(lambda: None, size=size))
        return dispatcher._is_half_empty()

    with Gate() as gate:
        loud.put(Task(gate))
        gate.wait_until_entered()
        assert has_room_after(loud, 50, count=5)  # a quarter of all bytes
        assert not has_room_after(loud, 50, count=1)
        assert has_room_after(quiet, 25, count=5)  # half of its own part
        assert not has_room_after(quiet, 25, count=1)
    assert loud.wait_until_idle(TIMEOUT) and quiet.wait_until_idle(TIMEOUT)


def test_deliveries_count_towards_the_bytes_of_all(shared):
    scene = shared(size=1_000)
    loud, quiet = scene.dispatcher(), scene.dispatcher()
    loud.handle = quiet.handle = lambda delivery: None
    deliveries = [Delivery(signal="typing_started", event=None, size=50) for _ in range(20)]
    with Gate() as gate:
        loud.put(Task(gate))
        gate.wait_until_entered()
        assert loud.put_all(deliveries, 1.0) == 10
        assert quiet.put_all(deliveries[10:], 1.0) == 5
        assert scene.workers.queued_bytes == 750
    assert loud.wait_until_idle(TIMEOUT) and quiet.wait_until_idle(TIMEOUT)


def test_an_empty_queue_takes_one_task_however_full_the_workers_are(shared):
    scene = shared(size=100)
    loud, quiet = scene.dispatcher(), scene.dispatcher()
    with Gate() as gate:
        loud.put(Task(gate))
        gate.wait_until_entered()
        assert loud.put(Task(lambda: None, size=90))
        assert quiet.put(Task(lambda: None, size=5_000))
        assert not quiet.put(Task(lambda: None, size=50))
    assert quiet.wait_until_idle(TIMEOUT)


def test_one_dispatcher_ends_while_the_others_go_on(shared):
    scene, done = shared(2), threading.Event()
    one, other = scene.dispatcher(), scene.dispatcher()
    one.put(Task(lambda: None))
    one.stop()
    assert one.join(Deadline(TIMEOUT)) and not one.is_working
    assert other.is_working
    other.put(Task(done.set))
    assert done.wait(TIMEOUT)


def test_join_waits_for_the_task_of_the_dispatcher_alone(shared):
    scene = shared(2)
    one, other = scene.dispatcher(), scene.dispatcher()
    with Gate() as gate:
        one.put(Task(gate))
        gate.wait_until_entered()
        one.stop()
        other.stop()
        assert other.join(Deadline(TIMEOUT))
        assert one.join(Deadline(0.01)) is False
        other.start()
        assert one.join(Deadline(0.01)) is False
    assert one.join(Deadline(TIMEOUT))


def test_the_repetitions_of_all_dispatchers_run_when_they_are_due(shared):
    scene, began, ran = shared(2), time.monotonic(), {}

    def note(delay):
        ran[delay] = time.monotonic() - began

    for delay in (0.03, 0.01, 0.02):
        again = Again(delay, partial(note, delay))
        scene.dispatcher().put(Task(lambda again=again: again))
    wait_until(lambda: len(ran) == 3)
    assert all(after >= delay for delay, after in ran.items())


def test_each_task_runs_once_and_in_order_however_many_share_the_workers(shared):
    scene, ran = shared(3), {}
    dispatchers = [scene.dispatcher() for _ in range(20)]
    for number in range(50):
        for position, dispatcher in enumerate(dispatchers):
            for lane in range(2):
                into = ran.setdefault((position, lane), [])
                dispatcher.put(Task(lambda into=into, number=number: into.append(number), lane))
    assert all(each.wait_until_idle(TIMEOUT) for each in dispatchers)
    wait_until(lambda: all(len(each) == 50 for each in ran.values()))
    assert all(each == list(range(50)) for each in ran.values())


def test_every_worker_is_one_of_every_dispatcher(shared):
    scene, seen = shared(), []
    one, other = scene.dispatcher(), scene.dispatcher()
    one.put(Task(lambda: seen.append((one.is_worker(), other.is_worker()))))
    wait_until(lambda: seen)
    assert seen == [(True, True)]
    assert not one.is_worker()


# --- those of the process ---------------------------------------------------------------------------


class Process:
    """Dispatchers on the workers of the process."""

    def __init__(self):
        self.made = []

    def dispatcher(self, most=1):
        made = Dispatcher("one", most, Limits(), lambda: None)
        self.made.append(made)
        made.start()
        return made

    @property
    def threads(self):
        prefix = "connectycube-dispatcher-"
        return [each for each in threading.enumerate() if each.name.startswith(prefix)]


@pytest.fixture
def process():
    scene = Process()
    yield scene
    for each in scene.made:
        each.stop()
    for each in scene.made:
        assert each.join(Deadline(TIMEOUT))
    assert scene.threads == [] and workers_of_process()._room == 0


def test_one_connection_with_one_task_at_a_time_has_one_thread(process):
    dispatcher, done = process.dispatcher(), []
    for number in range(10):
        dispatcher.put(Task(lambda number=number: done.append(number), number))
    wait_until(lambda: len(done) == 10)
    assert len(process.threads) == 1


def test_a_task_of_a_connection_with_one_at_a_time_is_its_only_work(process):
    dispatcher, seen = process.dispatcher(), []
    assert dispatcher.is_working
    dispatcher.put(Task(lambda: seen.append(dispatcher.is_working)))
    wait_until(lambda: seen)
    assert seen == [False]


def test_tasks_that_block_delay_no_other_connection(process):
    gate, inside = threading.Event(), threading.Semaphore(0)

    def block():
        inside.release()
        assert gate.wait(TIMEOUT)

    blocked = [process.dispatcher(most) for most in (1, 3, 2)]
    for dispatcher in blocked:
        for number in range(dispatcher.most + 2):
            dispatcher.put(Task(block, number))
    for _ in range(6):
        assert inside.acquire(timeout=TIMEOUT)
    other, done = process.dispatcher(), threading.Event()
    other.put(Task(done.set))
    assert done.wait(TIMEOUT)
    assert len(process.threads) == 7 and not inside.acquire(blocking=False)
    gate.set()
    assert all(each.wait_until_idle(TIMEOUT) for each in blocked)


def test_at_the_exit_a_task_that_blocks_leaves_a_thread_to_the_others(process, monkeypatch):
    one, other, third = (process.dispatcher() for _ in range(3))
    with Gate() as gate:
        one.put(Task(gate))
        gate.wait_until_entered()
        wait_until(lambda: workers_of_process()._watcher)

        def start(thread):  # as from Python 3.12 on at the exit of the interpreter
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", start)
        done = [threading.Event() for _ in range(2)]
        for dispatcher, event in zip((other, third), done, strict=True):
            dispatcher.put(Task(event.set))
        assert all(event.wait(TIMEOUT) for event in done)


def test_threads_without_work_end_but_for_two(process, monkeypatch):
    monkeypatch.setattr(workers_module, "_IDLE", 0.01)
    together = threading.Barrier(5)
    for _ in range(4):
        process.dispatcher().put(Task(lambda: together.wait(TIMEOUT)))
    together.wait(TIMEOUT)
    wait_until(lambda: len(process.threads) == 2)
    done = threading.Event()
    process.made[0].put(Task(done.set))
    assert done.wait(TIMEOUT)


def test_the_last_connection_takes_the_threads_along(process):
    one, other = process.dispatcher(), process.dispatcher()
    one.stop()
    assert one.join(Deadline(TIMEOUT)) and process.threads
    other.stop()
    assert other.join(Deadline(TIMEOUT)) and not process.threads


def test_a_task_of_one_connection_does_not_hold_up_the_end_of_another(process):
    one, other = process.dispatcher(), process.dispatcher()
    with Gate() as gate:
        one.put(Task(gate))
        gate.wait_until_entered()
        one.stop()
        other.stop()
        assert other.join(Deadline(TIMEOUT))
        assert len(process.threads) == 1 and one.is_working
    assert one.join(Deadline(TIMEOUT))


def test_a_task_may_wait_for_the_tasks_of_another_connection(process):
    one, other, seen = process.dispatcher(), process.dispatcher(), []

    def wait():
        other.put(Task(lambda: seen.append("of the other")))
        seen.append((one.is_worker(), other.is_worker(), other.wait_until_idle(TIMEOUT)))

    one.put(Task(wait))
    wait_until(lambda: len(seen) == 2)
    assert seen == ["of the other", (True, False, True)]


def test_a_repetition_runs_when_it_is_due_while_others_block(process):
    one, other, done = process.dispatcher(), process.dispatcher(), threading.Event()
    one.put(Task(lambda: Again(0.05, done.set)))
    wait_until(lambda: one._waiting)
    with Gate() as gate:
        other.put(Task(gate))
        gate.wait_until_entered()
        assert done.wait(TIMEOUT)


def test_what_a_connection_may_begin_is_right_after_any_end(process):
    dispatcher, workers = process.dispatcher(3), workers_of_process()
    with Gate() as gate:
        dispatcher.put(Task(gate))
        gate.wait_until_entered()
        assert workers._room == 2
        dispatcher.stop()
        assert workers._room == 0
        dispatcher.start()
        assert workers._room == 2
        dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    dispatcher.start()
    assert workers._room == 3


@pytest.mark.parametrize("seed", range(3))
def test_connections_that_begin_and_end_at_any_time_lose_no_task(process, seed):
    """Each thread has its connections, whose tasks block for a moment, and starts and stops them."""
    done, queued = {}, {}

    def play(number):
        chance = random.Random(f"{seed} {number}")
        mine = [process.dispatcher(most) for most in (1, 2, 3)]
        for step in range(200):
            dispatcher = chance.choice(mine)
            lane = (number, mine.index(dispatcher), chance.randrange(3))
            into = done.setdefault(lane, [])
            queued.setdefault(lane, []).append(step)
            dispatcher.put(Task(partial(finish, into, step, chance.random() < 0.05), lane))
            if chance.random() < 0.1:
                dispatcher.stop()
                dispatcher.join(Deadline(chance.choice([0.0, TIMEOUT])))
                dispatcher.start()
        for dispatcher in mine:
            assert dispatcher.wait_until_idle(TIMEOUT)

    def finish(into, step, blocks):
        into.append(step)
        if blocks:
            threading.Event().wait(0.001)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(play, number) for number in range(4)]:
            future.result(TIMEOUT * 2)
    assert done == queued
    assert len(process.threads) <= sum(each.most for each in process.made)
    wait_until(lambda: workers_of_process()._room == sum(each.most for each in process.made))
