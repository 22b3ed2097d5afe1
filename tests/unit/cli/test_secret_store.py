"""Secrets are in the keyring or in a file of their owner alone; an error leaves them as they were."""

from __future__ import annotations

import os
import stat
import threading

import keyring
import pytest
from keyring.backends import fail, null

from connectycube.cli import secret_store
from connectycube.cli.secret_store import (
    FileSecrets,
    KeyringSecrets,
    Secrets,
    SecretStoreError,
    new_store,
)

SECRETS = Secrets(password="a password", token="5f")


@pytest.fixture(params=["keyring", "file"])
def store(request, ring, tmp_path):
    return KeyringSecrets() if request.param == "keyring" else FileSecrets(tmp_path / "new")


def test_what_was_saved_last_is_loaded(store):
    assert store.load("work") == Secrets()
    store.save("work", Secrets(password="old"))
    store.save("work", SECRETS)
    store.save("home", Secrets(password="another"))
    assert store.load("work") == SECRETS
    store.remove("work")
    store.remove("work")
    assert (store.load("work"), store.load("home")) == (Secrets(), Secrets(password="another"))


def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        FileSecrets(tmp_path / "new").save("work", SECRETS)
    finally:
        os.umask(before)
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.posix
def test_a_file_that_others_may_read_is_refused(tmp_path):
    store = FileSecrets(tmp_path)
    store.save("work", SECRETS)
    (path,) = tmp_path.iterdir()
    path.chmod(0o640)
    with pytest.raises(SecretStoreError, match=f"others may read .*chmod 600 {path}"):
        store.load("work")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5"])
def test_damaged_secrets_say_to_log_in_again(tmp_path, text):
    store = FileSecrets(tmp_path)
    store.save("work", SECRETS)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(SecretStoreError, match="damaged: log in again"):
        store.load("work")


@pytest.mark.parametrize("call", [("load",), ("save", SECRETS), ("remove",)])
def test_a_locked_keyring_is_named_and_keeps_what_it_has(ring, call):
    store = KeyringSecrets()
    store.save("work", SECRETS)
    ring.is_locked = True
    with pytest.raises(SecretStoreError, match=r"it is locked.*Unlock it.*--file"):
        getattr(store, call[0])("work", *call[1:])
    ring.is_locked = False
    assert store.load("work") == SECRETS


def test_a_keyring_that_does_not_answer_is_waited_for_in_vain_once(ring, monkeypatch):
    end = threading.Event()
    monkeypatch.setattr(secret_store, "_SECONDS", 0.01)
    ring.get_password = lambda service, username: end.wait()
    with pytest.raises(SecretStoreError, match=r"it has not answered in 0\.01 seconds"):
        KeyringSecrets().load("work")
    end.set()


def test_a_bus_that_is_slow_once_is_asked_again(ring, monkeypatch):
    KeyringSecrets().save("work", SECRETS)
    answers = [TimeoutError("Did not authenticate in 1.0 seconds")]
    check = ring._check
    monkeypatch.setattr(ring, "_check", lambda: raise_first(answers) or check())
    assert KeyringSecrets().load("work") == SECRETS
    assert answers == []


def test_a_bus_that_is_slow_each_time_is_named(ring, monkeypatch):
    monkeypatch.setattr(secret_store, "_SECONDS", 0.05)
    monkeypatch.setattr(ring, "_check", lambda: raise_first([TimeoutError("no answer in 1 s")]))
    with pytest.raises(SecretStoreError, match=r"no answer in 1 s|not answered in 0\.05 seconds"):
        KeyringSecrets().load("work")


def raise_first(errors):
    if errors:
        raise errors.pop()


def test_a_bus_that_was_slow_is_looked_for_again(ring, monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    keyring.set_keyring(fail.Keyring())
    monkeypatch.setattr(keyring.core, "init_backend", lambda: keyring.set_keyring(ring))
    assert new_store(tmp_path, in_file=False).kind == "keyring"


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_a_machine_without_a_keyring_has_the_file(backend, ring, tmp_path, monkeypatch):
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    assert new_store(tmp_path, in_file=False).kind == "keyring"
    assert new_store(tmp_path, in_file=True).kind == "file"
    keyring.set_keyring(backend())
    assert new_store(tmp_path, in_file=False).kind == "file"
