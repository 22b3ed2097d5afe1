"""login, logout, whoami and profiles: what is kept, where, and what an error leaves."""

from __future__ import annotations

import json
import stat

import keyring
import pytest

from connectycube import ConnectyCube
from connectycube.errors import ApiAuthenticationError
from tests.support.ports import free_port
from tests.unit.cli.conftest import MemoryKeyring
from tests.wire.cli.conftest import PASSWORD


@pytest.fixture
def user_id(emulator):
    user_id = emulator.add_user("alice", PASSWORD, full_name="Alice")
    emulator.clock.advance(60)  # else the login would have made the user, for all that is known
    return user_id


@pytest.fixture
def logged_in(run, user_id):
    assert run("login", "alice", "--password-stdin", stdin=f"{PASSWORD}\n").status == 0
    return user_id


def secrets(folder, name="environment"):
    return json.loads((folder / f"{name}.secrets").read_text())


def test_a_login_is_kept_for_later_commands(run, logged_in):
    done = run("whoami", "--json")
    assert (done.status, json.loads(done.out)["id"]) == (0, logged_in)
    shown = run("whoami").out
    assert f"alice (user {logged_in})" in shown
    assert PASSWORD not in shown


def test_a_login_by_address_is_kept_as_well(run, emulator):
    emulator.add_user("eve", PASSWORD, email="eve@example.com")
    stdin = f"{PASSWORD}\n"
    assert run("login", "--email", "eve@example.com", "--password-stdin", stdin=stdin).status == 0
    assert "eve@example.com" in run("whoami").out


def test_the_session_of_the_login_serves_all_commands(run, logged_in, config_folder):
    token = secrets(config_folder)["token"]
    run("whoami")
    assert secrets(config_folder)["token"] == token


def test_a_session_that_has_ended_is_renewed_and_kept(run, logged_in, config_folder, emulator):
    token = secrets(config_folder)["token"]
    with ConnectyCube(config=emulator.config()) as client:
        client.with_token(token).sessions.destroy()
    assert run("whoami").status == 0
    again = secrets(config_folder)["token"]
    assert again != token
    run("whoami")
    assert secrets(config_folder)["token"] == again


def test_without_a_keyring_secrets_are_in_a_file_of_the_user_alone(run, logged_in, config_folder):
    path = config_folder / "environment.secrets"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    others = [each for each in config_folder.iterdir() if each != path]
    assert not any(PASSWORD in each.read_text() for each in others)


def test_the_login_says_where_secrets_are_without_a_keyring(run, user_id, config_folder):
    done = run("login", "alice", "--password-stdin", stdin=PASSWORD)
    assert f"this machine has no keyring: the secrets are in {config_folder}" in done.err
    assert run("login", "alice", "--file", "--password-stdin", stdin=PASSWORD).err == ""


def test_with_a_keyring_no_file_has_a_secret(run, user_id, config_folder):
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    assert run("login", "alice", "--password-stdin", stdin=PASSWORD).status == 0
    assert PASSWORD in ring.values["connectycube", "environment"]
    assert not any(PASSWORD in each.read_text() for each in config_folder.iterdir())
    assert run("whoami").status == 0
    # A change of place leaves nothing at the old one.
    assert run("login", "alice", "--file", "--password-stdin", stdin=PASSWORD).status == 0
    assert ring.values == {}


def test_a_keyring_that_locks_loses_nothing(run, user_id, config_folder, emulator):
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    run("login", "alice", "--password-stdin", stdin=PASSWORD)
    before = dict(ring.values), (config_folder / "profiles.json").read_text()
    ring.is_locked = True
    for words in (("whoami",), ("logout",), ("login", "alice", "--password-stdin")):
        done = run(*words, stdin=PASSWORD)
        assert (done.status, "it is locked" in done.err) == (1, True), words
    assert before == (dict(ring.values), (config_folder / "profiles.json").read_text())
    ring.is_locked = False
    assert run("whoami").status == 0


def test_a_wrong_password_leaves_the_old_login(run, logged_in):
    done = run("login", "alice", "--password-stdin", stdin="wrong")
    assert (done.status, "ApiAuthenticationError" in done.err) == (4, True)
    assert "wrong" not in done.err.replace("are wrong", "")
    assert run("whoami").status == 0


def test_a_login_that_made_a_new_user_is_told(run, logged_in):
    done = run("login", "alise", "--password-stdin", stdin=PASSWORD)
    assert (done.status, "has made a new user" in done.err) == (0, True)
    assert "new user" not in run("login", "bob", "--json", "--password-stdin", stdin=PASSWORD).out


def test_logout_ends_the_session_and_forgets_the_user(run, logged_in, config_folder, emulator):
    token = secrets(config_folder)["token"]
    assert run("logout").status == 0
    assert secrets(config_folder) == {"auth_key": emulator.auth_key}
    with ConnectyCube(config=emulator.config()) as client, pytest.raises(ApiAuthenticationError):
        client.with_token(token).sessions.info()
    assert run("whoami").status == 4
    assert run("logout", "--all").status == 0
    assert not (config_folder / "environment.secrets").exists()
    assert run("logout").status == 2


def test_logout_without_the_service_forgets_the_user_all_the_same(run, logged_in, emulator):
    with emulator.faults.server_error():
        done = run("logout")
    assert (done.status, "the session stays at the service" in done.err) == (0, True)
    assert run("whoami").status == 4


def login_to(run, emulator, name, *words):
    return run(
        *("login", "--profile", name, "--app-id", emulator.app_id, "--api-url", emulator.api_url),
        *("--chat-host", emulator.domain, "--chat-port", emulator.chat_port),
        *("--ca-file", emulator.ca_file, "--password-stdin", *words),
        stdin=PASSWORD,
    )


def test_profiles_are_listed_chosen_and_removed(run, emulator, user_id):
    for name, login in (("work", "alice"), ("home", "bob")):
        assert login_to(run, emulator, name, login).status == 0
    listed = {row["name"]: row for row in map(json.loads, run("profiles", "--json").lines)}
    assert {name: (row["login"], row["current"]) for name, row in listed.items()} == {
        "work": ("alice", False),
        "home": ("bob", True),
    }
    assert "alice (user" in run("whoami", "--profile", "work").out
    assert run("profiles", "use", "work").status == 0
    assert run("profiles").lines[0].startswith("*\twork\talice")
    assert run("profiles", "remove", "home").status == 0
    assert run("whoami", "--profile", "home").status == 2


def test_a_profile_needs_no_variables(run, emulator, user_id, monkeypatch):
    assert login_to(run, emulator, "work", "alice").status == 0
    for name in emulator.environment():
        monkeypatch.delenv(name, raising=False)
    assert run("whoami").status == 0
    assert run("login", "bob", "--password-stdin", stdin=PASSWORD).status == 0
    assert "bob (user" in run("whoami").out


def test_the_key_of_an_application_goes_to_no_other_service(run, emulator, user_id, monkeypatch):
    assert login_to(run, emulator, "work", "alice").status == 0
    monkeypatch.delenv("CONNECTYCUBE_AUTH_KEY")
    other = f"http://127.0.0.1:{free_port()}"
    words = ("login", "--profile", "work", "--app-id", "1", "--api-url", other, "alice")
    done = run(*words, "--password-stdin", stdin=PASSWORD)
    assert (done.status, "set CONNECTYCUBE_AUTH_KEY" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (("login", "--password-stdin"), "x", "give LOGIN"),
        (("login", "alice"), "", "use --password-stdin"),
        (("login", "alice", "--password-stdin"), "\n", "there is no password on standard input"),
        (("login", "--profile", "a b", "alice"), "", "is no name of a profile"),
        (("login", "--app-id", "0"), "", "Invalid value for '--app-id'"),
        (("login", "--ca-file", "/nothing"), "", "Invalid value for '--ca-file'"),
    ],
)
def test_what_is_missing_without_a_terminal_is_named(run, words, stdin, sentence):
    done = run(*words, stdin=stdin)
    assert (done.status, sentence in done.err) == (2, True), done.err


def test_the_variables_of_the_environment_need_no_login(run, alice):
    assert f"alice (user {alice})" in run("whoami").out


def test_a_service_out_of_reach_is_a_status_of_its_own(run, alice, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_API_URL", f"http://127.0.0.1:{free_port()}")
    done = run("whoami", "--timeout", "2")
    assert (done.status, "ApiConnectError" in done.err) == (6, True)
