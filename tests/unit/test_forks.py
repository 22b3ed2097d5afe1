"""What is called in a forked child, without a fork."""

from __future__ import annotations

import pytest

from connectycube import _forks as forks


class Thing:
    """Something that has a lock of its own, and may fail to replace it."""

    def __init__(self, error=None):
        self.error = error
        self.was_told = False

    def _after_fork_in_child(self):
        self.was_told = True
        if self.error is not None:
            raise self.error


def test_one_thing_that_fails_does_not_spare_the_others(monkeypatch):
    error = OSError("bad descriptor")
    things = [Thing(), Thing(error), Thing()]
    monkeypatch.setattr(forks, "_inherited", things)
    with pytest.raises(OSError) as caught:
        forks._replace_inherited()
    assert caught.value is error
    assert [thing.was_told for thing in things] == [True] * 3


def test_what_is_gone_is_not_told(monkeypatch):
    monkeypatch.setattr(forks, "_inherited", type(forks._inherited)())
    kept = Thing()
    forks.register_for_fork(kept)
    forks.register_for_fork(Thing())
    assert list(forks._inherited) == [kept]


def test_without_such_a_page_the_number_of_the_process_tells(monkeypatch):
    monkeypatch.setattr(forks, "_WIPE_ON_FORK", -1)
    mark = forks._owner_mark()
    assert mark[0] == 1
    monkeypatch.setattr(forks, "_owner", -1)
    assert mark[0] == 0
