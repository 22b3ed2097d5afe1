"""The keys of app.config: every one that is wrong is named, with the nearest one that is right."""

from __future__ import annotations

import os

import pytest
from attrs import fields

from connectycube import Config, FileLease, Handling, is_transient
from connectycube.contrib.flask.conf import DEFAULTS, read_settings
from connectycube.contrib.flask.run_folder import RunFolder
from connectycube.errors import ArgumentValueError


def settings_of(**keys):
    return read_settings({f"CONNECTYCUBE_{key}": value for key, value in keys.items()})


APPLICATION = {"APP_ID": 7, "AUTH_KEY": "key"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("CONNECTYCUBE_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("APPID", 1, "unknown key 'CONNECTYCUBE_APPID': did you mean CONNECTYCUBE_APP_ID?"),
        ("USER", "a", "unknown key 'CONNECTYCUBE_USER': there are: LOGIN, EMAIL"),
        ("APP_ID", "seven", "app.config['CONNECTYCUBE_APP_ID'] is wrong: app_id must be an int"),
        (
            "API_URL",
            "http://chat.example",
            "CONNECTYCUBE_API_URL'] is wrong: api_url is plain http",
        ),
        ("RECONNECT", {"TRIES": 1}, "it has an unknown key 'TRIES'"),
        ("HANDLING", {"DELAY": -1}, "CONNECTYCUBE_HANDLING'] is wrong: delay must be"),
        ("LOGIN", 5, "CONNECTYCUBE_LOGIN'] is wrong: it must be a string"),
        ("PASSWORD", "", "CONNECTYCUBE_PASSWORD'] is wrong: it must not be empty"),
        ("BACKEND", "redis", "it must be 'live' or 'locmem', not 'redis'"),
        ("LEASE", 3, "it must be a path, False, or a Lease such as SqlLease(…), not int"),
        ("RUN_FOLDER", 3, "it must be the path of a folder, not int"),
        ("RUN_FOLDER", "/run/" + "x" * 90, "has room for 80: give a shorter path"),
        ("DURABLE", 5, "CONNECTYCUBE_DURABLE'] is wrong: durable must be a string, not int"),
        ("CURSOR_STORE", 5, "CONNECTYCUBE_CURSOR_STORE'] is wrong: cursor_store must have"),
        ("CLIENT_KEY", "/etc/key.pem", "app.config is wrong: client_key"),
        ("STREAM_POLL", 0, "CONNECTYCUBE_STREAM_POLL'] is wrong: it must be"),
        ("STREAM_POLL", "5", "CONNECTYCUBE_STREAM_POLL'] is wrong: it must be"),
    ],
)
def test_what_is_wrong_is_refused_with_its_key(key, value, words):
    with pytest.raises(ArgumentValueError) as caught:
        settings_of(**{key: value})
    assert words in str(caught.value)


def test_one_error_has_a_sentence_for_each_key():
    with pytest.raises(ArgumentValueError) as caught:
        settings_of(APP_ID="1", WORKERS=0, LOGINS="a")
    assert str(caught.value).count("CONNECTYCUBE_") >= 4
    assert str(caught.value).count("; ") == 2


def test_login_and_email_exclude_each_other():
    with pytest.raises(ArgumentValueError, match="are both set: give one of them"):
        settings_of(LOGIN="a", EMAIL="a@b.c")


class Store:
    """A cursor store."""

    def load(self):
        """Return nothing."""

    def save(self, value):
        """Keep nothing."""


def test_fields_that_exclude_each_other_are_told_at_once():
    with pytest.raises(ArgumentValueError, match="cursor_store takes the place of durable"):
        settings_of(DURABLE="bot.db", CURSOR_STORE=Store())


def test_no_error_repeats_a_secret():
    with pytest.raises(ArgumentValueError) as caught:
        settings_of(PASSWORD=["s3cret"], AUTH_KEY=["s3cret"], AUTH_SECRET=["s3cret"])
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(settings_of(PASSWORD="s3cret", AUTH_KEY="s3cret"))


@pytest.mark.parametrize("missing", [["APP_ID"], ["AUTH_KEY"], ["APP_ID", "AUTH_KEY"]])
def test_what_is_missing_is_named_at_its_first_use(missing):
    given = {key: value for key, value in APPLICATION.items() if key not in missing}
    settings = settings_of(**given)
    names = " and ".join(f"CONNECTYCUBE_{key}" for key in missing)
    with pytest.raises(
        ArgumentValueError, match=f"^{names} (is missing: set it|are missing: set them)"
    ):
        settings.config()


def test_credentials_that_are_missing_are_named():
    with pytest.raises(
        ArgumentValueError, match=r"CONNECTYCUBE_LOGIN .* is missing: as which user"
    ):
        settings_of(PASSWORD="p").credentials()
    with pytest.raises(ArgumentValueError, match="CONNECTYCUBE_PASSWORD is missing: bot cannot"):
        settings_of(LOGIN="bot").credentials()


def test_the_environment_fills_what_is_missing_or_none(monkeypatch):
    for name, value in {"APP_ID": "9", "AUTH_KEY": "k", "LOGIN": "env", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"CONNECTYCUBE_{name}", value)
    settings = settings_of(APP_ID=None, LOGIN=None, AUTH_KEY="given")
    config = settings.config()
    assert (config.app_id, config.auth_key) == (9, "given")
    assert settings.credentials() == {"login": "env", "password": "p"}


def test_every_field_of_config_is_a_key():
    config = settings_of(
        **APPLICATION, WORKERS=3, RECONNECT={"MAX_ATTEMPTS": 2}, TIMEOUTS={"LOGIN": 9}
    ).config()
    assert (config.workers, config.reconnect.max_attempts, config.timeouts.login) == (3, 2, 9)
    for entry in fields(Config):
        with pytest.raises(ArgumentValueError, match=f"CONNECTYCUBE_{entry.name.upper()}X"):
            settings_of(**{f"{entry.name.upper()}X": 1})


def test_the_client_of_a_server_reconnects_for_ever():
    assert settings_of(**APPLICATION).config().reconnect.max_attempts is None


def test_errors_of_sqlalchemy_pass_where_it_is_used(monkeypatch):
    class OperationalError(Exception):
        pass

    class Exceptions:
        InterfaceError = OperationalError

    Exceptions.OperationalError = OperationalError
    passes = settings_of(**APPLICATION).config().handling.passes
    assert not passes(OperationalError())
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy.exc", Exceptions)
    assert passes(OperationalError())
    assert not passes(ValueError())
    own = settings_of(**APPLICATION, HANDLING=Handling(transient=KeyError)).config().handling
    assert own.passes(KeyError())
    assert not own.passes(ConnectionRefusedError()) and is_transient(ConnectionRefusedError())


def test_the_run_folder_is_one_of_this_user_and_these_settings(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, same = settings_of(**APPLICATION, LOGIN="a"), settings_of(**APPLICATION, LOGIN="a")
    other = settings_of(**APPLICATION, LOGIN="b")
    assert first.folder() == same.folder() != other.folder()
    assert os.path.dirname(first.folder().path) == str(tmp_path)
    assert settings_of(RUN_FOLDER=tmp_path).folder() == RunFolder(str(tmp_path), False)


def test_the_lease_is_a_file_of_the_run_folder_unless_named(tmp_path):
    settings = settings_of(**APPLICATION, RUN_FOLDER=tmp_path)
    assert settings.listener_lease().path == str(tmp_path / "listener.lease")
    assert settings_of(LEASE=tmp_path / "x").listener_lease().path == str(tmp_path / "x")
    lease = FileLease(tmp_path / "y")
    assert settings_of(LEASE=lease).listener_lease() is lease
    assert settings_of(LEASE=False).listener_lease() is None


def test_defaults_are_the_keys_beside_config():
    assert not {key.lower() for key in DEFAULTS} & {entry.name for entry in fields(Config)}
