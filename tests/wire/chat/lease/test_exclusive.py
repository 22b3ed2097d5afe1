"""The end of a connection with a lease, while another login begins with it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from connectycube import LeaseHeldError
from connectycube._deadline import Deadline
from connectycube.chat.lease.exclusive import Exclusive
from connectycube.chat.lease.keeper import Keeper
from tests.support.waiting import TIMEOUT, Gate


class Part:
    """A part of a connection, which forgets the last login with each lease."""

    hold = None

    def forget_last_login(self):
        pass


class Free:
    """A lease that is always free."""

    name = "bot"
    seconds = held_by = None

    def __init__(self):
        self.released = threading.Event()

    def acquire(self, holder):
        return 1

    def renew(self, holder):
        return True

    def release(self, holder):
        self.released.set()


class Connection:
    """A connection with a lease, as far as its end is concerned."""

    def __init__(self):
        self.is_closed = True
        self.exclusive = Exclusive(
            "chat", lambda: None, lambda deadline: True, lambda: self.is_closed
        )

    def begin(self, hold):
        parts = [Part(), Part(), SimpleNamespace(), SimpleNamespace()]
        self.exclusive.begin(hold, *parts)
        self.is_closed = False


@pytest.mark.parametrize("when", ["during the login", "after the login"])
def test_the_end_of_a_connection_keeps_the_lease_of_the_next_one(when):
    """Its thread may come to give the lease back when another login has begun with it."""
    connection, lease = Connection(), Free()
    exclusive = connection.exclusive
    with exclusive.holding(lease, Deadline(TIMEOUT)) as hold:
        connection.begin(hold)
    connection.is_closed = True
    with exclusive.holding(lease, Deadline(TIMEOUT)) as again:
        assert again is hold
        if when == "during the login":
            exclusive.close(hold)
        connection.begin(again)
    if when == "after the login":
        exclusive.close(hold)
    with exclusive.holding(lease, Deadline(TIMEOUT)) as still:
        assert still is hold and hold.is_valid()
    assert not lease.released.is_set()
    connection.is_closed = True
    exclusive.close(hold)
    assert lease.released.wait(TIMEOUT)


def test_a_lease_that_does_not_answer_is_waited_for_until_the_deadline(monkeypatch):
    connection, lease, releases = Connection(), Free(), []
    monkeypatch.setattr(
        Keeper, "wait_until_released", lambda keeper, deadline: releases.append(deadline)
    )
    with Gate() as gate:
        lease.acquire = gate
        with (
            pytest.raises(LeaseHeldError),
            connection.exclusive.holding(lease, Deadline(0.01)),
        ):
            raise AssertionError
    assert releases == [] and lease.released.wait(TIMEOUT)


def test_a_connection_without_a_lease_keeps_none_of_the_one_before():
    connection, lease = Connection(), Free()
    with connection.exclusive.holding(lease, Deadline(TIMEOUT)) as hold:
        connection.begin(hold)
    connection.is_closed = True
    connection.begin(None)
    connection.exclusive.close(hold)
    assert lease.released.wait(TIMEOUT)
