import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import _deadline as module
from connectycube._deadline import Deadline
from connectycube.errors import ArgumentTypeError, ArgumentValueError

SECONDS = st.floats(min_value=0, max_value=1e6)


class Clock:
    """A monotonic clock that goes when told to."""

    def __init__(self, patch):
        self.now = 1000.0
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@given(timeout=SECONDS, elapsed=SECONDS)
def test_what_remains_is_what_has_not_passed_and_never_negative(timeout, elapsed):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        deadline = Deadline(timeout)
        clock.now += elapsed
        assert deadline.remaining() == max(0.0, deadline.at - clock.now)
        assert deadline.remaining() == pytest.approx(max(0.0, timeout - elapsed), abs=1e-6)
        assert deadline.expired == (deadline.remaining() == 0.0)


def test_the_steps_of_a_call_share_what_is_left(monkeypatch):
    clock = Clock(monkeypatch)
    deadline = Deadline(10.0)
    for left in (10.0, 7.5, 5.0, 2.5, 0.0, 0.0):
        assert deadline.remaining() == left
        assert deadline.expired == (left == 0.0)
        clock.now += 2.5


def test_none_never_comes(monkeypatch):
    clock = Clock(monkeypatch)
    deadline = Deadline(None)
    clock.now += 1e12
    assert deadline.remaining() is None
    assert not deadline.expired


def test_zero_has_come_at_once():
    assert Deadline(0.0).expired
    assert Deadline(0.0).remaining() == 0.0


@pytest.mark.parametrize("timeout", [threading.TIMEOUT_MAX * 2, 1e300])
def test_what_remains_of_the_longest_time_out_can_be_waited_for(timeout):
    deadline = Deadline(timeout)
    assert threading.Lock().acquire(timeout=deadline.remaining())
    assert not deadline.expired


def test_the_time_out_of_a_call_comes_before_the_default(monkeypatch):
    Clock(monkeypatch)
    assert Deadline.of(2, 30.0).remaining() == 2.0
    assert Deadline.of(0, 30.0).remaining() == 0.0
    assert Deadline.of(None, 30.0).remaining() == 30.0


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("inf")])
def test_a_time_out_that_is_no_time_is_refused_by_name(timeout):
    with pytest.raises(ArgumentValueError, match=r"^timeout "):
        Deadline.of(timeout, 30.0)


@pytest.mark.parametrize("timeout", ["5", True, [1], b"1"])
def test_a_time_out_that_is_no_number_is_refused_by_name(timeout):
    with pytest.raises(ArgumentTypeError, match=r"^timeout must be a number"):
        Deadline.of(timeout, 30.0)
