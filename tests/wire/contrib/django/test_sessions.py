"""Sessions of users that the workers of a site share through a cache of Django: ten backends, one cache."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connections
from django.test import override_settings

from connectycube import MemoryTokenStore, Timeouts
from connectycube.contrib.django import backends
from connectycube.contrib.django.conf import read_settings
from connectycube.contrib.django.identity import identity_of
from connectycube.contrib.django.models import ChatAccount
from connectycube.emulator import Emulator
from tests.support.observing import Requests
from tests.support.waiting import TIMEOUT

LATER = 7_201  # seconds: a session has ended by then
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "sessions"}


def identity_on_another_thread(token):
    def look():
        try:
            return identity_of(token)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result(TIMEOUT)


@pytest.fixture(scope="module")
def service():
    with Emulator(identity_provider=identity_on_another_thread) as emulator:
        yield emulator


class Workers:
    """Ten backends, as ten processes would have them."""

    def __init__(self, count):
        self.made = []
        self.backends = [backends.load(read_settings()) for _ in range(count)]

    def note(self, record):
        if record.method == "POST" and record.url.endswith("/session"):
            self.made.append(record)

    def at_once(self, call):
        """Call with each backend, all at once, on threads with a database connection of their own."""
        start = threading.Barrier(len(self.backends))

        def run(backend):
            start.wait(TIMEOUT)
            try:
                return call(backend)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(self.backends)) as pool:
            return list(pool.map(run, self.backends))

    def close(self):
        for backend in self.backends:
            backend.close()


@pytest.fixture
def workers(live, service):
    """``workers(by)``: ten of them, for users who are known in that way."""
    made = []

    def start(by, count=10, **more):
        changes = {
            "APP_ID": service.app_id,
            "AUTH_KEY": service.auth_key,
            "API_URL": service.api_url,
            "CA_FILE": service.ca_file,
            "OBSERVER": Requests(lambda record: found.note(record)),
            "TIMEOUTS": Timeouts(token_store=60, rest_read=120),
            "USERS": {"BY": by, "CACHE": "sessions"},
        }
        live(_others={"CACHES": {"default": LOCAL, "sessions": LOCAL}}, **{**changes, **more})
        caches["sessions"].clear()
        found = Workers(count)
        made.append(found)
        return found

    yield start
    for each in made:
        each.close()
        caches["sessions"].clear()
    service.reset()


@pytest.fixture
def ann(tables):
    return get_user_model().objects.create_user("ann", first_name="Ann", last_name="Lee")


@pytest.mark.parametrize("by", ["identity", "password"])
def test_ten_workers_make_and_renew_one_session_of_a_user(workers, service, ann, by):
    ten = workers(by)
    clients = ten.at_once(lambda backend: backend.client_for(ann))
    assert len({client.session.token for client in clients}) == 1
    assert len(ten.made) == 1
    (account,) = ChatAccount.objects.all()
    assert account.chat_id == clients[0].session.user_id

    service.clock.advance(LATER)
    of_backend = dict(zip(ten.backends, clients, strict=True))
    found = ten.at_once(lambda backend: of_backend[backend].users.get(account.chat_id).full_name)
    assert found == ["Ann Lee"] * 10
    assert len({client.session.token for client in clients}) == 1
    assert len(ten.made) == 2


def test_a_session_is_found_though_the_token_of_the_identity_is_another(workers, ann, monkeypatch):
    two = workers("identity", count=2)
    first, second = two.backends
    token = first.client_for(ann).session.token
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 60)  # the token is another one
    assert second.client_for(ann).session.token == token
    assert len(two.made) == 1


def test_another_secret_key_finds_no_session(workers, ann):
    two = workers("identity", count=2)
    token = two.backends[0].client_for(ann).session.token
    with override_settings(SECRET_KEY="the key of another site"):
        assert two.backends[1].client_for(ann).session.token != token


def test_a_store_of_the_setting_takes_the_place_of_the_cache(workers, ann):
    store = MemoryTokenStore()
    two = workers("password", count=2, TOKEN_STORE=store)
    tokens = {backend.client_for(ann).session.token for backend in two.backends}
    assert len(tokens) == 1
    assert repr(store) == "<MemoryTokenStore: 1 sessions>"


class Broken:
    """A cache that is away."""

    def __getattr__(self, name):
        raise ConnectionError("the cache is away")


def test_a_cache_that_is_away_costs_a_warning_and_no_request(workers, ann, monkeypatch, caplog):
    (one,) = workers("password", count=1).backends
    monkeypatch.setattr("connectycube.contrib.django.tokens.caches", {"sessions": Broken()})
    client = one.client_for(ann)
    assert client.users.get(client.session.user_id).full_name == "Ann Lee"
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.exc_info for record in warned] == [None]
    assert "Config.token_store failed (ConnectionError)" in warned[0].getMessage()
