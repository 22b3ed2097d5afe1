import gc
import itertools
import logging
import random
import threading
import weakref
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._deadline import Deadline
from connectycube.chat import dispatcher as dispatcher_module
from connectycube.chat import workers as workers_module
from connectycube.chat.dispatcher import Again, Dispatcher, Task
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.workers import Workers
from connectycube.config import Limits
from tests.support.waiting import TIMEOUT, Gate, wait_until

NAMES = (f"of-test-{number}" for number in itertools.count())


def make(workers=1, events=1000, size=1_000_000, on_low_water=lambda: None, **options):
    limits = Limits(queued_events=events, queued_bytes=size)
    name = next(NAMES)
    return Dispatcher(name, Workers(name, workers), limits, on_low_water, **options)


@pytest.fixture
def dispatchers():
    """Makes dispatchers, which must end when they are told to at the end of the test."""
    made = []

    def make_one(*arguments, start=True, **keywords):
        made.append(make(*arguments, **keywords))
        if start:
            made[-1].start()
        return made[-1]

    yield make_one
    for dispatcher in made:
        finish(dispatcher)


def finish(dispatcher):
    dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert threads_of(dispatcher) == []


def threads_of(dispatcher):
    return [t for t in threading.enumerate() if t.name.startswith(f"{dispatcher._name}-")]


def occupied(dispatcher, lane="gate"):
    """Keep a worker in a task until the gate that is returned is opened, or its block ends."""
    gate = Gate()
    assert dispatcher.put(Task(gate, lane), bounded=False)
    gate.wait_until_entered()
    return gate


def wait_until_idle(dispatcher):
    """Return when everything that was queued has been done."""
    wait_until(lambda: not dispatcher._queues)


def meet(dispatcher, workers):
    """Return when so many workers were in a task at the same time."""
    together = threading.Barrier(workers + 1)
    for number in range(workers):
        assert dispatcher.put(Task(lambda: together.wait(TIMEOUT), ("meeting", number)))
    together.wait(TIMEOUT)


# --- tasks in a file ------------------------------------------------------------------------------


def again_later():
    return Again(100.0, lambda: None)


def test_the_first_stored_task_of_a_queue_that_waits_takes_no_room(dispatchers):
    dispatcher = dispatchers(events=10)
    for number in range(30):
        assert dispatcher.put(Task(again_later, number, 1, stored=number))
        wait_until(lambda number=number: number in dispatcher._waiting)
    assert (dispatcher.queued, dispatcher.queued_bytes) == (0, 0)
    dispatcher.put(Task(again_later, "in memory"))
    wait_until(lambda: "in memory" in dispatcher._waiting)
    for _ in range(9):
        assert dispatcher.put(Task(again_later, "in memory"))
    assert not dispatcher.put(Task(again_later, "in memory"))


def test_what_waits_in_memory_keeps_its_room(dispatchers):
    dispatcher = dispatchers(events=3)
    for number in range(3):
        assert dispatcher.put(Task(again_later, number))
        wait_until(lambda number=number: number in dispatcher._waiting)
    assert dispatcher.queued == 3
    assert not dispatcher.put(Task(again_later, 4))


def test_a_long_queue_that_waits_is_told_to_be_taken_out(dispatchers):
    low_water, taken = LowWater(), []

    def take(queue_key):
        taken.append([task.stored for task in dispatcher.take_stored(queue_key)])

    dispatcher = dispatchers(events=10, on_low_water=low_water, on_long_wait=take)
    done = []
    with occupied(dispatcher):
        dispatcher.put(Task(again_later, "a", stored=0))
        for number in range(1, 9):
            dispatcher.put(Task(again_later, "a", stored=number))
        dispatcher.put(Task(lambda: done.append("behind"), "a"))
        assert not dispatcher.put(Task(again_later, "b"))
    wait_until(lambda: low_water.calls)
    assert taken == [list(range(1, 9))]
    assert dispatcher.queued == 1
    assert [task.stored for task in dispatcher._queues["a"]] == [0, None]


@pytest.mark.parametrize(
    ("events", "behind", "is_told"),
    [(4, [], False), (4, [None], False), (4, [1], True), (100, [1], False)],
)
def test_a_queue_that_waits_is_taken_out_only_if_it_is_long(dispatchers, events, behind, is_told):
    told = []
    dispatcher = dispatchers(events=events, on_long_wait=told.append)
    with occupied(dispatcher):
        for stored in [0, *behind]:
            dispatcher.put(Task(again_later, "a", stored=stored))
        for _ in range(3):
            dispatcher.put(Task(lambda: None, "b"))
    wait_until(lambda: dispatcher._queues.keys() == {"a"})
    assert told == (["a"] if is_told else [])


def test_a_queue_that_is_left_at_the_end_is_not_taken_out(dispatchers):
    told, left, gate = [], [], Gate()
    dispatcher = dispatchers(events=2, on_long_wait=told.append)

    def run():
        gate()
        return again_later()

    with gate:
        dispatcher.put(Task(run, "a", leave=lambda: left.append("a")))
        gate.wait_until_entered()
        for _ in range(2):
            dispatcher.put(Task(lambda: None, "b"))
        dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert (told, left, dispatcher._queues) == ([], ["a"], {})


def test_a_task_that_is_kept_elsewhere_is_repeated_all_the_same(dispatchers):
    dispatcher, done, left = dispatchers(), threading.Event(), []
    dispatcher.put(Task(lambda: Again(0.0, done.set), leave=lambda: left.append(1)))
    assert done.wait(TIMEOUT)
    assert left == []


def test_stored_tasks_that_are_taken_make_room(dispatchers):
    dispatcher = dispatchers(events=2)
    dispatcher.put(Task(again_later, "a", stored=0))
    wait_until(lambda: dispatcher._waiting)
    for number in (1, 2):
        dispatcher.put(Task(again_later, "a", stored=number))
    bringer = Bringer(dispatcher)
    wait_until(lambda: is_waiting(dispatcher))
    assert dispatcher.take_stored("b") == []
    assert [task.stored for task in dispatcher.take_stored("a")] == [1, 2]
    bringer.join()


def test_all_stored_tasks_behind_a_repetition_that_runs_are_taken(dispatchers):
    dispatcher, gate = dispatchers(), Gate()
    with gate:
        dispatcher.put(Task(lambda: Again(0.0, gate), "a", stored=0))
        gate.wait_until_entered()
        dispatcher.put(Task(again_later, "a", stored=1))
        assert [task.stored for task in dispatcher.take_stored("a")] == [1]


def test_what_is_abandoned_counts_and_is_in_no_file(dispatchers):
    dispatcher = dispatchers()
    with occupied(dispatcher):
        dispatcher.put(Task(lambda: None, "a"))
        dispatcher.put(Task(lambda: None, "b"))
        dispatcher.put(Task(lambda: None, "b", stored=1))
        dispatcher.put(Task(lambda: None, "b"), bounded=False)
        assert dispatcher.abandoned == 2


def test_later_tasks_of_a_queue_that_waits_stay_away_from_half_on(dispatchers):
    dispatcher = dispatchers(events=10)
    dispatcher.put(Task(again_later, "a", stored=0))
    wait_until(lambda: dispatcher._waiting)
    with occupied(dispatcher):
        assert dispatcher.room_to_half() == 5
        for _ in range(5):
            dispatcher.put(Task(lambda: None, "b"))
        assert (dispatcher.room_to_half(), dispatcher.is_overlong("a", 100, 100)) == (0, False)
        dispatcher.put(Task(lambda: None, "b"))
        assert dispatcher.is_overlong("a", 100, 100)
        assert not dispatcher.is_overlong("b", 100, 100), "it does not wait"


def test_a_task_that_raises_leaves_its_event_to_what_keeps_it(dispatchers, caplog):
    dispatcher, left = dispatchers(), []

    def fail():
        raise ValueError("of the task")

    def leave():
        left.append("left")
        raise ValueError("of leave")

    dispatcher.put(Task(fail, "a", leave=leave))
    meet(dispatcher, 1)
    assert dispatcher.wait_until_idle(TIMEOUT)
    assert left == ["left"]
    assert caplog.text.count("a dispatcher task raised") == 2


def test_a_stop_leaves_what_waits_for_its_repetition_to_what_keeps_it(dispatchers):
    dispatcher, done, left = dispatchers(), [], []
    again = Again(100.0, lambda: done.append("again"))
    dispatcher.put(Task(lambda: again, "a", leave=lambda: left.append("a")))
    wait_until(lambda: dispatcher._waiting)
    dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert (left, done, dispatcher._queues) == (["a"], [], {})


# --- tasks of a user ------------------------------------------------------------------------------


def of_user(done, name, queue, **options):
    return Task(lambda: done.append(name), queue, is_users=True, **options)


def test_the_tasks_of_a_user_are_forgotten_and_the_others_run(dispatchers):
    dispatcher, done, left = dispatchers(), [], []
    with occupied(dispatcher):
        dispatcher.put(of_user(done, "counted", "a"))
        dispatcher.put(of_user(done, "behind the gate", "gate"))
        dispatcher.put(of_user(done, "merged", "b", merge_key="m"))
        dispatcher.put(of_user(done, "kept", "c", leave=lambda: left.append("kept")))
        dispatcher.put(Task(lambda: done.append("of nobody"), "a"))
        assert dispatcher.forget_user() == 3
        assert (dispatcher.queued, dispatcher.queued_bytes, left) == (1, 0, ["kept"])
    assert dispatcher.wait_until_idle(TIMEOUT)
    assert done == ["of nobody"]
    assert not dispatcher._mergeable and not dispatcher._outdated


def test_what_waits_for_a_repetition_is_forgotten_with_its_user(dispatchers):
    dispatcher, done = dispatchers(), []
    dispatcher.put(Task(lambda: Again(100.0, lambda: None), "a", is_users=True))
    wait_until(lambda: dispatcher._waiting)
    dispatcher.put(Task(lambda: done.append("behind it"), "a"))
    assert dispatcher.forget_user() == 1
    assert dispatcher.wait_until_idle(TIMEOUT)
    assert done == ["behind it"]
    assert not dispatcher._repeating and not dispatcher._timers


def test_a_delivery_that_is_to_run_again_is_forgotten_with_its_user(dispatchers):
    dispatcher = dispatchers()
    dispatcher.handle = lambda delivery: again_later()
    dispatcher.put_all([delivery()], 1.0)
    wait_until(lambda: dispatcher._waiting)
    assert dispatcher.forget_user() == 1
    assert not dispatcher._queues and not dispatcher._repeating and not dispatcher._timers


def test_a_forgotten_task_leaves_the_newer_one_of_its_key(dispatchers):
    dispatcher, done = dispatchers(events=2), []
    with occupied(dispatcher):
        dispatcher.put(of_user(done, "forgotten", "a", merge_key="m"))
        dispatcher.put(Task(lambda: done.append("old"), "a", merge_key="m"))
        dispatcher.forget_user()
        dispatcher.put(Task(lambda: done.append("other"), "a"))
        dispatcher.put(Task(lambda: done.append("new"), "a", merge_key="m"))
    assert dispatcher.wait_until_idle(TIMEOUT)
    assert done == ["new", "other"]


def test_forgotten_tasks_make_room(dispatchers):
    dispatcher = dispatchers(events=1)
    with occupied(dispatcher):
        dispatcher.put(of_user([], "forgotten", "a"))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        dispatcher.forget_user()
        bringer.join()


def test_a_repetition_of_nobody_keeps_its_delay(dispatchers):
    dispatcher = dispatchers()
    dispatcher.put(Task(lambda: Again(100.0, lambda: None), "a"))
    wait_until(lambda: dispatcher._waiting)
    dispatcher.put(of_user([], "behind it", "a"))
    assert dispatcher.forget_user() == 1
    assert dispatcher._waiting == {"a"}
    assert not dispatcher._ready


# --- order and turns ------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_a_lane_keeps_its_order_and_is_worked_by_one_worker_at_a_time(dispatchers, workers):
    dispatcher = dispatchers(workers)
    done = defaultdict(list)
    busy = [threading.Lock() for _ in range(5)]
    overlaps = []

    def task(lane, number):
        def run():
            if not busy[lane].acquire(blocking=False):
                overlaps.append((lane, number))
                return
            done[lane].append(number)
            busy[lane].release()

        return Task(run, lane)

    for number in range(200):
        for lane in range(5):
            assert dispatcher.put(task(lane, number))
    wait_until_idle(dispatcher)
    assert overlaps == []
    assert done == {lane: list(range(200)) for lane in range(5)}


@pytest.mark.parametrize("workers", [1, 4])
def test_events_that_are_queued_together_run_in_order_one_at_a_time(dispatchers, workers):
    dispatcher, running, seen = dispatchers(workers), set(), defaultdict(list)

    def handle(delivery):
        assert delivery.conversation not in running
        running.add(delivery.conversation)
        seen[delivery.conversation].append(delivery.event)
        running.discard(delivery.conversation)

    dispatcher.handle = handle
    numbers = itertools.count()
    for _ in range(50):
        together = [
            Delivery(
                signal="typing_started", event=number, conversation=str(number % 5), sequence=1
            )
            for number in itertools.islice(numbers, 17)
        ]
        assert dispatcher.put_all(together, 1.0) == 17
    wait_until_idle(dispatcher)
    assert seen == {str(lane): list(range(lane, 850, 5)) for lane in range(5)}


def test_an_event_without_a_task_runs_again_if_it_asks_for_that(dispatchers):
    dispatcher, seen = dispatchers(), []

    def handle(delivery):
        seen.append(delivery.event)
        return Again(0.01, lambda: seen.append("again")) if len(seen) == 1 else None

    dispatcher.handle = handle
    together = [
        Delivery(signal="typing_started", event=event, conversation="a", size=3, sequence=1)
        for event in ("first", "second")
    ]
    dispatcher.put_all(together, 1.0)
    wait_until_idle(dispatcher)
    assert seen == ["first", "again", "second"]
    assert (dispatcher.queued, dispatcher.events, dispatcher.event_bytes) == (0, 0, 0)


def test_lanes_run_at_the_same_time_when_there_are_workers(dispatchers):
    meet(dispatchers(4), 4)


def test_one_lane_does_not_run_at_the_same_time_although_workers_are_idle(dispatchers):
    dispatcher = dispatchers(4)
    second = threading.Event()
    with occupied(dispatcher, "lane"):
        assert dispatcher.put(Task(second.set, "lane"))
        meet(dispatcher, 3)
        assert not second.is_set()
    assert second.wait(TIMEOUT)


def test_tasks_without_a_lane_share_one(dispatchers):
    dispatcher = dispatchers(4)
    done = []
    for number in range(100):
        assert dispatcher.put(Task(lambda number=number: done.append(number)))
    wait_until_idle(dispatcher)
    assert done == list(range(100))


def test_lanes_take_turns_so_that_a_busy_one_starves_nobody(dispatchers):
    dispatcher = dispatchers(start=False)
    done = []
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        assert dispatcher.put(Task(lambda name=name: done.append(name), name[0]))
    dispatcher.start()
    wait_until_idle(dispatcher)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_growing_lane_lets_a_repetition_that_is_due_have_its_turn(dispatchers):
    dispatcher, repeated = dispatchers(), threading.Event()

    def again():
        if not repeated.is_set():
            dispatcher.put(Task(again, "busy"))

    dispatcher.put(Task(lambda: Again(0.01, repeated.set), "other"))
    dispatcher.put(Task(again, "busy"))
    assert repeated.wait(TIMEOUT)


@pytest.mark.parametrize("most", [1, 2])
def test_a_dispatcher_waits_for_one_turn_at_a_time(most):
    dispatcher = make(most)
    dispatcher._stopping = False  # but without a thread
    turns = dispatcher.workers.turns
    dispatcher.put(Task(int, "a"))
    with dispatcher._lock:
        turns.popleft()
        dispatcher.begin()
    dispatcher.put(Task(int, "b"))
    with dispatcher._lock:
        dispatcher.end()
    dispatcher.put(Task(int, "c"))
    assert list(turns) == [dispatcher]


def test_a_growing_lane_lets_another_lane_have_its_turn(dispatchers):
    dispatcher = dispatchers()
    other = threading.Event()
    rounds = []

    def again():
        rounds.append(len(rounds))
        if not other.is_set():
            dispatcher.put(Task(again, "busy"))

    assert dispatcher.put(Task(again, "busy"))
    assert dispatcher.put(Task(other.set, "other"))
    assert other.wait(TIMEOUT)


# --- bounds ---------------------------------------------------------------------------------------


def test_events_are_bounded_by_number_not_counting_what_runs(dispatchers):
    dispatcher = dispatchers(events=3)
    done = []
    with occupied(dispatcher):
        assert [dispatcher.put(Task(lambda n=n: done.append(n))) for n in range(5)] == [
            True,
            True,
            True,
            False,
            False,
        ]
        assert dispatcher.queued == 3
    wait_until_idle(dispatcher)
    assert done == [0, 1, 2]
    assert dispatcher.queued == 0


def test_events_are_bounded_by_bytes(dispatchers):
    dispatcher = dispatchers(size=100)
    with occupied(dispatcher):
        assert dispatcher.put(Task(int, size=60))
        assert not dispatcher.put(Task(int, size=41))
        assert dispatcher.put(Task(int, size=40))
        assert not dispatcher.put(Task(int, size=1))
        assert dispatcher.put(Task(int, size=0))
        assert dispatcher.queued_bytes == 100
    wait_until_idle(dispatcher)
    assert dispatcher.queued_bytes == 0


def test_an_empty_queue_takes_a_task_of_any_size(dispatchers):
    dispatcher = dispatchers(size=100)
    with occupied(dispatcher):
        assert dispatcher.put(Task(int, size=1_000_000))
        assert not dispatcher.put(Task(int, size=1))
    wait_until_idle(dispatcher)


def delivery(size=0, conversation=None):
    return Delivery(signal="typing_started", event=None, conversation=conversation, size=size)


def test_deliveries_are_bounded_by_number(dispatchers):
    dispatcher = dispatchers(events=3)
    with occupied(dispatcher):
        assert dispatcher.put_all([delivery() for _ in range(5)], 1.0) == 3
        assert dispatcher.put_all([delivery()], 1.0) == 0
        dispatcher.forget_user()


def test_deliveries_are_bounded_by_bytes(dispatchers):
    dispatcher = dispatchers(size=100)
    with occupied(dispatcher):
        assert dispatcher.put_all([delivery(60), delivery(40), delivery(1)], 1.0) == 2
        dispatcher.forget_user()


def test_an_empty_queue_takes_a_delivery_of_any_size(dispatchers):
    dispatcher = dispatchers(size=100)
    with occupied(dispatcher):
        assert dispatcher.put_all([delivery(1_000), delivery(1)], 1.0) == 1
        dispatcher.forget_user()


def test_low_water_follows_a_delivery_that_found_no_room(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=1, on_low_water=low_water)
    dispatcher.handle = lambda delivery: None
    with occupied(dispatcher):
        dispatcher.put_all([delivery(), delivery()], 1.0)
    assert low_water.called.acquire(timeout=TIMEOUT)


def test_an_unbounded_put_is_always_accepted_and_takes_no_room(dispatchers):
    dispatcher = dispatchers(events=2, size=10)
    done = []
    with occupied(dispatcher):
        for number in range(50):
            task = Task(lambda number=number: done.append(number), size=10)
            assert dispatcher.put(task, bounded=False)
        assert (dispatcher.queued, dispatcher.queued_bytes) == (0, 0)
        assert dispatcher.put(Task(lambda: done.append("bounded"), size=5))
        assert dispatcher.put(Task(lambda: done.append("bounded"), size=5))
        assert not dispatcher.put(Task(int))
        assert dispatcher.put(Task(lambda: done.append("unbounded"), size=5), bounded=False)
    wait_until_idle(dispatcher)
    assert done == [*range(50), "bounded", "bounded", "unbounded"]
    assert (dispatcher.queued, dispatcher.queued_bytes) == (0, 0)


# --- fleeting events ------------------------------------------------------------------------------


def test_with_room_events_of_one_key_are_all_kept(dispatchers):
    dispatcher = dispatchers()
    done = []
    with occupied(dispatcher):
        for number in range(3):
            assert dispatcher.put(Task(lambda n=number: done.append(n), merge_key="typing"))
    wait_until_idle(dispatcher)
    assert done == [0, 1, 2]
    assert dispatcher.merged == 0


def test_a_full_queue_replaces_a_queued_event_by_its_keys_newest(dispatchers):
    dispatcher = dispatchers(events=2)
    done = []
    with occupied(dispatcher):
        assert dispatcher.put(Task(lambda: done.append("old"), merge_key="typing"))
        assert dispatcher.put(Task(lambda: done.append("message")))
        assert dispatcher.put(Task(lambda: done.append("new"), merge_key="typing"))
        assert dispatcher.put(Task(lambda: done.append("newest"), merge_key="typing"))
        assert dispatcher.queued == 2
        assert dispatcher.merged == 2
    wait_until_idle(dispatcher)
    assert done == ["newest", "message"]


def test_a_full_queue_replaces_the_last_of_several_events_of_a_key(dispatchers):
    dispatcher = dispatchers(events=2)
    done = []
    with occupied(dispatcher):
        for name in ("first", "second", "third"):
            assert dispatcher.put(Task(lambda name=name: done.append(name), merge_key="typing"))
    wait_until_idle(dispatcher)
    assert done == ["first", "third"]


def test_in_a_full_queue_an_event_without_its_like_is_dropped_and_counted(dispatchers):
    dispatcher = dispatchers(events=1)
    done = []
    with occupied(dispatcher):
        assert dispatcher.put(Task(lambda: done.append("kept"), merge_key="typing of one"))
        assert dispatcher.put(Task(lambda: done.append("dropped"), merge_key="typing of another"))
        assert dispatcher.merged == 1
    wait_until_idle(dispatcher)
    assert done == ["kept"]


def test_an_event_that_already_runs_is_not_replaced(dispatchers):
    dispatcher = dispatchers(events=1)
    done = []
    entered, release = threading.Event(), threading.Event()

    def running():
        entered.set()
        assert release.wait(TIMEOUT)
        done.append("running")

    assert dispatcher.put(Task(running, merge_key="typing"))
    assert entered.wait(TIMEOUT)
    assert dispatcher.put(Task(lambda: done.append("message")))
    assert dispatcher.put(Task(lambda: done.append("dropped"), merge_key="typing"))
    release.set()
    wait_until_idle(dispatcher)
    assert done == ["running", "message"]
    assert dispatcher.merged == 1


# --- low water ------------------------------------------------------------------------------------


class LowWater:
    """Counts its calls, with the thread of each, and lets somebody wait for the next."""

    def __init__(self):
        self.calls = []
        self.called = threading.Semaphore(0)

    def __call__(self):
        self.calls.append(threading.current_thread())
        self.called.release()


def test_low_water_is_called_once_on_a_worker_when_half_is_done(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=10, on_low_water=low_water)
    levels = []
    with occupied(dispatcher):
        while dispatcher.put(
            Task(lambda: levels.append((dispatcher.queued, len(low_water.calls))))
        ):
            pass
        assert low_water.calls == []
    wait_until_idle(dispatcher)
    assert [calls for _, calls in sorted(levels, reverse=True)] == [0] * 4 + [1] * 6
    assert [thread.name for thread in low_water.calls] == [f"{dispatcher._name}-dispatcher-1"]


def test_low_water_is_called_again_each_time_the_queue_was_full(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=4, on_low_water=low_water)
    for times in (1, 2, 3):
        with occupied(dispatcher):
            while dispatcher.put(Task(int)):
                pass
        wait_until_idle(dispatcher)
        assert len(low_water.calls) == times


def test_low_water_waits_for_half_of_the_bytes_too(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=100, size=100, on_low_water=low_water)
    levels = []

    def note():
        levels.append((dispatcher.queued_bytes, len(low_water.calls)))

    with occupied(dispatcher):
        for size in (5, 5, 30, 30, 30):
            assert dispatcher.put(Task(note, size=size))
        assert not dispatcher.put(Task(note, size=1))
    wait_until_idle(dispatcher)
    assert levels == [(95, 0), (90, 0), (60, 0), (30, 1), (0, 1)]


def test_low_water_is_not_called_while_everything_found_room(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=4, on_low_water=low_water)
    with occupied(dispatcher):
        for _ in range(4):
            assert dispatcher.put(Task(int))
        assert dispatcher.put(Task(int), bounded=False)
    wait_until_idle(dispatcher)
    assert low_water.calls == []


def test_low_water_is_called_with_bounds_of_one(dispatchers):
    low_water = LowWater()
    dispatcher = dispatchers(events=1, size=1, on_low_water=low_water)
    with occupied(dispatcher):
        assert dispatcher.put(Task(int, size=1))
        assert not dispatcher.put(Task(int, size=1))
    assert low_water.called.acquire(timeout=TIMEOUT)


def test_low_water_is_called_without_a_lock_so_any_thread_may_put(dispatchers):
    put_meanwhile = []

    def low_water():
        # From a thread of its own, because a lock may be re-entrant.
        with ThreadPoolExecutor(1) as pool:
            put = pool.submit(dispatcher.put, Task(int), bounded=False)
            put_meanwhile.append(put.result(TIMEOUT))
        put_meanwhile.append(dispatcher.put(Task(int), bounded=False))

    dispatcher = dispatchers(events=2, on_low_water=low_water)
    with occupied(dispatcher):
        while dispatcher.put(Task(int)):
            pass
    wait_until_idle(dispatcher)
    assert put_meanwhile == [True, True]


def test_a_low_water_that_raises_is_logged_and_the_work_goes_on(dispatchers, caplog):
    def low_water():
        raise ValueError("of low water")

    dispatcher = dispatchers(events=2, on_low_water=low_water)
    done = []
    with occupied(dispatcher):
        while dispatcher.put(Task(lambda: done.append(1))):
            pass
    wait_until_idle(dispatcher)
    assert done == [1, 1]
    assert "of low water" in caplog.text


# --- threads --------------------------------------------------------------------------------------


def test_without_start_there_is_no_thread_and_tasks_wait_for_it(dispatchers):
    dispatcher = dispatchers(2, start=False)
    done = threading.Event()
    assert dispatcher.put(Task(done.set))
    assert threads_of(dispatcher) == []
    assert dispatcher.queued == 1
    dispatcher.start()
    assert done.wait(TIMEOUT)


def test_workers_are_daemons_that_start_when_they_are_needed(dispatchers):
    dispatcher = dispatchers(3)
    assert len(threads_of(dispatcher)) == 1
    meet(dispatcher, 3)
    workers = threads_of(dispatcher)
    prefix = dispatcher._name
    assert {w.name for w in workers} == {f"{prefix}-dispatcher-{n}" for n in (1, 2, 3)}
    assert all(worker.daemon for worker in workers)


def test_starting_twice_makes_no_more_workers(dispatchers):
    dispatcher = dispatchers(2)
    meet(dispatcher, 2)
    before = set(threads_of(dispatcher))
    dispatcher.start()
    assert set(threads_of(dispatcher)) == before
    assert len(before) == 2


@pytest.mark.parametrize("workers", [1, 4])
def test_stop_lets_everything_queued_run_and_then_ends_the_workers(dispatchers, workers):
    dispatcher = dispatchers(workers)
    done = []
    with occupied(dispatcher):
        for number in range(100):
            assert dispatcher.put(Task(lambda n=number: done.append(n), number % 7))
        dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert sorted(done) == list(range(100))
    assert threads_of(dispatcher) == []


def test_tasks_of_a_stopping_dispatcher_run_beside_one_another(dispatchers):
    dispatcher, done = dispatchers(2), threading.Event()
    with occupied(dispatcher):
        dispatcher.stop()
        dispatcher.put(Task(done.set, "other"))
        assert done.wait(TIMEOUT)


def test_a_wait_for_idleness_ends_with_the_last_task(dispatchers):
    dispatcher = dispatchers()
    with ThreadPoolExecutor(1) as pool:
        with occupied(dispatcher):
            waiting = pool.submit(dispatcher.wait_until_idle, TIMEOUT)
            wait_until(lambda: is_waiting(dispatcher))
            assert not dispatcher.wait_until_idle(0.0)
        assert waiting.result(TIMEOUT) is True


def test_what_is_put_after_the_end_runs_once_it_is_started_again(dispatchers):
    dispatcher = dispatchers(2)
    finish(dispatcher)
    done = threading.Event()
    assert dispatcher.put(Task(done.set))
    assert dispatcher.join(Deadline(0))
    assert dispatcher.queued == 1
    dispatcher.start()
    assert done.wait(TIMEOUT)


def test_a_start_wakes_what_waits_for_its_repetition_since_before_the_end(dispatchers):
    dispatcher = dispatchers()
    dispatcher.put(Task(again_later))
    wait_until(lambda: dispatcher._repeating)
    finish(dispatcher)
    assert dispatcher.workers.alarms == []
    dispatcher.start()
    ((moment, _, of),) = dispatcher.workers.alarms
    assert (moment, of) == (dispatcher._timers[0][0], dispatcher)


def test_started_while_stopping_it_has_all_its_workers_again_and_no_more(dispatchers):
    dispatcher = dispatchers(3)
    with occupied(dispatcher) as gate:
        dispatcher.stop()
        assert not dispatcher.join(Deadline(0.01))
        dispatcher.start()
        meet(dispatcher, 2)  # the third is at the gate
        gate.open()
        meet(dispatcher, 3)
    wait_until(lambda: len(threads_of(dispatcher)) == 3)  # one that was to end may still be there


def test_any_change_between_starting_and_stopping_loses_nothing(dispatchers):
    dispatcher = dispatchers(3)
    done = []
    for number in range(300):
        assert dispatcher.put(Task(lambda n=number: done.append(n), number % 5))
        (dispatcher.stop if number % 2 else dispatcher.start)()
        assert len(threads_of(dispatcher)) <= 6  # those that are about to end included
    dispatcher.start()
    wait_until_idle(dispatcher)
    assert sorted(done) == list(range(300))
    for lane in range(5):
        assert [n for n in done if n % 5 == lane] == list(range(lane, 300, 5))


def test_join_waits_for_workers_that_are_about_to_end_too(dispatchers, monkeypatch):
    original, at_the_end, release = threading.Thread.run, threading.Semaphore(0), threading.Event()

    def run(thread):
        original(thread)
        at_the_end.release()
        assert release.wait(TIMEOUT)

    monkeypatch.setattr(threading.Thread, "run", run)
    dispatcher = dispatchers(2)
    meet(dispatcher, 2)
    dispatcher.stop()
    assert at_the_end.acquire(timeout=TIMEOUT)
    assert at_the_end.acquire(timeout=TIMEOUT)
    assert not dispatcher.join(Deadline(0.02))
    release.set()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert threads_of(dispatcher) == []


def test_join_is_bounded_and_says_whether_the_workers_have_ended(dispatchers):
    dispatcher = dispatchers(2)
    with occupied(dispatcher):
        dispatcher.stop()
        bound = Deadline(TIMEOUT)
        assert not dispatcher.join(Deadline(0.05))
        assert not bound.expired
        assert not dispatcher.join(Deadline(0))
    assert dispatcher.join(Deadline(TIMEOUT))


def test_join_in_a_task_waits_for_the_other_workers_alone(dispatchers):
    dispatcher = dispatchers(2)
    joined = []

    def stop_and_join():
        dispatcher.stop()
        joined.append(dispatcher.join(Deadline(TIMEOUT)))

    assert dispatcher.put(Task(stop_and_join))
    wait_until(lambda: joined)
    assert joined == [True]


def test_a_worker_knows_that_it_is_one_and_nobody_else_is(dispatchers):
    dispatcher, other = dispatchers(), dispatchers()
    answers = []
    assert not dispatcher.is_worker()
    assert dispatcher.put(Task(lambda: answers.extend([dispatcher.is_worker(), other.is_worker()])))
    wait_until_idle(dispatcher)
    assert answers == [True, False]


def test_a_worker_of_a_stopped_dispatcher_still_knows_that_it_is_one(dispatchers):
    dispatcher = dispatchers()
    answers = []
    next_is_queued = threading.Event()

    def task():
        assert next_is_queued.wait(TIMEOUT)
        dispatcher.stop()
        answers.append(dispatcher.is_worker())

    assert dispatcher.put(Task(task))
    assert dispatcher.put(Task(lambda: answers.append(dispatcher.is_worker())))
    next_is_queued.set()
    wait_until(lambda: len(answers) == 2)
    assert answers == [True, True]


def test_a_worker_logs_an_error_however_full_the_queue_is(dispatchers, caplog):
    dispatcher = dispatchers(events=1)
    with occupied(dispatcher):
        dispatcher.put(Task(lambda: None))
        dispatcher.warn(ValueError("of the caller"))
        assert caplog.records == []
    wait_until_idle(dispatcher)
    [record] = caplog.records
    assert record.getMessage() == f"{dispatcher._name}: of the caller"


@pytest.fixture
def no_threads(monkeypatch):
    """The process has no more threads, until the test says so."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield patch


def test_a_start_without_a_thread_raises_and_may_be_tried_again(dispatchers, no_threads):
    dispatcher = dispatchers(2, start=False)
    with pytest.raises(RuntimeError):
        dispatcher.start()
    no_threads.undo()
    dispatcher.start()
    meet(dispatcher, 2)
    assert len(threads_of(dispatcher)) == 2


def test_without_more_threads_those_that_are_there_take_turns(dispatchers, request):
    dispatcher, done = dispatchers(4), []
    request.getfixturevalue("no_threads")
    for number in range(20):
        assert dispatcher.put(Task(lambda number=number: done.append(number), number % 3))
    wait_until_idle(dispatcher)
    assert done == list(range(20))


# --- tasks that fail ------------------------------------------------------------------------------


class Filter(logging.Filter):
    def filter(self, record):
        raise RuntimeError("of the application's log filter")


@pytest.mark.parametrize(
    "error",
    [ValueError("of the task"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_task_raises_is_logged_and_its_lane_goes_on(dispatchers, caplog, error):
    dispatcher = dispatchers()
    done = []

    def fail():
        raise error

    assert dispatcher.put(Task(fail, "lane"))
    assert dispatcher.put(Task(lambda: done.append("next"), "lane"))
    wait_until_idle(dispatcher)
    assert done == ["next"]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info[1] is error
    assert len(threads_of(dispatcher)) == 1


def test_a_log_that_raises_does_not_end_the_worker(dispatchers):
    dispatcher = dispatchers()
    done = threading.Event()
    logger = logging.getLogger("connectycube.chat")
    log_filter = Filter()
    logger.addFilter(log_filter)
    try:
        assert dispatcher.put(Task(lambda: 1 / 0))
        assert dispatcher.put(Task(done.set))
        assert done.wait(TIMEOUT)
    finally:
        logger.removeFilter(log_filter)


# --- what runs ------------------------------------------------------------------------------------


def test_the_slowest_receiver_is_the_one_that_has_run_the_longest(dispatchers):
    dispatcher = dispatchers(3)
    assert dispatcher.slowest_receiver() is None
    gates = []
    for name in ("first", "second", "third"):
        entered, release = threading.Event(), threading.Event()

        def run(name=name, entered=entered, release=release):
            dispatcher.receiver_began(name, "typing_started")
            entered.set()
            release.wait(TIMEOUT)
            dispatcher.receiver_ended(None)

        assert dispatcher.put(Task(run, name))
        assert entered.wait(TIMEOUT)
        gates.append(release)
    assert dispatcher.slowest_receiver() == "first"
    gates[0].set()
    wait_until(lambda: dispatcher.slowest_receiver() != "first")
    assert dispatcher.slowest_receiver() == "second"
    gates[2].set()
    gates[1].set()
    wait_until_idle(dispatcher)
    assert dispatcher.slowest_receiver() is None
    assert dispatcher.receivers == {}


def test_the_slowest_of_late_took_most_since_the_queue_was_empty(dispatchers, monkeypatch):
    now = 0.0
    monkeypatch.setattr(dispatcher_module, "time", SimpleNamespace(monotonic=lambda: now))
    dispatcher = dispatchers()
    seen, spent = [], {}

    def take(name, seconds):
        def run():
            nonlocal now
            dispatcher.receiver_began(name, "typing_started")
            now += seconds
            dispatcher.receiver_ended(None)
            seen.append(dispatcher.slowest_of_late())
            spent.update(dispatcher.spent)

        return run

    assert dispatcher.slowest_of_late() is None
    hold = threading.Event()
    assert dispatcher.put(Task(hold.wait))
    for name, seconds in (("quick", 1.0), ("slow", 2.0), ("quick", 0.5), ("quick", 1.0)):
        assert dispatcher.put(Task(take(name, seconds)))
    hold.set()
    wait_until_idle(dispatcher)
    assert seen == ["quick", "slow", "slow", "quick"]
    assert spent == {"quick": 2.5, "slow": 2.0}
    assert dispatcher.slowest_of_late() is None, "the queue is empty"


def test_a_worker_that_goes_to_its_next_receiver_is_timed_anew(dispatchers):
    dispatcher = dispatchers(start=False)
    dispatcher.receiver_began("earlier receiver of this thread", "typing_started")
    dispatcher.receiver_ended(None)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(
            dispatcher.receiver_began, "receiver of another thread", "typing_started"
        )
        assert other.result(TIMEOUT) is None
        dispatcher.receiver_began("next receiver of this thread", "typing_started")
        assert dispatcher.slowest_receiver() == "receiver of another thread"


def test_an_idle_worker_keeps_no_event_alive(dispatchers):
    dispatcher = dispatchers()
    collected = threading.Event()

    class Event:
        """What a task holds."""

    event = Event()
    reference = weakref.ref(event, lambda _: collected.set())
    assert dispatcher.put(Task(lambda event=event: None, merge_key="typing"))
    del event
    wait_until(lambda: gc.collect() is None or collected.is_set())
    assert reference() is None


def test_an_event_that_takes_the_place_of_another_counts_its_own_size(dispatchers):
    dispatcher, done = make(events=2, size=1_000), []
    assert dispatcher.put(Task(lambda: done.append("old"), size=100, merge_key="x", since=1.0))
    assert dispatcher.put(Task(lambda: done.append("other"), size=100))
    assert dispatcher.put(Task(lambda: done.append("new"), size=900, merge_key="x", since=1.0))
    assert (dispatcher.queued_bytes, dispatcher.event_bytes) == (1_000, 900)
    assert dispatcher.put(Task(lambda: done.append("too large"), size=901, merge_key="x"))
    assert dispatcher.queued_bytes == 1_000
    dispatcher.start()
    finish(dispatcher)
    assert done == ["new", "other"] and dispatcher.queued_bytes == 0


def test_an_uncounted_event_that_is_replaced_still_takes_no_room():
    dispatcher, done = make(events=1, size=1_000), []
    dispatcher.put(Task(lambda: done.append("old"), size=1, merge_key="x"), bounded=False)
    dispatcher.put(Task(lambda: done.append("other"), size=1))
    dispatcher.put(Task(lambda: done.append("new"), size=5, merge_key="x"))
    assert dispatcher.queued_bytes == 1
    dispatcher.start()
    finish(dispatcher)
    assert done == ["new", "other"]


# --- everything at once ---------------------------------------------------------------------------

PUTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),  # lane
        st.integers(0, 6),  # size
        st.sampled_from([None, None, "x", "y"]),  # merge key
        st.sampled_from([True, True, True, False]),  # bounded
    ),
    max_size=25,
)


class Model:
    """The rule in its simplest form: one list, looked through again and again."""

    def __init__(self, events, size):
        self.bounds = events, size
        self.queue = []  # [lane, size, merge key, label, bounded]
        self.merged = 0

    @property
    def counted(self):
        return [size for _, size, _, _, bounded in self.queue if bounded]

    def put(self, lane, size, key, bounded, label):
        counted = self.counted
        full = counted and (len(counted) >= self.bounds[0] or sum(counted) + size > self.bounds[1])
        if not bounded or not full:
            self.queue.append([lane, size, key, label, bounded])
            return True
        if key is None:
            return False
        self.merged += 1
        for entry in reversed(self.queue):
            if entry[2] == key:
                if size <= entry[1] or sum(self.counted) + size - entry[1] <= self.bounds[1]:
                    entry[1], entry[3] = size, label
                break
        return True

    def run(self):
        lanes = defaultdict(deque)
        for lane, _, _, label, _ in self.queue:
            lanes[lane].append(label)
        turns = deque(lanes)
        while turns:
            lane = turns.popleft()
            yield lanes[lane].popleft()
            if lanes[lane]:
                turns.append(lane)


@given(puts=PUTS, events=st.integers(1, 8), size=st.integers(1, 20))
def test_any_sequence_of_puts_is_accepted_merged_and_run_as_the_rule_says(puts, events, size):
    model, dispatcher, done = Model(events, size), make(events=events, size=size), []
    for label, (lane, weight, key, bounded) in enumerate(puts):
        task = Task(lambda label=label: done.append(label), lane, weight, key)
        expected = model.put(lane, weight, key, bounded, label)
        assert dispatcher.put(task, bounded=bounded) is expected
        assert dispatcher.queued == len(model.counted)
        assert dispatcher.queued_bytes == sum(model.counted)
    dispatcher.start()
    finish(dispatcher)
    assert done == list(model.run())
    assert dispatcher.merged == model.merged
    assert (dispatcher.queued, dispatcher.queued_bytes) == (0, 0)


class Producer:
    """Puts numbered tasks into random lanes; when refused, waits for low water and puts again."""

    def __init__(self, stress, name, count):
        self.stress = stress
        self.name = name
        self.count = count
        self.random = random.Random(name)
        self.numbers = defaultdict(int)

    def run(self):
        for _ in range(self.count):
            lane = self.random.randrange(8)
            number = self.numbers[lane]
            self.numbers[lane] += 1
            task = Task(
                lambda lane=lane, number=number: self.stress.note(lane, self.name, number),
                lane,
                self.random.randrange(50),
            )
            self.put(task, bounded=self.random.random() > 0.02)

    def put(self, task, bounded):
        while True:
            with self.stress.changed:
                drained = self.stress.drained
            if self.stress.dispatcher.put(task, bounded=bounded):
                return
            with self.stress.changed:
                # Refused means that low water is yet to come.
                assert self.stress.changed.wait_for(lambda: self.stress.drained > drained, TIMEOUT)  # noqa: B023


class Stress:
    def __init__(self, workers):
        self.changed = threading.Condition()
        self.drained = 0
        self.dispatcher = make(workers, events=20, size=500, on_low_water=self.on_low_water)
        self.done = defaultdict(list)
        self.random = random.Random(workers)

    def on_low_water(self):
        with self.changed:
            self.drained += 1
            self.changed.notify_all()

    def note(self, lane, producer, number):
        self.done[lane, producer].append(number)
        if number % 97 == 0:
            raise ValueError("a task that fails among the others")


@pytest.mark.parametrize("workers", [1, 4])
def test_under_load_each_task_runs_exactly_once_and_in_order_in_its_lane(workers):
    stress = Stress(workers)
    logging.getLogger("connectycube.chat").disabled = True  # thousands of tracebacks
    producers = [Producer(stress, name, 1500) for name in range(4)]
    stress.dispatcher.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(producer.run) for producer in producers]:
                future.result(TIMEOUT * 2)
        finish(stress.dispatcher)
    finally:
        logging.getLogger("connectycube.chat").disabled = False
    for producer in producers:
        for lane, count in producer.numbers.items():
            assert stress.done[lane, producer.name] == list(range(count))
    assert stress.drained > 10
    assert (stress.dispatcher.queued, stress.dispatcher.queued_bytes) == (0, 0)
    assert stress.dispatcher._queues == {}


# --- room for who brings much -----------------------------------------------------------------------


class Bringer:
    """A thread that waits for room once; ``done`` is set when it has it."""

    def __init__(self, dispatcher):
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(dispatcher,))
        self._thread.start()

    def _wait(self, dispatcher):
        dispatcher.wait_for_room()
        self.done.set()

    def join(self):
        assert self.done.wait(TIMEOUT)
        self._thread.join(TIMEOUT)


def is_waiting(dispatcher):
    return bool(dispatcher._room._waiters)


def test_a_task_that_cannot_be_refused_may_take_up_room(dispatchers):
    dispatcher = dispatchers(events=2)
    with occupied(dispatcher):
        for _ in range(3):
            assert dispatcher.put(Task(lambda: None, size=5), bounded=False, counts=True)
        assert (dispatcher.queued, dispatcher.queued_bytes) == (3, 15)
        assert not dispatcher.put(Task(lambda: None))
    wait_until_idle(dispatcher)
    assert (dispatcher.queued, dispatcher.queued_bytes) == (0, 0)


@pytest.mark.parametrize(("events", "size"), [(4, 1_000), (1_000, 4)])
def test_there_is_room_when_the_queue_is_half_empty(dispatchers, events, size):
    dispatcher = dispatchers(events=events, size=size)
    dispatcher.wait_for_room()
    with occupied(dispatcher, "lane") as gate:
        steps = [Gate() for _ in range(3)]
        for step in steps:
            assert dispatcher.put(Task(step, "lane", size=1))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        gate.open()
        steps[0].wait_until_entered()  # two are left, which is half
        bringer.join()
        for step in steps:
            step.open()


def test_who_waits_for_room_goes_on_when_the_workers_are_to_end(dispatchers):
    dispatcher = dispatchers(events=1)
    with occupied(dispatcher):
        dispatcher.put(Task(lambda: None))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        dispatcher.stop()
        bringer.join()


def test_a_wait_for_room_ends_while_a_task_awaits_a_missing_event(dispatchers):
    dispatcher = dispatchers(events=1)
    hungry, wait, over = [True], threading.Event(), threading.Event()

    def receive():
        with dispatcher.awaiting_event(lambda: hungry[0]):
            wait.set()
            assert over.wait(TIMEOUT)

    with occupied(dispatcher, "lane") as gate:
        dispatcher.put(Task(receive, "lane"), bounded=False)
        dispatcher.put(Task(lambda: None, "lane"))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        gate.open()
        bringer.join()
        assert wait.wait(TIMEOUT)
        hungry[0] = False  # it has one, though it has not seen it yet
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        over.set()
        bringer.join()


def test_a_task_that_awaits_no_event_any_more_makes_no_room(dispatchers):
    dispatcher, gate = dispatchers(events=1), Gate()

    def receive():
        with dispatcher.awaiting_event(lambda: True):
            pass
        gate()

    with gate:
        dispatcher.put(Task(receive))
        gate.wait_until_entered()
        dispatcher.put(Task(lambda: None))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        assert not bringer.done.is_set()
    bringer.join()


def test_a_wait_for_an_event_outside_a_task_makes_no_room(dispatchers):
    dispatcher = dispatchers(events=1)
    with occupied(dispatcher), dispatcher.awaiting_event(lambda: True):
        dispatcher.put(Task(lambda: None))
        bringer = Bringer(dispatcher)
        wait_until(lambda: is_waiting(dispatcher))
        assert not bringer.done.is_set()
    bringer.join()


def test_join_does_not_wait_for_workers_that_are_to_go_on_after_all(dispatchers):
    dispatcher = dispatchers()
    with occupied(dispatcher), ThreadPoolExecutor(1) as pool:
        dispatcher.stop()
        joining = pool.submit(dispatcher.join, Deadline(None))
        wait_until(joining.running)
        dispatcher.start()  # the worker goes on
        assert joining.result(TIMEOUT) is False
    assert dispatcher.is_working


def test_join_fails_if_the_dispatcher_starts_while_its_workers_end(dispatchers, monkeypatch):
    dispatcher = dispatchers()
    dispatcher.stop()
    with monkeypatch.context() as patch:
        patch.setattr(dispatcher.workers, "join", lambda deadline: dispatcher.start() or True)
        assert dispatcher.join(Deadline(TIMEOUT)) is False


def test_a_dispatcher_of_a_fork_takes_no_lock_of_its_parent(monkeypatch):
    workers = Workers(next(NAMES), 1)
    lock = workers.lock
    monkeypatch.setattr(workers_module, "getpid", lambda: -1)
    made = Dispatcher("of a fork", workers, Limits(), lambda: None)
    assert made._lock is workers.lock is not lock


def test_it_works_until_its_workers_have_ended_the_calling_one_not_counted(dispatchers):
    dispatcher = dispatchers(start=False)
    assert not dispatcher.is_working
    dispatcher.start()
    assert dispatcher.is_working
    seen = []
    asked = threading.Event()

    def ask():
        seen.append(dispatcher.is_working)
        asked.set()

    dispatcher.put(Task(ask))
    assert asked.wait(TIMEOUT)
    assert seen == [False]
    dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert not dispatcher.is_working


# --- tasks that run again ------------------------------------------------------------------------


def test_a_task_that_asks_for_it_runs_again_in_its_place(dispatchers):
    dispatcher, order = dispatchers(), []

    def first():
        order.append("first")
        return Again(0.01, lambda: order.append("again"))

    dispatcher.put(Task(first, "lane"))
    dispatcher.put(Task(lambda: order.append("second"), "lane"))
    wait_until_idle(dispatcher)
    assert order == ["first", "again", "second"]


def test_the_sooner_of_two_repetitions_runs_first(dispatchers):
    dispatcher, order = dispatchers(start=False), []
    for name, seconds in (("late", 0.5), ("soon", 0.01)):
        again = Again(seconds, lambda name=name: order.append(name))
        dispatcher.put(Task(lambda again=again: again, name))
    dispatcher.start()
    wait_until_idle(dispatcher)
    assert order == ["soon", "late"]


def test_a_repetition_waits_for_its_own_moment(dispatchers):
    dispatcher, soon = dispatchers(), threading.Event()
    dispatcher.put(Task(again_later, "late"))
    dispatcher.put(Task(lambda: Again(0.01, soon.set), "soon"))
    assert soon.wait(TIMEOUT)
    wait_until(lambda: dispatcher._queues.keys() == {"late"})
    assert dispatcher._waiting == {"late"}


def test_a_queue_is_overlong_only_while_its_first_task_is_to_run_again(dispatchers):
    dispatcher, gate = dispatchers(), Gate()
    dispatcher.put(Task(lambda: Again(0.01, gate), "lane", size=1))
    dispatcher.put(Task(lambda: None, "lane", size=10))
    gate.wait_until_entered()
    assert dispatcher.is_overlong("lane", 1, 100)
    assert dispatcher.is_overlong("lane", 2, 10)
    assert not dispatcher.is_overlong("lane", 2, 100)
    assert not dispatcher.is_overlong("other", 0, 0)
    gate.open()
    wait_until_idle(dispatcher)
    with occupied(dispatcher, "lane"):
        dispatcher.put(Task(lambda: None, "lane"))
        assert not dispatcher.is_overlong("lane", 1, 1)


def test_a_task_for_later_takes_the_place_of_an_earlier_one(dispatchers):
    dispatcher, ran, done = dispatchers(), [], threading.Event()
    dispatcher.put_later(1_000.0, Task(lambda: ran.append("replaced"), "lane"))
    wait_until_idle(dispatcher)  # it is in no queue yet
    dispatcher.put_later(0.0, Task(lambda: ran.append("kept"), "lane"))
    dispatcher.put_later(0.01, Task(done.set, "other"))
    assert len(dispatcher._timers) <= 2
    assert done.wait(TIMEOUT)
    assert ran == ["kept"]


def test_a_task_for_later_is_queued_however_full_the_queue_is(dispatchers):
    dispatcher, ran = dispatchers(2, events=1), threading.Event()
    with occupied(dispatcher):
        dispatcher.put(Task(lambda: None, "gate"))
        dispatcher.put_later(0.0, Task(ran.set, "later"))
        assert ran.wait(TIMEOUT)


def test_a_task_for_later_leaves_a_queue_that_waits_alone(dispatchers):
    dispatcher, ran = dispatchers(), threading.Event()
    dispatcher.put(Task(again_later, "lane"))
    wait_until(lambda: dispatcher._waiting)
    dispatcher.put_later(0.0, Task(ran.set, "other"))
    assert ran.wait(TIMEOUT)
    assert dispatcher._waiting == {"lane"} and len(dispatcher._timers) == 1


def test_the_end_of_the_workers_forgets_tasks_for_later(dispatchers):
    dispatcher = dispatchers()
    dispatcher.put_later(1_000.0, Task(lambda: None, "lane"))
    dispatcher.stop()
    assert dispatcher._timers == []
    assert dispatcher.join(Deadline(TIMEOUT))
    dispatcher.put_later(0.0, Task(lambda: None, "lane"))
    assert dispatcher._timers == []


# --- what statistics say ----------------------------------------------------------------------------


def test_a_receiver_inside_another_one_does_not_hide_it(dispatchers):
    dispatcher = dispatchers(start=False)
    outer = dispatcher.receiver_began("outer", "message_received")
    inner = dispatcher.receiver_began("inner", "callback_failed")
    assert [each.name for each in dispatcher.running(0.0)] == ["inner"]
    dispatcher.receiver_ended(inner)
    (running,) = dispatcher.running(float("inf"))
    assert (running.name, running.signal) == ("outer", "message_received")
    assert dispatcher.running_receivers() == ("outer",)
    dispatcher.receiver_ended(outer)
    assert dispatcher.running(0.0) == ()


def test_a_receiver_runs_since_it_began(dispatchers, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "time", SimpleNamespace(monotonic=lambda: 30.0))
    dispatcher = dispatchers(start=False)
    dispatcher.receiver_began("name", "message_received")
    assert [each.seconds for each in dispatcher.running(100.0)] == [70.0]
    assert [each.seconds for each in dispatcher.running(10.0)] == [0.0], "the clock was read before"


def test_the_oldest_event_is_found_in_whichever_queue(dispatchers):
    dispatcher = dispatchers(start=False)
    assert dispatcher.oldest_waits(100.0) == 0
    dispatcher.put(Task(lambda: None, "a"), bounded=False)  # no event
    assert dispatcher.oldest_waits(100.0) == 0
    dispatcher.put(Task(lambda: None, "a", since=30.0))
    dispatcher.put(Task(lambda: None, "b", since=20.0))
    dispatcher.put(Task(lambda: None, "b", since=40.0))
    assert dispatcher.oldest_waits(100.0) == 80
    assert dispatcher.oldest_waits(10.0) == 0, "the clock was read before the event was queued"


def test_an_event_that_waits_for_its_repetition_is_as_old_as_it_was(dispatchers):
    dispatcher = dispatchers()
    failed = threading.Event()

    def fail():
        failed.set()
        return Again(60.0, lambda: None)

    dispatcher.put(Task(fail, "a", 7, since=20.0))
    assert failed.wait(TIMEOUT)
    wait_until(lambda: dispatcher.events == 1)
    assert (dispatcher.event_bytes, dispatcher.oldest_waits(100.0)) == (7, 80)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),  # the queue
            st.integers(0, 40),  # bytes
            st.sampled_from([None, "x", "y"]),  # merge key
            st.booleans(),  # bounded
            st.booleans(),  # an event
        ),
        max_size=25,
    )
)
def test_the_counted_events_are_those_in_the_queues(tasks):
    dispatcher = make(events=6, size=100)
    for queue, size, merge_key, bounded, is_event in tasks:
        since = 1.0 if is_event else None
        task = Task(lambda: None, queue, size, merge_key, since=since)
        dispatcher.put(task, bounded=bounded)
        queued = [task for queue in dispatcher._queues.values() for task in queue]
        events = [task for task in queued if task.since is not None]
        assert dispatcher.events == len(events)
        assert dispatcher.event_bytes == sum(task.size for task in events)
    dispatcher.start()
    finish(dispatcher)
    assert (dispatcher.events, dispatcher.event_bytes) == (0, 0)
