"""The thread that keeps a lease: what a lease of an application may return and raise."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectycube import LeaseHeldError, LeaseLostError, LeaseStoreError
from connectycube._deadline import Deadline
from connectycube.chat.lease.keeper import Keeper
from tests.support.waiting import TIMEOUT, Gate, wait_until


class Own:
    """A lease of an application; each method may be replaced."""

    name = "bot"
    seconds: float | None = 30.0
    held_by: str | None = None

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self.released = threading.Event()
        vars(self).update(methods)

    def acquire(self, holder: str) -> int | None:
        return 1

    def renew(self, holder: str) -> bool:
        return True

    def release(self, holder: str) -> None:
        self.released.set()


@pytest.fixture
def keep() -> Iterator[Callable[..., Keeper]]:
    """Make keepers; the lease of each is given back at the end."""
    made: list[Keeper] = []

    def make(
        lease: Own,
        lost: Callable[[], None] = lambda: None,
        drained: Callable[[Deadline], bool] = lambda deadline: True,
    ) -> Keeper:
        made.append(Keeper(lease, "chat", lost, drained))
        return made[-1]

    yield make
    for keeper in made:
        keeper.end()
        keeper.wait_until_released(Deadline(TIMEOUT))


@pytest.mark.parametrize("result", [False, True, "1", 1.5, b"x", object()])
def test_acquire_returns_a_number_or_none(keep, result):
    keeper = keep(Own(acquire=lambda holder: result))
    with pytest.raises(LeaseStoreError, match="acquire must return a number, or None"):
        keeper.wait_until_held(Deadline(TIMEOUT))
    assert not keeper.hold.is_valid()


def test_zero_is_a_number(keep):
    keeper = keep(Own(acquire=lambda holder: 0))
    keeper.wait_until_held(Deadline(TIMEOUT))
    assert keeper.hold.fencing == 0


def test_an_error_of_the_lease_is_told_in_its_own_words(keep):
    def acquire(holder: str) -> int | None:
        raise LeaseStoreError("the disk is full")

    with pytest.raises(LeaseStoreError, match=r"cannot be asked for: the disk is full$"):
        keep(Own(acquire=acquire)).wait_until_held(Deadline(TIMEOUT))


def test_a_lease_that_does_not_answer_is_not_said_to_be_held(keep):
    with Gate() as gate:
        keeper = keep(Own(acquire=gate, held_by="one of an earlier login"))
        gate.wait_until_entered()
        with pytest.raises(LeaseHeldError, match="not answered in time") as caught:
            keeper.wait_until_held(Deadline(0.01))
        assert caught.value.holder is None


@pytest.mark.parametrize("error", [KeyError, SystemExit, GeneratorExit])
def test_a_renewal_may_raise_anything_until_the_time_is_over(keep, error):
    renewals: list[str] = []

    def renew(holder: str) -> bool:
        renewals.append(holder)
        if len(renewals) < 3:
            raise error("once more")
        return True

    lease = Own(renew=renew, seconds=2.0)
    keeper = keep(lease)
    keeper.wait_until_held(Deadline(TIMEOUT))
    wait_until(lambda: len(renewals) >= 3)
    assert keeper.hold.is_valid() and keeper.hold.loss is None
    assert not lease.released.is_set()


def test_a_keeper_that_fails_tells_before_it_gives_the_lease_back(keep):
    told: list[object] = []

    def drained(deadline: Deadline) -> bool:
        raise SystemExit("as of a defect")

    lease = Own()
    keeper = keep(lease, lambda: told.append((keeper.hold.loss, lease.released.is_set())), drained)
    keeper.wait_until_held(Deadline(TIMEOUT))
    keeper.close()
    keeper.wait_until_released(Deadline(TIMEOUT))
    ((loss, was_released),) = told
    assert isinstance(loss, LeaseLostError) and "as of a defect" in str(loss)
    assert not was_released and lease.released.is_set()


def test_what_is_told_of_a_loss_does_not_wait_for_itself(keep):
    """An observer may log out on this thread, which gives the lease back after that."""

    def lost() -> None:
        keeper.end()
        keeper.wait_until_released(Deadline(math.inf))
        told.set()

    told = threading.Event()
    keeper = keep(Own(renew=lambda holder: False, seconds=0.5), lost)
    keeper.wait_until_held(Deadline(TIMEOUT))
    assert told.wait(TIMEOUT)
