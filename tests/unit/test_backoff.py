from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._backoff import Backoff, delay_before
from connectycube.config import ReconnectPolicy, RetryPolicy

seconds = st.floats(0.001, 1000)
randoms = st.floats(0, 1, exclude_max=True)


def middle() -> float:
    return 0.5


@given(seconds, seconds, st.integers(1, 2000), randoms)
def test_attempt_n_waits_between_half_and_one_and_a_half_of_its_step(
    delay: float, max_delay: float, n: int, chance: float
) -> None:
    policy = ReconnectPolicy(max_attempts=None, delay=delay, max_delay=max_delay)
    backoff = Backoff(policy, lambda: chance)
    backoff.attempts = n - 1
    waited = backoff.next_delay()
    step = min(max_delay, delay * 2.0 ** min(n - 1, 200))
    assert waited is not None
    assert 0.5 * step <= waited <= 1.5 * step
    assert waited == pytest.approx((0.5 + chance) * step)


def test_the_default_backoff_doubles_to_a_minute_and_ends_after_five() -> None:
    backoff = Backoff(ReconnectPolicy(), middle)
    assert [backoff.next_delay() for _ in range(7)] == [5, 10, 20, 40, 60, None, None]


def test_no_attempts_when_reconnection_is_disabled() -> None:
    assert Backoff(ReconnectPolicy(max_attempts=0), middle).next_delay() is None


def test_without_a_limit_it_never_gives_up_nor_overflows() -> None:
    backoff = Backoff(ReconnectPolicy(max_attempts=None), middle)
    assert [backoff.next_delay() for _ in range(5000)][-1] == 60


@pytest.mark.parametrize(("ready_for", "expected"), [(0.0, 10), (9.99, 10), (10.0, 5), (500.0, 5)])
def test_the_count_starts_anew_only_after_being_ready_for_a_while(
    ready_for: float, expected: float
) -> None:
    backoff = Backoff(ReconnectPolicy(reset_after=10), middle)
    assert backoff.next_delay() == 5
    backoff.ready(100.0)
    backoff.lost(100.0 + ready_for)
    assert backoff.next_delay() == expected


def test_a_failed_attempt_does_not_count_as_ready_since_the_last_time() -> None:
    backoff = Backoff(ReconnectPolicy(reset_after=10), middle)
    backoff.ready(0.0)
    backoff.lost(1.0)
    assert backoff.next_delay() == 5
    backoff.lost(1000.0)
    assert backoff.next_delay() == 10


def test_an_attempt_that_fails_before_any_was_ready_counts() -> None:
    backoff = Backoff(ReconnectPolicy(), middle)
    assert backoff.next_delay() == 5
    backoff.lost(1000.0)
    assert backoff.next_delay() == 10


def test_after_a_reset_an_attempt_that_fails_counts() -> None:
    backoff = Backoff(ReconnectPolicy(reset_after=10), middle)
    backoff.ready(0.0)
    backoff.reset()
    assert backoff.next_delay() == 5
    backoff.lost(1000.0)
    assert backoff.next_delay() == 10


def test_reset_starts_anew() -> None:
    backoff = Backoff(ReconnectPolicy(max_attempts=1), middle)
    assert [backoff.next_delay(), backoff.next_delay()] == [5, None]
    backoff.reset()
    assert backoff.next_delay() == 5


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.75, 1.25)])
def test_the_wait_before_a_repeated_request_doubles_up_to_its_bound(
    chance: float, factor: float
) -> None:
    policy = RetryPolicy(max_retries=9, delay=1.0, max_delay=5.0)
    waits = [delay_before(attempt, policy, lambda: chance) for attempt in (1, 2, 3, 4, 2000)]
    assert waits == [factor * step for step in (1, 2, 4, 5, 5)]
