from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import timers as timers_module
from connectycube.chat.protocol.timers import Timers


def timers_with(*entries: tuple[str, float]) -> Timers:
    timers = Timers()
    for key, when in entries:
        timers.set(key, when, f"thing of {key}")
    return timers


def test_things_are_taken_when_they_are_due_the_oldest_first() -> None:
    timers = timers_with(("b", 2.0), ("a", 1.0), ("c", 3.0))
    assert timers.take_next(0.9) is None
    assert [timers.take_next(2.5) for _ in range(3)] == ["thing of a", "thing of b", None]
    assert timers.deadline == 3.0


def test_of_things_that_are_due_together_the_key_decides() -> None:
    timers = timers_with(("b", 1.0), ("a", 1.0))
    assert [timers.take_next(1.0), timers.take_next(1.0)] == ["thing of a", "thing of b"]


def test_a_key_has_one_thing() -> None:
    timers = timers_with(("a", 1.0), ("a", 5.0))
    assert timers.due_at("a") == timers.deadline == 5.0
    assert timers.take_next(4.0) is None


def test_what_is_cancelled_is_not_due() -> None:
    timers = timers_with(("a", 1.0), ("b", 2.0))
    timers.cancel("a")
    timers.cancel("unknown")
    assert timers.due_at("a") is None and timers.deadline == 2.0
    timers.clear()
    assert timers.deadline is None and timers.take_next(9.0) is None


def test_a_compacted_heap_begins_with_the_soonest_thing(monkeypatch) -> None:
    monkeypatch.setattr(timers_module, "_MOST_OUTDATED", 0)
    timers = timers_with(*((str(when), when) for when in (1.0, 2.0, 10.0, 3.0, 4.0, 11.0, 12.0)))
    for when in (2.0, 11.0, 12.0, 1.0):
        timers.cancel(str(when))
    assert (timers.deadline, len(timers._heap)) == (3.0, 3)


TIMES = st.floats(0, 100, allow_nan=False)
STEPS = st.lists(
    st.tuples(st.just("set"), st.sampled_from("abcde"), TIMES)
    | st.tuples(st.just("cancel"), st.sampled_from("abcde"), TIMES)
    | st.tuples(st.just("take"), st.none(), TIMES),
    max_size=60,
)


@given(STEPS)
def test_the_earliest_thing_is_found_whatever_was_replaced(steps) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timers_module, "_MOST_OUTDATED", 0)
        check_against_a_dictionary(steps)


def check_against_a_dictionary(steps) -> None:
    timers, expected = Timers(), dict[str, float]()
    for step, key, when in steps:
        if step == "set":
            timers.set(key, when, key)
            expected[key] = when
        elif step == "cancel":
            timers.cancel(key)
            expected.pop(key, None)
        else:
            first = min(expected, key=lambda key: (expected[key], key), default=None)
            is_due = first is not None and expected[first] <= when
            assert timers.take_next(when) == (first if is_due else None)
            if is_due:
                del expected[first]
        assert timers.deadline == min(expected.values(), default=None)
        assert len(timers) == len(expected)
        assert len(timers._heap) <= 2 * len(timers)
        assert {key: timers.due_at(key) for key in expected} == expected


def test_replaced_things_do_not_pile_up() -> None:
    timers = timers_with(("first", 0.0))
    for number in range(10_000):
        timers.set("typing", float(number), number)
    assert len(timers._heap) < 100
    assert timers.take_next(0.0) == "thing of first"
    assert timers.take_next(9_999.0) == 9_999
