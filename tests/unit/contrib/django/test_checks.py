"""The system checks: each id, its sentence, and that none uses the network."""

from __future__ import annotations

import tempfile

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.urls import path

from connectycube import MemoryTokenStore
from connectycube.contrib.django import IdentityView
from connectycube.contrib.django.checks import check_settings
from tests.support.django_setup import LOCMEM

GOOD = {"APP_ID": 7, "AUTH_KEY": "key", "LEASE_SECONDS": 15}
BOT = {"LOGIN": "bot", "PASSWORD": "a password"}


@pytest.fixture(autouse=True)
def _no_test_runner(monkeypatch):
    """As manage.py check: Django's test runner, which makes this list, turns DEBUG off."""
    monkeypatch.delattr(mail, "outbox", raising=False)


@pytest.fixture
def found(setting):
    """``found({…})``: the messages for a setting, by id."""

    def check(value, **others):
        setting(value, **{"DEBUG": True, **others})
        messages = check_settings(app_configs=None)
        assert all(message.hint and message.msg for message in messages)
        return {message.id.removeprefix("connectycube."): message.msg for message in messages}

    return check


def test_a_good_setting_has_no_messages(found):
    assert found({**GOOD, "BOTS": {"default": BOT}}) == {}


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        ({**GOOD, "TYPO": 1}, "E001"),
        ({"AUTH_KEY": "k"}, "E002"),
        ({**GOOD, "BACKEND": "no.such.module"}, "E002"),
        ({**GOOD, "BACKEND": "json"}, "E002"),
        ({**GOOD, "BOTS": {"a": {}}}, "E003"),
        ({**GOOD, "DURABLE": "/bots/bot.db", "BOTS": {"a": BOT, "b": BOT}}, "E004"),
    ],
)
def test_what_is_wrong_is_an_error(found, raw, id):
    assert set(found(raw)) == {id}


class Urls:
    """A URLconf."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


def test_identity_needs_a_url_of_the_view(found):
    users = {**GOOD, "USERS": {"BY": "identity"}}
    caches = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}}
    assert set(found(users, ROOT_URLCONF=Urls(), CACHES=caches)) == {"E005"}
    assert set(found(users, ROOT_URLCONF=None, CACHES=caches)) == {"E005"}

    class Own(IdentityView):
        pass

    inner = ([path("who/", Own.as_view())], "app", "app")
    urls = Urls(path("chat/", inner))
    assert found(users, ROOT_URLCONF=urls, CACHES=caches) == {}
    by_password = {**GOOD, "USERS": {"BY": "password"}}
    assert found(by_password, ROOT_URLCONF=Urls(), CACHES=caches) == {}


@pytest.mark.parametrize(
    "here",
    [
        {"API_URL": "http://127.0.0.1:8080"},
        {"API_URL": "http://[::1]:8"},
        {"CHAT_HOST": "localhost"},
    ],
)
def test_an_emulator_without_debug_is_a_warning(found, here, monkeypatch):
    assert set(found({**GOOD, **here}, DEBUG=False)) == {"W001"}
    assert found({**GOOD, **here}) == {}
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    assert found({**GOOD, **here}, DEBUG=False) == {}, "within the test runner"


def test_a_certificate_in_a_temporary_folder_is_a_warning(found, tmp_path, monkeypatch):
    file = tmp_path / "ca.pem"
    file.write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert set(found({**GOOD, "CA_FILE": str(file)})) == {"W002"}
    emulator = {**GOOD, "CA_FILE": str(file), "API_URL": "http://127.0.0.1:8"}
    assert found(emulator) == {}, "the emulator's own, while somebody develops"
    assert set(found(emulator, DEBUG=False)) == {"W001", "W002"}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "other"))
    assert found({**GOOD, "CA_FILE": file}) == {}


@pytest.fixture
def database_is(monkeypatch):
    """``database_is(CONN_MAX_AGE=60)`` changes the setting of the default database."""

    def change(**changes):
        for name, value in changes.items():
            monkeypatch.setitem(django_settings.DATABASES["default"], name, value)

    return change


def test_connections_that_are_kept_need_health_checks(found, database_is):
    bots = {**GOOD, "BOTS": {"default": BOT}}
    database_is(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False)
    assert set(found(bots)) == {"W003"}
    assert found(GOOD) == {}, "there is no bot"
    database_is(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
    assert found(bots) == {}


def test_several_workers_and_sqlite_is_a_warning(found, database_is):
    bots = {**GOOD, "BOTS": {"default": {**BOT, "WORKERS": 2}}}
    assert set(found(bots)) == {"W004"}
    database_is(ENGINE="django.db.backends.postgresql")
    assert found(bots) == {}


def test_locmem_without_debug_is_a_warning(found):
    assert set(found({**GOOD, "BACKEND": LOCMEM}, DEBUG=False)) == {"W005"}
    assert found({**GOOD, "BACKEND": LOCMEM}) == {}


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT"])
def test_a_file_that_the_web_server_shows_is_a_warning(found, tmp_path, name):
    bots = {**GOOD, "BOTS": {"default": {**BOT, "DURABLE": tmp_path / "bots" / "bot.db"}}}
    assert set(found(bots, **{name: tmp_path})) == {"W006"}
    assert found(bots, **{name: tmp_path / "bot"}) == {}


def test_a_file_that_depends_on_the_folder_of_the_start_is_a_warning(found, tmp_path):
    assert set(found({**GOOD, "BOTS": {"default": {**BOT, "DURABLE": "bot.db"}}})) == {"W008"}
    absolute = {**GOOD, "BOTS": {"default": {**BOT, "DURABLE": tmp_path / "bot.db"}}}
    assert found(absolute) == {}


def test_every_database_is_looked_at(found, monkeypatch):
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "a"}
    kept = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 60}
    monkeypatch.setitem(django_settings.DATABASES, "orders", kept)
    monkeypatch.setitem(django_settings.DATABASES, "logs", sqlite)
    messages = found({**GOOD, "BOTS": {"default": {**BOT, "WORKERS": 2}}})
    assert "'orders' has CONN_MAX_AGE" in messages["W003"]
    assert "'logs' is SQLite" in messages["W004"], "the last of them"


def test_a_token_store_of_the_setting_needs_no_cache(found):
    users = {**GOOD, "USERS": {"BY": "password"}, "TOKEN_STORE": MemoryTokenStore()}
    assert found(users) == {}


def test_a_cache_of_each_process_is_a_warning(found):
    users = {**GOOD, "USERS": {"BY": "password", "CACHE": "default"}}
    assert set(found(users)) == {"W007"}
    shared = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    assert found(users, CACHES=shared) == {}
    assert found(GOOD) == {}, "no user logs in"
