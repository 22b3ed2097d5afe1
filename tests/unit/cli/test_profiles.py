"""The file of the profiles: one process at a time changes it, wholly or not at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube.cli.account import ENVIRONMENT, account_of, application_of
from connectycube.cli.profiles import Profile, ProfileError, Profiles
from connectycube.cli.secret_store import FileSecrets, Secrets
from connectycube.errors import ArgumentValueError


def profile(name="work", **more):
    fields = {
        "app_id": 5,
        "api_url": "https://api.example",
        "chat_host": "chat.example",
        "chat_port": 5223,
        "login": "alice",
        "secrets": "file",
    }
    return Profile(name=name, **{**fields, **more})


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    for name in ("APP_ID", "AUTH_KEY", "LOGIN", "PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    return Profiles(tmp_path / "config")


def test_a_profile_is_read_as_it_was_written(profiles):
    assert (profiles.all(), profiles.current) == ({}, "default")
    profiles.put(profile(), make_current=True)
    profiles.put(profile("home", user_id=7))
    again = Profiles(profiles.folder)
    assert again.all() == {"work": profile(), "home": profile("home", user_id=7)}
    assert again.current == "work"


def test_the_current_profile_is_chosen_and_removed(profiles):
    for name in ("a", "b"):
        profiles.put(profile(name), make_current=True)
        FileSecrets(profiles.folder).save(name, Secrets(password="x"))
    profiles.use("a")
    profiles.remove("a")
    assert (profiles.current, list(profiles.all())) == ("b", ["b"])
    assert FileSecrets(profiles.folder).load("a") == Secrets()
    for change in (profiles.use, profiles.remove):
        with pytest.raises(ProfileError, match="there is no profile 'a'; there is: b"):
            change("a")


def test_logins_at_the_same_time_lose_no_profile(profiles):
    names = [f"p{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Profiles(profiles.folder).put(profile(name)), names))
    assert sorted(profiles.all()) == sorted(names)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"profiles": 5}', '{"profiles": {"a": {}}}'])
def test_a_damaged_file_is_named_and_left_alone(profiles, text):
    profiles.folder.mkdir()
    profiles.path.write_text(text)
    with pytest.raises(
        ProfileError, match=r"profiles\.json is damaged: correct it, or move it away"
    ):
        profiles.all()
    assert profiles.path.read_text() == text


def test_fields_of_a_later_release_are_left_out(profiles):
    profiles.put(profile())
    data = json.loads(profiles.path.read_text())
    data["profiles"]["work"]["colour"] = "blue"
    profiles.path.write_text(json.dumps(data))
    assert profiles.get("work") == profile()


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "-v", "ä", "x" * 41])
def test_a_name_that_could_lead_elsewhere_is_refused(profiles, name):
    with pytest.raises(ProfileError, match="is no name of a profile"):
        profiles.get(name)


# --- which account it is --------------------------------------------------------------------------------


def keep(profiles, *names, **more):
    for name in names:
        profiles.put(profile(name, **more))
        FileSecrets(profiles.folder).save(
            name, Secrets(password="a password", auth_key="key", token="t")
        )


def test_the_option_comes_before_the_variable_and_that_before_the_rest(profiles, monkeypatch):
    keep(profiles, "option", "variable", "now")
    profiles.use("now")
    assert account_of(profiles, None).name == "now"
    monkeypatch.setenv("CONNECTYCUBE_PROFILE", "variable")
    assert account_of(profiles, None).name == "variable"
    assert account_of(profiles, "option").name == "option"


def test_the_environments_application_needs_no_profile(profiles, monkeypatch):
    values = {"APP_ID": "9", "AUTH_KEY": "k", "LOGIN": "bob", "PASSWORD": "hush"}
    for name, value in values.items():
        monkeypatch.setenv(f"CONNECTYCUBE_{name}", value)
    account = account_of(profiles, None)
    assert (account.name, account.config.app_id) == (ENVIRONMENT, 9)
    assert (account.login, account.secrets.password) == ("bob", "hush")
    assert "hush" not in repr(account)
    monkeypatch.delenv("CONNECTYCUBE_PASSWORD")
    with pytest.raises(ArgumentValueError, match="CONNECTYCUBE_LOGIN needs CONNECTYCUBE_PASSWORD"):
        account_of(profiles, None)


def test_a_password_never_goes_to_another_service_than_it_was_given_for(profiles, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_APP_ID", "5")
    monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", "key")
    monkeypatch.setenv("CONNECTYCUBE_API_URL", "https://other.example")
    keep(profiles, ENVIRONMENT)
    with pytest.raises(Exception, match=r"nobody is logged in to https://other\.example"):
        account_of(profiles, None)
    assert application_of(profiles, None).api_url == "https://other.example"
    monkeypatch.setenv("CONNECTYCUBE_API_URL", "https://api.example")
    monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", "chat.example")
    assert account_of(profiles, None).secrets.password == "a password"


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        (None, 4, "nobody is logged in in profile 'default': run 'connectycube login'"),
        ("wrong", 2, "there is no profile 'wrong'; there is: work"),
        ("work", 4, "the password in profile 'work' is gone"),
    ],
)
def test_who_is_not_logged_in_is_told_what_to_do(profiles, name, status, sentence):
    profiles.put(profile())
    with pytest.raises(Exception, match=sentence) as failed:
        account_of(profiles, name)
    assert failed.value.status == status
