"""A dispatcher beside a model of lists, step by step, while its worker is in the middle of its work.

The worker runs on the thread of the test, one task at a time, and its tasks do what a receiver may do. So
each step finds the dispatcher between two tasks, or inside one.
"""

import itertools
from types import SimpleNamespace

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from connectycube.chat.dispatcher import Again, Dispatcher, Task
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.workers import Workers
from connectycube.config import Limits

EVENTS, BYTES = 6, 40
NUMBERS = itertools.count()

queues = st.sampled_from("abc")
sizes = st.integers(0, 15)
outcomes = st.sets(st.sampled_from(["raises", "again", "puts", "forgets", "stops"]), max_size=3)


class Entry:
    """A task in the model."""

    def __init__(self, queue, size, *, counts=True, users=True, kept=False, event=True):
        self.label = next(NUMBERS)
        self.queue, self.size = queue, size
        self.counts, self.users, self.kept, self.event = counts, users, kept, event


class DispatcherStates(RuleBasedStateMachine):
    """The model has a list for each queue, and the keys of those whose next task may run, in order."""

    @initialize()
    def begin(self):
        workers = Workers("model", 1)
        limits = Limits(queued_events=EVENTS, queued_bytes=BYTES)
        self.dispatcher = Dispatcher("model", workers, limits, lambda: None)
        self.dispatcher.handle = lambda delivery: self.run(delivery.event)
        self.dispatcher._stopping = False  # but without a thread
        self.queues, self.ready, self.waiting = {}, [], []
        self.done, self.left, self.outcome = [], [], set()
        self.at_work = None
        self.is_stopping = False

    # --- the model ---

    def entries(self):
        return [entry for queue in self.queues.values() for entry in queue]

    def has_room(self, size):
        counted = [entry.size for entry in self.entries() if entry.counts]
        return not counted or (len(counted) < EVENTS and sum(counted) + size <= BYTES)

    def queue(self, entry):
        if entry.queue not in self.queues:
            self.queues[entry.queue] = []
            self.ready.append(entry.queue)
        self.queues[entry.queue].append(entry)

    def remove(self, key, chosen):
        entries = self.queues[key]
        removed = [entry for entry in entries if chosen(entry)]
        first = entries[0] if entries else None
        entries[:] = [entry for entry in entries if entry not in removed]
        if key in self.waiting and first in removed:
            self.waiting.remove(key)
            self.go_on(key)
        return removed

    def go_on(self, key):
        if self.queues[key]:
            self.ready.append(key)
        else:
            del self.queues[key]

    # --- what others do, also while a task runs ---

    def put_some(self, given):
        entries = [Entry(queue, size) for queue, size in given]
        expected = 0
        for entry in entries:
            if not self.has_room(entry.size):
                break
            self.queue(entry)
            expected += 1
        deliveries = [
            Delivery(
                signal="typing_started",
                event=one,
                conversation=one.queue,
                size=one.size,
                sequence=1,
            )
            for one in entries
        ]
        assert self.dispatcher.put_all(deliveries, 1.0) == expected

    def forget(self):
        outdated = self.at_work
        gone = []
        for key in tuple(self.queues):
            gone += self.remove(key, lambda entry: entry.users)
        for key in tuple(self.ready):
            if not self.queues[key]:
                self.ready.remove(key)
                del self.queues[key]
        if outdated is not None:
            outdated.is_outdated = True
        before = len(self.left)
        assert self.dispatcher.forget_user() == sum(not entry.kept for entry in gone)
        assert self.left[before:] == [entry.label for entry in gone if entry.kept]

    def stop(self):
        expected = []
        for key in tuple(self.waiting):
            expected += self.remove(key, lambda entry: entry.kept)
        self.is_stopping = True
        before = len(self.left)
        self.dispatcher.stop()
        assert sorted(self.left[before:]) == sorted(entry.label for entry in expected)

    def run(self, entry):
        """Be the task of an entry."""
        self.done.append(entry.label)
        if "puts" in self.outcome:
            self.put_some([(entry.queue, 1), ("c", 1)])
        if "forgets" in self.outcome:
            self.forget()
        if "stops" in self.outcome:
            self.stop()
        if "raises" in self.outcome:
            raise ValueError("of the task")
        return Again(0.0, lambda: self.run(entry)) if "again" in self.outcome else None

    # --- the steps ---

    @rule(given=st.lists(st.tuples(queues, sizes), max_size=8))
    def put_together(self, given):
        self.put_some(given)

    @rule(
        queue=queues,
        size=sizes,
        bounded=st.booleans(),
        users=st.booleans(),
        kept=st.booleans(),
        event=st.booleans(),
    )
    def put_one(self, queue, size, bounded, users, kept, event):
        entry = Entry(queue, size, counts=bounded, users=users, kept=kept, event=event)
        expected = not bounded or self.has_room(size)
        if expected:
            self.queue(entry)
        leave = (lambda: self.left.append(entry.label)) if kept else None
        task = Task(
            lambda: self.run(entry),
            queue,
            size,
            leave=leave,
            is_users=users,
            since=1.0 if event else None,
        )
        assert self.dispatcher.put(task, bounded=bounded) is expected

    @rule(outcome=outcomes)
    def work_once(self, outcome):
        key = self.ready.pop(0) if self.ready else None
        entry = self.queues[key].pop(0) if key else None
        self.outcome, self.at_work = outcome, entry and SimpleNamespace(is_outdated=False)
        done, left = list(self.done), len(self.left)
        before, self.dispatcher.workers.turns = self.dispatcher.workers.turns, ["another waits"]
        with self.dispatcher._lock:
            self.dispatcher.begin()
        self.dispatcher.work()
        self.dispatcher.workers.turns = before
        with self.dispatcher._lock:
            self.dispatcher.end()
        assert self.done == done + ([entry.label] if entry else [])
        if entry is None:
            return
        # Its own user was forgotten while it ran: it does not run again, and its event is kept elsewhere.
        is_gone = "raises" in outcome or (self.at_work.is_outdated and entry.users)
        self.at_work = None
        is_left = is_gone or ("again" in outcome and self.is_stopping)
        if "again" in outcome and not is_gone:
            self.queues[key].insert(0, entry)
            self.waiting.append(key)
            if self.is_stopping:
                self.remove(key, lambda one: one.kept)
        else:
            self.go_on(key)
        if entry.kept:
            assert (entry.label in self.left[left:]) is is_left

    @rule()
    def time_passes(self):
        self.dispatcher.take_due()
        self.ready += self.waiting
        self.waiting.clear()

    @rule()
    def forget_the_user(self):
        self.forget()

    @precondition(lambda self: not self.is_stopping)
    @rule()
    def let_it_end(self):
        self.stop()

    # --- what holds after each of them ---

    @invariant()
    def the_queues_are_those_of_the_model(self):
        dispatcher = self.dispatcher
        assert list(dispatcher._ready) == self.ready
        assert dispatcher._waiting == set(self.waiting)
        sizes = {key: [task.size for task in queue] for key, queue in dispatcher._queues.items()}
        assert sizes == {key: [one.size for one in queue] for key, queue in self.queues.items()}

    @invariant()
    def the_counts_are_those_of_the_queues(self):
        dispatcher, entries = self.dispatcher, self.entries()
        counted = [entry.size for entry in entries if entry.counts]
        events = [entry.size for entry in entries if entry.event]
        assert (dispatcher.queued, dispatcher.queued_bytes) == (len(counted), sum(counted))
        assert (dispatcher.events, dispatcher.event_bytes) == (len(events), sum(events))


TestDispatcherStates = DispatcherStates.TestCase
