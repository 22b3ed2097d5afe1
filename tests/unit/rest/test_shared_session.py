"""The sessions in a token store: their keys and values, and stores that fail or are slow."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Config, MemoryTokenStore, Session, Timeouts
from connectycube.rest import _shared_session
from connectycube.rest._http import CallDeadline
from connectycube.rest._shared_session import SharedSessions
from tests.support.waiting import TIMEOUT, Gate, wait_until

PASSWORD = "a password 5ec4e7c0de"
BOB = {"user": {"login": "bob", "password": PASSWORD}}
TOKEN = "token-1-5ec4e7c0de"
MADE = Session(token=TOKEN, user_id=5)
OTHER = Session(token="token-2-5ec4e7c0de", user_id=5)


class Recorder(MemoryTokenStore):
    """A store that notes how it was used, and fails or waits where a test says so."""

    def __init__(self, **faults):
        super().__init__()
        self.uses = []
        self.faults = faults

    def _note(self, *use):
        self.uses.append(use)
        fault = self.faults.get(use[0])
        if fault is not None:
            fault()

    def get(self, key):
        self._note("get", key)
        return super().get(key)

    def set(self, key, value, seconds):
        self._note("set", key, value, seconds)
        super().set(key, value, seconds)

    def lock(self, key):
        self._note("lock", key)
        return super().lock(key)


def place_of(store, credentials=BOB, *, seconds=TIMEOUT, clock=lambda: None, **fields):
    fields = {"app_id": 7, "auth_key": "an-auth-key-5ec4e7c0de", **fields}
    config = Config(**fields, token_store=store, timeouts=Timeouts(token_store=seconds))
    return SharedSessions(config).session_of(credentials, clock)


def obtain(place, made=MADE, *, stale=None, seconds=60.0):
    return place.obtain(stale, CallDeadline(seconds), lambda deadline: made)


def never(deadline):
    raise AssertionError("a session was made")


def fail():
    raise ConnectionError(f"the store repeats {TOKEN}")


# --- keys


def test_a_key_says_nothing_and_is_short():
    key = place_of(MemoryTokenStore()).key
    assert key.startswith("connectycube:session:") and key.isascii() and len(key) < 100
    assert not any(word in key for word in ("bob", PASSWORD, "5ec4e7c0de"))


@pytest.mark.parametrize(
    "other",
    [
        {"app_id": 8},
        {"auth_key": "another-key-5ec4e7c0de"},
        {"api_url": "https://api.example.org"},
        {"credentials": {"user": {"login": "bob", "password": "another"}}},
        {"credentials": {"user": {"login": "bobby", "password": PASSWORD}}},
        {"credentials": {"user": {"email": "bob", "password": PASSWORD}}},
        {"credentials": {"user": {"login": "bob"}}},
        {"credentials": {"provider": "facebook", "keys": {"token": "bob"}}},
    ],
)
def test_other_applications_endpoints_and_users_have_other_keys(other):
    assert place_of(MemoryTokenStore(), **other).key != place_of(MemoryTokenStore()).key


def test_equal_configurations_and_credentials_have_one_key():
    ours = place_of(MemoryTokenStore(), api_url="https://api.example.org")
    theirs = place_of(MemoryTokenStore(), dict(BOB), api_url="https://api.example.org/")
    assert ours.key == theirs.key


# --- values

PLACE = SharedSessions(Config(app_id=7, auth_key="an-auth-key", token_store=MemoryTokenStore()))


def test_a_value_is_the_token_the_user_and_the_end():
    now = datetime.now(timezone.utc).replace(microsecond=0)
    store = Recorder()
    place = place_of(store, clock=now.timestamp)
    made = Session(token=TOKEN, user_id=5, expires_at=now + timedelta(seconds=100))
    assert obtain(place, made) == made
    key, value, seconds = store.uses[-1][1:]
    kept = {"token": TOKEN, "user_id": 5, "expires_at": int(now.timestamp()) + 100}
    assert (key, json.loads(value), seconds) == (place.key, {"key": key, **kept}, 100)
    assert obtain(place, None) == made


@pytest.mark.parametrize(
    ("expires_in", "seconds"), [(None, 7200), (0.9, None), (-5, None), (10**9, 2_592_000)]
)
def test_a_value_is_kept_as_long_as_the_session_lives(expires_in, seconds):
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    end = None if expires_in is None else now + timedelta(seconds=expires_in)
    store = Recorder()
    obtain(place_of(store, clock=now.timestamp), Session(token=TOKEN, user_id=5, expires_at=end))
    assert [use[3] for use in store.uses if use[0] == "set"] == (
        [] if seconds is None else [seconds]
    )


def test_a_lock_never_has_the_key_of_a_value():
    store = Recorder()
    place = place_of(store)
    obtain(place)
    assert ("lock", f"{place.key}:lock") in store.uses
    assert {use[1] for use in store.uses if use[0] != "lock"} == {place.key}


def test_a_session_that_is_found_is_not_made():
    store = MemoryTokenStore()
    obtain(place_of(store))
    assert place_of(store).obtain(None, CallDeadline(60), never) == MADE


def test_a_value_of_another_key_is_not_taken(caplog):
    """As of a store that mixes up its keys: the session would be another user's."""
    store = MemoryTokenStore()
    theirs = place_of(store, {"user": {"login": "eve", "password": PASSWORD}})
    obtain(theirs, Session(token="of-eve-5ec4e7c0de", user_id=6))
    ours = place_of(store)
    store.set(ours.key, store.get(theirs.key), 60)
    assert obtain(ours) == MADE
    assert "another value" in caplog.text
    assert place_of(store).obtain(None, CallDeadline(60), never) == MADE


def test_a_value_may_be_bytes():
    store = MemoryTokenStore()
    store.get = lambda key: json.dumps({"token": TOKEN, "user_id": 5}).encode()
    assert place_of(store).obtain(None, CallDeadline(60), never) == MADE


def test_the_session_that_ended_is_not_taken_from_the_store():
    store = MemoryTokenStore()
    obtain(place_of(store))
    assert obtain(place_of(store), OTHER, stale=MADE) == OTHER
    assert place_of(store).obtain(MADE, CallDeadline(60), never) == OTHER


def test_a_session_whose_time_is_over_is_not_taken():
    store, now = Recorder(), datetime(2026, 1, 1, tzinfo=timezone.utc)
    ending = Session(token=TOKEN, user_id=5, expires_at=now + timedelta(seconds=100))
    obtain(place_of(store, clock=now.timestamp), ending)
    later = place_of(store, clock=lambda: now.timestamp() + 100)
    assert obtain(later, OTHER) == OTHER


@given(
    token=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=99),
    user_id=st.integers(1, 2**63),
    expires_at=st.none() | st.integers(1_800_000_000, 253_402_300_799),
)
def test_every_session_is_read_as_it_was_written(token, user_id, expires_at):
    end = None if expires_at is None else datetime.fromtimestamp(expires_at, timezone.utc)
    made = Session(token=token, user_id=user_id, expires_at=end)
    place = PLACE.session_of(BOB, lambda: 1_799_999_999.0)
    value, _ = place._value(made, None)
    assert place.read(value, None) == made


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        "[]",
        "5",
        5,
        ["a"],
        b"\xff",
        "{}",
        '{"token": "t"}',
        '{"token": "", "user_id": 5}',
        '{"token": 5, "user_id": 5}',
        '{"token": "a\\r\\nb", "user_id": 5}',
        '{"token": "t", "user_id": true}',
        '{"token": "t", "user_id": 0}',
        '{"token": "t", "user_id": 5, "expires_at": 1e400}',
        '{"token": "t", "user_id": 5, "expires_at": 99999999999999}',
        "[" * 4000,
        '{"token": "t", "user_id": 5, "x": "' + "x" * 5000 + '"}',
    ],
)
def test_a_value_of_others_is_replaced_with_one_warning(value, caplog):
    store = MemoryTokenStore()
    place = place_of(store)
    store.set(place.key, value, 60)
    assert obtain(place) == MADE
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert obtain(place, None) == MADE


def test_a_session_of_another_user_takes_the_place_of_none(caplog):
    store = MemoryTokenStore()
    place = place_of(store)
    obtain(place, Session(token="of-another-5ec4e7c0de", user_id=6))
    assert obtain(place, OTHER, stale=MADE) == OTHER
    assert "another value" in caplog.text


@pytest.mark.parametrize("user_id", [None, 6])
def test_a_session_that_may_be_of_another_user_is_not_kept(user_id):
    store = Recorder()
    obtain(place_of(store), Session(token="new-5ec4e7c0de", user_id=user_id), stale=MADE)
    assert "set" not in [use[0] for use in store.uses]


def test_a_session_that_was_ended_leaves_the_store():
    store = MemoryTokenStore()
    place = place_of(store)
    obtain(place)
    place.forget(OTHER, CallDeadline(60))
    assert obtain(place, None) == MADE
    place.forget(MADE, CallDeadline(60))
    assert obtain(place, OTHER) == OTHER


# --- stores that fail or are slow


@pytest.mark.parametrize("method", ["get", "set", "lock"])
def test_a_store_that_raises_costs_a_warning(method, caplog):
    assert obtain(place_of(Recorder(**{method: fail}))) == MADE
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "failed (ConnectionError)" in record.getMessage() and TOKEN not in caplog.text


@pytest.mark.parametrize("step", ["__enter__", "__exit__"])
def test_a_lock_that_raises_costs_a_warning(step, caplog):
    class Lock:
        def __enter__(self):
            if step == "__enter__":
                fail()

        def __exit__(self, *_):
            if step == "__exit__":
                fail()

    store = MemoryTokenStore()
    store.lock = lambda key: Lock()
    assert obtain(place_of(store)) == MADE
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("method", ["get", "set", "lock"])
def test_a_store_that_is_slow_costs_a_warning(method, caplog):
    with Gate() as gate:
        assert obtain(place_of(Recorder(**{method: gate}), seconds=0.05)) == MADE
        (record,) = caplog.records
        assert record.levelname == "WARNING" and "took too long" in record.getMessage()


def test_a_slow_store_takes_half_of_the_time_of_a_call(monkeypatch):
    waits = []
    monkeypatch.setattr(CallDeadline, "remaining", lambda deadline: 0.4)
    monkeypatch.setattr(_shared_session, "wait", lambda _, timeout: waits.append(timeout))
    monkeypatch.setattr(threading.Thread, "join", lambda thread, timeout: waits.append(timeout))
    with Gate() as gate:
        assert obtain(place_of(Recorder(get=gate))) == MADE
    monkeypatch.undo()
    assert waits == [0.2]  # once: not again after the session was made


def test_a_store_that_makes_a_session_itself_is_asked_once(caplog):
    store = MemoryTokenStore()
    place, get, gets = place_of(store), store.get, []

    def get_and_make(key):
        gets.append(key)
        if len(gets) < 5:
            assert obtain(place) == MADE
        return get(key)

    store.get = get_and_make
    assert obtain(place, OTHER) == OTHER
    assert len(gets) == 2 and caplog.records == []  # before the lock, and inside it


def test_a_lock_that_another_process_keeps_is_not_waited_for(caplog):
    store = Recorder()
    place = place_of(store, seconds=0.05)
    with store.lock(f"{place.key}:lock"):
        assert obtain(place) == MADE
    wait_until(lambda: not _store_threads())
    assert "set" not in [use[0] for use in store.uses] and "took too long" in caplog.text


def _store_threads():
    return [each for each in threading.enumerate() if each.name == "connectycube-token-store"]


def test_a_store_that_answers_nothing_is_not_asked_for_ever(caplog):
    with Gate() as gate:
        store = Recorder(get=gate)
        place = place_of(store, seconds=0.01)
        for _ in range(12):
            assert obtain(place) == MADE
        assert len(_store_threads()) == 8
        assert "is not asked" in caplog.text
        gate.open()
        wait_until(lambda: not _store_threads())
        assert obtain(place) == MADE
        assert len(store.uses) > 8


def test_without_a_thread_the_session_is_made(monkeypatch, caplog):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert obtain(place_of(MemoryTokenStore())) == MADE
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_making_a_session_raises_frees_the_lock(caplog):
    def refuse(deadline):
        raise KeyError("refused")

    place = place_of(MemoryTokenStore())
    with pytest.raises(KeyError, match="refused"):
        place.obtain(None, CallDeadline(60), refuse)
    assert obtain(place) == MADE
    assert caplog.records == []


def test_a_session_within_the_making_of_one_needs_no_lock(caplog):
    store = MemoryTokenStore()
    place = place_of(store)
    assert place.obtain(None, CallDeadline(60), lambda deadline: obtain(place)) == MADE
    assert caplog.records == []
    assert obtain(place, None) == MADE


def test_of_many_threads_one_makes_the_session():
    store, made, results = MemoryTokenStore(), [], []
    start = threading.Barrier(20)

    def create(deadline):
        made.append(1)
        return MADE

    def ask():
        place = place_of(store, seconds=60)
        start.wait(TIMEOUT)
        results.append(place.obtain(None, CallDeadline(60), create))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(made), results) == (1, [MADE] * 20)
