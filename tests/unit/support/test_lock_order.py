"""The watch over locks: a circle among them is found although no thread ever waited."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.lock_order import LockOrder, ordered


class Place:
    """Locks that are named like attributes of this module."""

    def __init__(self, make: dict[str, Callable[..., Any]]) -> None:
        self.first = make["Lock"]()
        self.second = make["RLock"]()
        self.third = make["Condition"]()
        self.fourth = make["Condition"](self.first)


@pytest.fixture
def order() -> LockOrder:
    return LockOrder()


@pytest.fixture
def place(order: LockOrder) -> Place:
    return Place(ordered(order, __name__))


def name(attribute: str) -> str:
    return f"{__name__}.{attribute}"


def test_two_locks_in_both_orders_are_a_circle(order: LockOrder, place: Place) -> None:
    with place.first, place.second:
        pass
    assert not order.circles
    with place.second, place.first:
        pass
    (circle,) = order.circles
    assert f"{name('first')} while {name('second')} was held" in circle
    assert f"{name('second')} while {name('first')} was held" in circle
    assert "test_two_locks_in_both_orders_are_a_circle" in circle


def test_three_locks_can_be_a_circle(order: LockOrder, place: Place) -> None:
    for one, other in (("first", "second"), ("second", "third"), ("third", "first")):
        assert not order.circles
        with getattr(place, one), getattr(place, other):
            pass
    assert len(order.circles) == 1


def test_the_same_locks_in_one_order_are_none(order: LockOrder, place: Place) -> None:
    for _ in range(2):
        with place.first, place.second, place.third:
            pass
    assert not order.circles
    names = [name(attribute) for attribute in ("first", "second", "third")]
    assert order.pairs == {(names[0], names[1]), (names[0], names[2]), (names[1], names[2])}


def test_two_threads_make_one_order(order: LockOrder, place: Place) -> None:
    def backwards() -> None:
        with place.second, place.first:
            pass

    with place.first, place.second:
        pass
    thread = threading.Thread(target=backwards)
    thread.start()
    thread.join()
    assert len(order.circles) == 1


def test_two_instances_of_one_lock_have_an_order_too(order: LockOrder) -> None:
    make = ordered(order, __name__)
    one, other = Place(make), Place(make)
    for _ in range(2):
        with one.first, other.first:
            pass
    assert not order.circles
    with other.first, one.first:
        pass
    assert len(order.circles) == 1


def test_a_lock_that_is_held_already_is_no_pair(order: LockOrder, place: Place) -> None:
    with place.second, place.first, place.second:
        pass
    assert order.pairs == {(name("second"), name("first"))}
    assert order.held == []


def test_an_attempt_that_does_not_wait_is_no_pair(order: LockOrder, place: Place) -> None:
    with place.second:
        assert place.first.acquire(blocking=False)
        place.first.release()
    assert order.pairs == set()


@pytest.mark.parametrize("attribute", ["third", "fourth"])
def test_a_condition_gives_up_its_lock_while_it_waits(
    order: LockOrder, place: Place, attribute: str
) -> None:
    condition = getattr(place, attribute)
    met = []

    def meet() -> None:
        with condition:
            met.append(list(order.held))
            condition.notify()

    thread = threading.Thread(target=meet)
    with condition:
        thread.start()
        assert condition.wait_for(lambda: met, 10)
        assert len(order.held) == 1
    thread.join()
    assert order.held == [] and len(met[0]) == 1


def test_a_condition_waits_again_under_other_locks(order: LockOrder, place: Place) -> None:
    with place.first, place.third:
        place.third.wait(0)
        assert [lock.name for lock in order.held] == [name("first"), name("third")]
    with place.third, place.second:
        # It acquires its own lock again while it holds the other.
        place.third.wait(0)
    assert len(order.circles) == 1


def test_locks_of_others_are_not_watched(order: LockOrder) -> None:
    place = Place(ordered(order, "elsewhere"))
    with place.first, place.second, place.third:
        pass
    assert order.pairs == set()


def test_the_session_watches_the_locks_of_the_package() -> None:
    from connectycube import Message
    from connectycube.chat.signals import Signal
    from tests.support.lock_order import OrderedLock

    assert isinstance(Signal("name", Message, "doc")._lock, OrderedLock)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_class_may_keep_the_function_that_makes_its_locks(order: LockOrder, kind: str) -> None:
    """As werkzeug's Map does, which may be imported while locks are watched."""
    keeper = type("Keeper", (), {"lock_class": ordered(order, __name__)[kind]})
    with keeper().lock_class():
        pass
