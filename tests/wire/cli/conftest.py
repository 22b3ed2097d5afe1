from __future__ import annotations

import io
import sys

import keyring
import pytest
from attrs import frozen
from keyring.backends import fail

from connectycube import ConnectyCube, cli

PASSWORD = "a password"
_VARIABLES = (
    *("APP_ID", "AUTH_KEY", "AUTH_SECRET", "ADMIN_KEY"),
    *("API_URL", "CHAT_HOST", "CHAT_PORT", "CA_FILE"),
)


@frozen
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


@pytest.fixture
def config_folder(tmp_path, monkeypatch):
    """An empty folder of profiles, and no keyring."""
    before = keyring.core._keyring_backend
    keyring.set_keyring(fail.Keyring())
    for name in (*_VARIABLES, "LOGIN", "PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    folder = tmp_path / "config"
    monkeypatch.setenv("CONNECTYCUBE_CONFIG_DIR", str(folder))
    yield folder
    keyring.core._keyring_backend = before


@pytest.fixture
def run(config_folder, emulator, monkeypatch, capfd):
    """``run("send", "@bob", "hi")`` runs a command in the environment of the emulator, and returns it."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()
        status = cli.main([str(word) for word in words])
        return Done(status, *capfd.readouterr())

    return run


@pytest.fixture
def alice(run, emulator, monkeypatch):
    """The id of the user of the commands."""
    monkeypatch.setenv("CONNECTYCUBE_LOGIN", "alice")
    monkeypatch.setenv("CONNECTYCUBE_PASSWORD", PASSWORD)
    return emulator.add_user("alice", PASSWORD, full_name="Alice")


@pytest.fixture
def bob(emulator):
    """A client of another user, with a session."""
    emulator.add_user("bob", PASSWORD, full_name="Bob")
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="bob", password=PASSWORD)
        yield client
