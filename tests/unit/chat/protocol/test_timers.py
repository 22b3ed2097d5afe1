from __future__ import annotations

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
