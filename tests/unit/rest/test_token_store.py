"""The token store in memory."""

from __future__ import annotations

import copy
import pickle
import threading
import time

import pytest

from connectycube import ArgumentTypeError, MemoryTokenStore
from tests.support.waiting import TIMEOUT


@pytest.fixture
def store():
    return MemoryTokenStore()


def test_a_value_is_kept_in_place_of_the_one_before(store):
    store.set("a", "1", 60)
    store.set("a", "2", 60)
    assert (store.get("a"), store.get("b")) == ("2", None)


def test_a_value_is_gone_after_its_time(store, monkeypatch):
    store.set("a", "1", 60)
    store.set("b", "1", 90)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert (store.get("a"), store.get("b")) == (None, "1")
    store.set("c", "1", 60)
    assert repr(store) == "<MemoryTokenStore: 2 sessions>"


def test_one_thread_at_a_time_has_the_lock_of_a_key(store):
    entered = threading.Event()

    def enter():
        with store.lock("a"):
            entered.set()

    thread = threading.Thread(target=enter)
    with store.lock("a"):
        thread.start()
        with store.lock("b"):
            assert not entered.wait(0.05)
    assert entered.wait(TIMEOUT)
    thread.join(TIMEOUT)


def test_a_store_belongs_to_one_process(store):
    for use in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ArgumentTypeError, match="MemoryTokenStore"):
            use(store)
