"""How long a process may act as the holder of a lease, by a clock that the test sets."""

from __future__ import annotations

import math
import sqlite3
import time
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectycube import LeaseLostError, SqlLease
from connectycube.chat.lease.hold import Hold, clock

SECONDS = 15.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def hold(now: Clock) -> Hold:
    """A hold that was acquired this moment."""
    made = Hold("orders", "me", SECONDS, now)
    assert made.begin(now(), 7)
    return made


def test_nobody_holds_before_the_lease_was_acquired(now):
    hold = Hold("orders", "me", SECONDS, now)
    assert (hold.is_valid(), hold.is_expired(), hold.fencing, hold.loss) == (
        False,
        True,
        None,
        None,
    )


def test_a_hold_stops_before_it_expires(hold, now):
    now.now += SECONDS * 0.89
    assert hold.is_valid()
    now.now += SECONDS * 0.02
    assert not hold.is_valid()
    assert not hold.is_expired()  # so that the connection can be ended in good order
    assert hold.seconds_left == pytest.approx(SECONDS * 0.09)
    now.now += SECONDS * 0.1
    assert hold.is_expired()


def test_the_time_runs_from_before_the_question(now):
    hold = Hold("orders", "me", SECONDS, now)
    asked = now()
    now.now += 10.0  # until the answer was there
    assert hold.begin(asked, 1)
    now.now += 4.0
    assert not hold.is_valid()


def test_an_answer_that_comes_too_late_acquires_nothing(now):
    hold = Hold("orders", "me", SECONDS, now)
    asked = now()
    now.now += SECONDS
    assert not hold.begin(asked, 1)
    assert (hold.fencing, hold.loss) == (None, None)
    assert hold.begin(now(), 2)  # it is not over: the next attempt may have it


def test_a_renewal_is_due_at_a_third_of_the_length(hold, now):
    assert hold.seconds_to_renewal == SECONDS / 3
    now.now += SECONDS / 3
    assert hold.seconds_to_renewal == 0
    hold.renewed(now())
    now.now += SECONDS * 0.8
    assert hold.is_valid()


def test_a_failed_renewal_is_repeated_soon(hold, now):
    now.now += SECONDS / 3
    hold.not_renewed(OSError("away"))
    assert 0 < hold.seconds_to_renewal <= 1.0
    assert hold.is_valid()


def test_what_was_once_over_is_not_renewed_any_more(hold, now):
    now.now += SECONDS
    assert not hold.is_valid()
    hold.renewed(now())
    assert not hold.is_valid()


def test_the_loss_says_why_the_renewals_failed(hold, now):
    hold.not_renewed(OSError("the database is away"))
    now.now += SECONDS
    assert isinstance(hold.loss, LeaseLostError)
    assert "'orders'" in str(hold.loss)
    assert "the database is away" in str(hold.loss)


def test_a_hold_that_was_given_back_is_no_loss(hold):
    hold.end()
    assert (hold.is_valid(), hold.is_expired(), hold.loss) == (False, True, None)


def test_the_first_loss_is_the_one_that_is_told(hold):
    first = LeaseLostError("taken")
    hold.end(first)
    hold.end()
    assert hold.loss is first


def test_the_next_change_is_the_stop_and_then_the_expiry(hold, now):
    assert hold.seconds_to_change == pytest.approx(SECONDS * 0.9)
    now.now += SECONDS * 0.95
    assert hold.seconds_to_change == pytest.approx(SECONDS * 0.05)
    now.now += SECONDS
    assert hold.seconds_to_change == math.inf


def test_a_lease_without_a_length_lasts_and_is_looked_at(now):
    hold = Hold("/run/bot.lease", "me", None, now)
    assert hold.begin(now(), 1)
    assert hold.seconds_to_renewal == 5.0
    now.now += 1e9
    assert hold.is_valid()
    assert hold.seconds_to_change == math.inf


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux has this clock")
def test_the_clock_counts_a_suspended_machine():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock() <= time.clock_gettime(time.CLOCK_BOOTTIME)


# --- never two holders ------------------------------------------------------------------------------


class Connection:
    """A connection of which all share one database, in memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def close(self) -> None:
        """Leave the database as it is for the others."""


class Process:
    """One listener: what it asks arrives late, and so does the answer; it may be stopped meanwhile."""

    def __init__(self, number: int, lease: SqlLease, now: Clock) -> None:
        self.holder = f"process {number}"
        self.lease = lease
        self._now = now
        self.hold = Hold("orders", self.holder, SECONDS, now)
        self.question: str | None = None
        self.asked = 0.0
        self.answer: Any = None
        self.is_answered = False

    def ask(self) -> None:
        if self.question is not None:
            return
        if self.hold.fencing is not None and not self.hold.is_valid():
            self.hold = Hold("orders", self.holder, SECONDS, self._now)  # another login
        self.question = "renew" if self.hold.is_valid() else "acquire"
        self.asked, self.is_answered = self._now(), False

    def arrive(self) -> None:
        if self.question is None or self.is_answered:
            return
        call = self.lease.renew if self.question == "renew" else self.lease.acquire
        self.answer, self.is_answered = call(self.holder), True

    def hear(self) -> None:
        if not self.is_answered:
            return
        question, self.question, self.is_answered = self.question, None, False
        if question == "acquire":
            if self.answer is not None:
                self.hold.begin(self.asked, self.answer)
        elif self.answer:
            self.hold.renewed(self.asked)
        else:
            self.hold.end(LeaseLostError("taken"))

    def give_back(self) -> None:
        if self.question is None:
            self.hold.end()
            self.lease.release(self.holder)


DELAYS = st.sampled_from([0.0, 0.0, 1.0, 6.0, 13.0])


class Listeners(RuleBasedStateMachine):
    """Listeners in any order of steps: at each moment one of them at most may act."""

    @initialize(style=st.sampled_from(["qmark", "named"]))
    def begin(self, style: str) -> None:
        self.now = Clock()
        self.database = sqlite3.connect(":memory:")
        self.database.create_function("fake_now", 0, lambda: self.now.now)
        self.processes = []
        self.greatest = 0
        for number in range(3):
            lease = SqlLease(lambda: Connection(self.database), "orders", SECONDS, paramstyle=style)
            lease._clock = "fake_now()"
            lease._make()
            self.processes.append(Process(number, lease, self.now))

    @rule(seconds=st.floats(0.01, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now.now += seconds

    @rule(who=st.integers(0, 2))
    def asks(self, who: int) -> None:
        self.processes[who].ask()

    @rule(who=st.integers(0, 2))
    def question_arrives(self, who: int) -> None:
        self.processes[who].arrive()

    @rule(who=st.integers(0, 2))
    def answer_arrives(self, who: int) -> None:
        self.processes[who].hear()

    @rule(who=st.integers(0, 2), before=DELAYS, after=DELAYS)
    def asks_and_hears(self, who: int, before: float, after: float) -> None:
        self.processes[who].ask()
        self.now.now += before
        self.processes[who].arrive()
        self.now.now += after
        self.processes[who].hear()

    @rule(who=st.integers(0, 2))
    def gives_back(self, who: int) -> None:
        self.processes[who].give_back()

    @invariant()
    def one_holder_at_most(self) -> None:
        acting = [each for each in getattr(self, "processes", ()) if not each.hold.is_expired()]
        assert len(acting) <= 1, [each.holder for each in acting]

    @invariant()
    def the_holder_has_the_greatest_number(self) -> None:
        for each in getattr(self, "processes", ()):
            if each.hold.is_valid():
                assert each.hold.fencing is not None and each.hold.fencing >= self.greatest
                self.greatest = each.hold.fencing

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()


TestNeverTwoHolders = Listeners.TestCase
