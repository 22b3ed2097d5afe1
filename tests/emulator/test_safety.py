"""An emulator beside a program that is told to use the hosted service does not start."""

from __future__ import annotations

import logging

import pytest

from connectycube.emulator import Emulator
from connectycube.emulator.safety import check_environment
from connectycube.errors import ArgumentValueError

from .client import Client
from .conftest import Rest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONNECTYCUBE_API_URL", "https://api.connectycube.com"),
        ("CONNECTYCUBE_API_URL", "https://API.ConnectyCube.com:443/"),
        ("CONNECTYCUBE_API_URL", "api.connectycube.com"),
        ("CONNECTYCUBE_CHAT_HOST", "chat.connectycube.com"),
        ("CONNECTYCUBE_CHAT_HOST", " chat.connectycube.com. "),
        ("CONNECTYCUBE_CHAT_HOST", "connectycube.com"),
    ],
)
def test_the_hosted_service_is_refused_by_name(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    emulator = Emulator()
    with pytest.raises(
        ArgumentValueError, match=rf"{name} names the hosted service .*connectycube\.com"
    ):
        emulator.start()
    monkeypatch.delenv(name)
    with emulator:
        assert emulator.add_user("alice", "secret") == 1


@pytest.mark.parametrize(
    "value", ["", "http://127.0.0.1:8080", "http://[::1]:1", "notconnectycube.com", "http://[x"]
)
def test_other_hosts_are_let_through(value):
    check_environment({"CONNECTYCUBE_API_URL": value, "CONNECTYCUBE_CHAT_HOST": value})


def test_it_listens_on_loopback_alone_by_default():
    assert Emulator().host == "127.0.0.1"


def test_keys_passwords_and_tokens_are_in_no_log(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with Emulator(auth_key="k3y-of-mine", auth_secret="s3cret-of-mine") as emulator:
        user = emulator.add_user("alice", "secret")
        rest = Rest(emulator, "alice")
        with rest.http, Client(emulator) as client:
            client.log_in(user)
            assert rest("GET", "no/such/path").status_code == 501
    out, err = capfd.readouterr()
    logged = "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("connectycube")
    )
    for secret in ("k3y-of-mine", "s3cret-of-mine", rest.token, "secret"):
        assert secret not in logged + out + err
