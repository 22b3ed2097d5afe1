"""The token store on a cache of Django: values, locks, and nothing that stays open."""

from __future__ import annotations

import threading

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from connectycube import Config
from connectycube.contrib.django import CacheTokenStore, tokens
from tests.support.waiting import TIMEOUT, wait_until

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tokens"},
    "table": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "tokens"},
}


@pytest.fixture(params=["memory", "table"])
def store(request, tables):
    with override_settings(CACHES=CACHES):
        call_command("createcachetable", verbosity=0)
        caches[request.param].clear()
        connections.close_all()
        yield CacheTokenStore(request.param)
        caches[request.param].clear()


def is_nothing_open():
    return [each.connection for each in connections.all(initialized_only=True)] in ([], [None])


def test_a_value_is_found_until_another_takes_its_place(store):
    assert store.get("a") is None
    store.set("a", "1", 60)
    store.set("a", "2", 60)
    assert (store.get("a"), store.get("b")) == ("2", None)
    assert Config(app_id=1, auth_key="key", token_store=store).token_store is store


def test_no_connection_to_a_database_stays_open(store):
    store.set("a", "1", 60)
    assert is_nothing_open()
    store.get("a")
    assert is_nothing_open()
    with store.lock("b"):
        assert is_nothing_open()
    assert is_nothing_open()


def test_one_thread_at_a_time_is_inside_a_lock(store):
    inside, most, lock = [], [], threading.Lock()

    def enter():
        with store.lock("key"):
            with lock:
                inside.append(1)
                most.append(len(inside))
            with lock:
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert most == [1] * 8


def test_a_lock_whose_time_is_over_is_left_to_its_next_owner(store):
    with store.lock("key"):
        caches[store.alias].set("key", "of another thread", 60)
    assert caches[store.alias].get("key") == "of another thread"


def test_a_lock_that_never_becomes_free_is_an_error(store, monkeypatch):
    monkeypatch.setattr(tokens, "_LOCK_SECONDS", 0.01)
    caches[store.alias].set("key", "of another thread", 60)
    with pytest.raises(TimeoutError, match="was not free in time"), store.lock("key"):
        pass


def test_a_lock_ends_by_itself_if_its_process_was_killed(store, monkeypatch):
    monkeypatch.setattr(tokens, "_LOCK_SECONDS", 1)
    store.lock("key").__enter__()  # and never left
    monkeypatch.setattr(tokens, "_LOCK_SECONDS", 30)
    entered = threading.Event()

    def enter():
        with store.lock("key"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    wait_until(entered.is_set)
    thread.join(TIMEOUT)


def test_a_cache_that_keeps_nothing_locks_nothing(tables):
    with override_settings(CACHES=CACHES):
        store = CacheTokenStore()
        store.set("a", "1", 60)
        with store.lock("key"), store.lock("key"):
            assert store.get("a") is None
    assert repr(store) == "<CacheTokenStore 'default'>"
