"""An emulator beside a program that is told to use the hosted service does not start."""

from __future__ import annotations

import base64
import logging
import socket

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.emulator.net.loopback_guard import check_environment
from connectycube.errors import ArgumentValueError
from tests.support.websocket_client import WebSocketClient
from tests.support.wire_client import SASL, Client


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


class Canaries:
    """Words that are nowhere else, in the place of everything that is secret."""

    key, secret, password = "canary-key-5d1f", "canary-secret-77ab", "canary-password-c0de"

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def words(self) -> list[str]:
        plain = [self.key, self.secret, self.password, *self.tokens]
        return [*plain, *(base64.b64encode(f"\0001-1\0{word}".encode()).decode() for word in plain)]


def _use_everything(emulator, canaries):
    """Log in and fail to, over each protocol, right and wrong, with every secret there is."""
    user = emulator.add_user("alice", canaries.password)
    wrong = {"login": "alice", "password": f"{canaries.password}x"}
    for url in (emulator.api_url, emulator.https_url):
        for given in ({"login": "alice", "password": canaries.password}, wrong):
            body = {
                "application_id": emulator.app_id,
                "auth_key": emulator.auth_key,
                "user": given,
            }
            answer = requests.post(f"{url}/session", json=body, timeout=5, verify=emulator.ca_file)
            if answer.status_code == 201:
                canaries.tokens.append(answer.json()["session"]["token"])
        headers = {"CB-Token": canaries.tokens[-1], "CB-AuthKey": canaries.key}
        for path in ("users/1", "no/such/path", f"blobs/x?token={canaries.tokens[-1]}"):
            requests.get(f"{url}/{path}", headers=headers, timeout=5, verify=emulator.ca_file)
        sent = {"headers": headers, "timeout": 5, "verify": emulator.ca_file}
        requests.put(f"{url}/session", data=b"{" + canaries.secret.encode(), **sent)
    with socket.create_connection((emulator.host, emulator.api_port), 5) as raw:
        raw.sendall(f"GET / HTTP/1.1\r\nCB-Token: {canaries.tokens[0]}\0\r\n\r\n".encode())
        assert b" 400 " in raw.recv(65536)
    for password in (canaries.password, canaries.tokens[0], f"{canaries.secret}x"):
        with Client(emulator) as client:
            client.open()
            client.authenticate(user, password)
            client.send(f"<broken token='{canaries.tokens[0]}'")
        with WebSocketClient(emulator) as other:
            other.upgrade()
            other.open()
            encoded = base64.b64encode(f"\0{user}-1\0{password}".encode()).decode()
            other.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{encoded}</auth>")
            other.next()


def test_keys_passwords_and_tokens_are_in_no_log_and_no_output(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    canaries = Canaries()
    with Emulator(auth_key=canaries.key, auth_secret=canaries.secret) as emulator:
        emulator.faults.start_text("delay:seconds=0")
        _use_everything(emulator, canaries)
        shown = repr(emulator) + repr(emulator._settings)  # which may be logged one day
    out, err = capfd.readouterr()
    # urllib3 is the client's, and logs the addresses that it is given
    records = [record for record in caplog.records if not record.name.startswith("urllib3")]
    for record in records:
        shown += caplog.handler.format(record) + repr(record.args)
    assert records  # asyncio writes some at DEBUG, so the level is what it should be
    for word in canaries.words():
        assert word not in shown + out + err
