"""The setting CONNECTYCUBE: what it says, what fills it, and what is wrong with it."""

from __future__ import annotations

import pytest
from attrs import fields
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError

from connectycube import Config, Handling, ReconnectPolicy
from connectycube.contrib.django.conf import LIVE, LOCMEM, read, read_settings

GOOD = {"APP_ID": 7, "AUTH_KEY": "key"}
BOT = {"LOGIN": "bot", "PASSWORD": "a password"}


def problems(raw, environ=None):
    """The id and the sentence of each problem."""
    return [(problem.id, problem.text) for problem in read(raw, environ or {})[1]]


def good(raw, environ=None):
    settings, wrong = read(raw, environ or {})
    assert wrong == []
    return settings


def test_the_environment_fills_what_is_missing():
    environ = {
        "CONNECTYCUBE_APP_ID": "5",
        "CONNECTYCUBE_AUTH_KEY": "k",
        "CONNECTYCUBE_CHAT_PORT": "9",
    }
    assert good({}, environ).config.app_id == 5
    settings = good({"APP_ID": 7, "AUTH_KEY": None}, environ)
    assert (settings.config.app_id, settings.config.auth_key) == (7, "k")
    assert settings.config.chat_port == 9


def test_a_bot_has_the_fields_of_the_application_and_its_own():
    raw = {**GOOD, "WORKERS": 2, "BOTS": {"a": BOT, "b": {**BOT, "WORKERS": 3, "DURABLE": "b.db"}}}
    bots = good(raw).bots
    assert [bots[name].config.workers for name in "ab"] == [2, 3]
    assert [bots[name].config.durable for name in "ab"] == [None, "b.db"]
    assert bots["a"].credentials == {"login": "bot", "password": "a password"}
    assert "a password" not in repr(bots["a"])


def test_a_bot_comes_back_for_ever_unless_the_setting_says_otherwise():
    assert good({**GOOD, "BOTS": {"a": BOT}}).bots["a"].config.reconnect.max_attempts is None
    table = {**GOOD, "RECONNECT": {"MAX_ATTEMPTS": 3}}
    assert good(table).config.reconnect == ReconnectPolicy(max_attempts=3)
    policy = ReconnectPolicy(max_attempts=2)
    assert good({**GOOD, "RECONNECT": policy}).config.reconnect == policy


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed")])
@pytest.mark.parametrize(
    "transient", [None, lambda error: False, TimeoutError, (TimeoutError, EOFError)]
)
def test_a_database_that_is_away_is_transient_for_every_bot(error, transient):
    raw = {} if transient is None else {"HANDLING": Handling(transient=transient)}
    own = {**BOT, "HANDLING": {"DELAY": 0.2}}
    settings = good({**GOOD, **raw, "BOTS": {"a": BOT, "b": own}})
    for bot in settings.bots.values():
        assert bot.config.handling.transient(error)
        assert not bot.config.handling.transient(ValueError())
    assert settings.bots["b"].config.handling.delay == 0.2


def test_the_backends_without_a_network_need_no_credentials():
    assert good({"BACKEND": LOCMEM}).config.app_id == 1
    assert good(GOOD).backend == LIVE


@pytest.mark.parametrize(
    ("raw", "id", "text"),
    [
        ([], "E002", "CONNECTYCUBE must be a dictionary, not list"),
        (
            {**GOOD, "LOGIN": "x"},
            "E001",
            """belongs to a bot, as "BOTS": {"default": {"LOGIN": …}}""",
        ),
        ({**GOOD, "APPID": 1}, "E001", "unknown key 'APPID': did you mean APP_ID?"),
        ({**GOOD, "app_id": 1}, "E001", "unknown key 'app_id': did you mean APP_ID?"),
        ({**GOOD, 3: 1}, "E001", "unknown key 3: there are: BACKEND"),
        ({"AUTH_KEY": "k"}, "E002", "['APP_ID'] is missing, and CONNECTYCUBE_APP_ID is not set"),
        ({"APP_ID": 1}, "E002", "['AUTH_KEY'] is missing"),
        ({"APP_ID": "1", "AUTH_KEY": "k"}, "E002", "['APP_ID'] is wrong: app_id must be"),
        ({**GOOD, "AUTH_KEY": ""}, "E002", "['AUTH_KEY'] is wrong: auth_key"),
        ({**GOOD, "WORKERS": 0}, "E002", "['WORKERS'] is wrong: workers must be at least 1"),
        ({**GOOD, "WORKERS": True}, "E002", "['WORKERS'] is wrong: workers must be an int"),
        ({**GOOD, "CHAT_PORT": "x"}, "E002", "['CHAT_PORT'] is wrong: chat_port"),
        ({**GOOD, "API_URL": "http://api.example.com"}, "E002", "api_url is plain http"),
        ({**GOOD, "CA_FILE": "/none"}, "E002", "ca_file is not the path of a file"),
        (
            {**GOOD, "RECONNECT": {"ATTEMPTS": 1}},
            "E002",
            "unknown key 'ATTEMPTS': did you mean MAX",
        ),
        ({**GOOD, "TIMEOUTS": 5}, "E002", "['TIMEOUTS'] is wrong: timeouts must be a Timeouts"),
        ({**GOOD, "CLIENT_KEY": "x"}, "E002", "client_key"),
        ({**GOOD, "BACKEND": 3}, "E002", "BACKEND must be a str"),
        ({**GOOD, "BOTS": []}, "E002", "['BOTS'] must be a dictionary, not list"),
        ({**GOOD, "BOTS": {"a": "bot"}}, "E002", "['BOTS']['a'] must be a dictionary, not str"),
        ({**GOOD, "BOTS": {"a": {**BOT, "LOGNI": 1}}}, "E001", "'LOGNI': did you mean LOGIN?"),
        ({**GOOD, "BOTS": {"a": {**BOT, "LOGIN": 1}}}, "E002", "LOGIN must be a str"),
        ({**GOOD, "BOTS": {"a": {**BOT, "EMAIL": "x"}}}, "E002", "has LOGIN and EMAIL"),
        ({**GOOD, "BOTS": {"a": {**BOT, "WORKERS": "2"}}}, "E002", "['a']['WORKERS'] is wrong"),
        ({**GOOD, "BOTS": {"a": {}}}, "E003", "['a'] has no LOGIN (or EMAIL)"),
        ({**GOOD, "BOTS": {"a": {"LOGIN": "x", "PASSWORD": None}}}, "E003", "has no PASSWORD"),
        ({**GOOD, "USERS": {"BY": "name"}}, "E002", "['BY'] must be 'identity' or 'password'"),
        ({**GOOD, "USERS": {"FIELDS": "no.such"}}, "E002", "['FIELDS'] cannot be imported"),
        ({**GOOD, "USERS": {"FIELDS": 3}}, "E002", "['FIELDS'] must be a function"),
        ({**GOOD, "USERS": {"CACHE": "redis"}}, "E002", "is no cache of CACHES: 'redis'"),
        ({**GOOD, "USERS": {"CACHES": "a"}}, "E001", "'CACHES': did you mean CACHE?"),
        ({**GOOD, "IDENTITY": {"MAX_AGE": 0}}, "E002", "MAX_AGE must be at least 1"),
        ({**GOOD, "IDENTITY": {"MAXAGE": 1}}, "E001", "did you mean MAX_AGE?"),
        ({**GOOD, "LEASE_SECONDS": "15"}, "E002", "LEASE_SECONDS must be a number"),
        ({**GOOD, "LEASE_SECONDS": 0}, "E002", "LEASE_SECONDS must be at least 1"),
    ],
)
def test_each_mistake_is_one_sentence(raw, id, text):
    found = [problem for problem in problems(raw) if problem[0] == id]
    assert len(found) == 1, problems(raw)
    assert text in found[0][1]


def test_the_entries_of_one_bot_are_no_bots_and_lack_nothing_else():
    assert [id for id, _ in problems({**GOOD, "BOTS": BOT})] == ["E002", "E002"]


def test_a_wrong_variable_of_the_environment_is_named():
    environ = {"CONNECTYCUBE_APP_ID": "seven", "CONNECTYCUBE_AUTH_KEY": "k"}
    ((id, text),) = problems({}, environ)
    assert (id, text) == ("E002", "CONNECTYCUBE: CONNECTYCUBE_APP_ID must be a whole number")


def test_two_bots_may_not_share_a_file(tmp_path):
    one, same = tmp_path / "bot.db", tmp_path / "." / "sub" / ".." / "bot.db"
    raw = {**GOOD, "BOTS": {"a": {**BOT, "DURABLE": one}, "b": {**BOT, "DURABLE": same}}}
    ((id, text),) = problems(raw)
    assert id == "E004"
    assert "'a' and 'b' have the same DURABLE" in text
    shared = {**GOOD, "DURABLE": one, "BOTS": {"a": BOT, "b": BOT}}
    assert [id for id, _ in problems(shared)] == ["E004"]


def test_all_mistakes_are_told_at_once():
    raw = {"APP_ID": "x", "TYPO": 1, "BOTS": {"a": {}}, "LEASE_SECONDS": -1}
    assert sorted(id for id, _ in problems(raw)) == ["E001", "E002", "E002", "E002", "E003"]


def test_every_field_of_config_is_a_key():
    for entry in fields(Config):
        assert not [one for one in problems({**GOOD, entry.name.upper(): None}) if one[0] == "E001"]


def test_wrong_settings_are_improperly_configured(setting):
    setting({"APP_ID": "x", "AUTH_KEY": "k"})
    with pytest.raises(ImproperlyConfigured, match="app_id must be"):
        read_settings()


def test_an_unknown_bot_is_named_with_those_there_are():
    settings = good({**GOOD, "BOTS": {"a": BOT, "b": BOT}})
    with pytest.raises(ImproperlyConfigured, match="no bot 'c': there are: a, b"):
        settings.bot("c")
    with pytest.raises(ImproperlyConfigured, match="there are none"):
        good(GOOD).bot("default")
