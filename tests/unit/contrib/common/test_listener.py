"""The lease of a listener tells when another process has it."""

from __future__ import annotations

import pytest

from connectycube import FileLease, Lease
from connectycube.contrib.common.listener import AnnouncedLease, HeldElsewhereError


@pytest.fixture
def held(tmp_path):
    """A lease that "a" holds."""
    lease = FileLease(tmp_path / "lease")
    assert lease.acquire("a")
    yield lease
    lease.release("a")


def test_another_holder_is_told_of_once(held):
    told = []
    lease = AnnouncedLease(held, told.append)
    assert isinstance(lease, Lease)
    assert [lease.acquire("b"), lease.acquire("b")] == [None, None]
    assert (told, lease.is_awaited, lease.held_by) == (["a"], True, "a")


def test_a_lease_that_is_lost_and_refused_again_is_told_of_again(held):
    told = []
    lease = AnnouncedLease(held, told.append)
    lease.acquire("b")
    held.release("a")
    assert lease.acquire("b")
    assert not lease.is_awaited
    assert lease.renew("b")
    lease.release("b")
    assert held.acquire("a")
    assert lease.acquire("b") is None
    assert told == ["a", "a"]


def test_what_is_raised_about_another_holder_ends_the_login(held):
    def refuse(holder):
        raise HeldElsewhereError(holder)

    with pytest.raises(HeldElsewhereError, match="a"):
        AnnouncedLease(held, refuse).acquire("b")
