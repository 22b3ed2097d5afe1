"""The doctor names the cause, and what to do; the causes are real ones."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager

import pytest

from connectycube.contrib.common import doctor
from tests.support.ports import free_port
from tests.support.scripted import ScriptedServer, stay_silent
from tests.support.tunnels import Tunnels

ALL = ("REST server", "chat server", "clock", "REST", "login", "chat", "ping", "storage")


@pytest.fixture
def found(run, alice):
    """``found()`` returns the exit status and the findings by what they are about."""

    def found(*words):
        done = run("doctor", "--json", *words)
        return done.status, {row["what"]: row for row in map(json.loads, done.lines)}

    return found


def states(rows):
    return {name: row["state"] for name, row in rows.items()}


def test_all_is_well_and_nothing_is_left(found, emulator, run):
    status, rows = found()
    assert (status, states(rows)) == (0, dict.fromkeys(("profile", *ALL), "ok"))
    assert emulator.sessions() == []
    assert run("doctor").lines[0] == "ok       profile: environment"


def test_who_is_not_logged_in_has_the_rest_examined(run, emulator):
    done = run("doctor")
    assert done.status == 0
    assert "warning  profile: nobody is logged in" in done.out
    assert "ok       REST: " in done.out
    assert "chat: logged in" not in done.out


def test_a_wrong_password_is_named(found, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_PASSWORD", "wrong password")
    status, rows = found()
    assert (status, rows["login"]["state"]) == (1, "failed")
    assert "Login and password do not match" in rows["login"]["hint"]
    assert "chat" not in rows
    assert "wrong password" not in str(rows)


def test_a_wrong_key_of_the_application_is_named(found, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", "another")
    status, rows = found()
    assert (status, rows["REST"]["state"]) == (1, "failed")
    assert "app_id and auth_key" in rows["REST"]["hint"]


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("CHAT_PORT", "{port}", "chat server"),
        ("API_URL", "http://127.0.0.1:{port}", "REST server"),
    ],
)
def test_a_port_where_nothing_listens_is_named(found, monkeypatch, variable, value, what):
    port = free_port()
    monkeypatch.setenv(f"CONNECTYCUBE_{variable}", value.format(port=port))
    status, rows = found()
    assert (status, rows[what]["state"]) == (1, "failed")
    assert rows[what]["why"].startswith("nothing listens on ")
    assert rows[what]["why"].endswith(f":{port}")
    assert f"Correct {variable.lower()}" in rows[what]["hint"]


def test_a_port_that_speaks_no_tls_is_named(found, emulator, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_CHAT_PORT", emulator.api_url.rpartition(":")[2])
    status, rows = found()
    assert (status, rows["chat server"]["state"]) == (1, "failed")
    assert "does not speak tls" in rows["chat server"]["why"]
    assert "Correct chat_port" in rows["chat server"]["hint"]


@pytest.mark.parametrize(
    ("kind", "why", "hint"),
    [
        ("expired", "certificate has expired", "must renew it"),
        ("not_yet_valid", "certificate is not yet valid", "Set the clock"),
        ("wrong_host", "ostname mismatch", "is of another host"),
        ("self_signed", "self-signed certificate", "ca_file"),
        ("unknown_authority", "unable to get local issuer certificate", "ca_file"),
    ],
)
@pytest.mark.parametrize("side", ["chat server", "REST server"])
def test_a_certificate_is_refused_with_the_reason(
    found, monkeypatch, certificates, side, kind, why, hint
):
    with ScriptedServer(stay_silent, tls=getattr(certificates, kind)) as server:
        monkeypatch.setenv("CONNECTYCUBE_CA_FILE", str(certificates.ca_file))
        if side == "chat server":
            monkeypatch.setenv("CONNECTYCUBE_CHAT_PORT", str(server.port))
        else:
            monkeypatch.setenv("CONNECTYCUBE_API_URL", f"https://localhost:{server.port}")
        status, rows = found()
    assert (status, rows[side]["state"]) == (1, "failed")
    assert why in rows[side]["why"]
    assert hint in rows[side]["hint"]


@pytest.mark.parametrize(
    ("seconds", "state", "why"),
    [
        (3600, "failed", "the clock of this machine is 60 minutes behind"),
        (20, "warning", "the clock of this machine is 20 seconds behind"),
    ],
)
def test_a_clock_that_is_wrong_is_named(found, emulator, seconds, state, why):
    emulator.clock.advance(seconds)
    status, rows = found()
    assert (status, rows["clock"]["state"]) == (int(state == "failed"), state)
    minutes = why.replace("20 seconds", rows["clock"]["why"].split("is ")[-1].rpartition(" ")[0])
    assert rows["clock"]["why"] == minutes
    assert "Set it" in rows["clock"]["hint"]


@contextmanager
def silent_port():
    """A port that answers no attempt to connect, as behind a firewall: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(3):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
                waiting.append(sock)
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()


@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        ({}, "If this network lets connections out through a proxy only, set HTTPS_PROXY."),
        ({"HTTP_PROXY": "http://proxy:1"}, "HTTP_PROXY is set and HTTPS_PROXY is not"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "localhost"}, "NO_PROXY keeps this host"),
    ],
)
def test_a_network_that_needs_a_proxy_is_told_how_to_set_it(found, monkeypatch, variables, hint):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for each in (name, name.lower()):
            monkeypatch.delenv(each, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor, "_CONNECT_SECONDS", 0.2)
    with silent_port() as port:
        monkeypatch.setenv("CONNECTYCUBE_CHAT_PORT", str(port))
        status, rows = found()
    assert (status, rows["chat server"]["why"]) == (1, f"localhost:{port} does not answer")
    assert hint in rows["chat server"]["hint"]


def test_a_name_without_an_address_is_named(found, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", "nowhere.invalid")
    status, rows = found()
    assert (status, rows["chat server"]["state"]) == (1, "failed")
    assert rows["chat server"]["why"].startswith("nowhere.invalid has no address")


def test_through_a_proxy_the_proxy_is_named_without_its_password(found, monkeypatch):
    with Tunnels("http", user="me", password="word") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", "chat.example")
        _, rows = found()
    assert rows["chat server"]["why"].endswith(f"through the proxy localhost:{proxy.port}")
    assert "word" not in str(rows)


def test_a_storage_out_of_reach_is_named(found, emulator):
    with emulator.faults.refuse(on="storage"):
        status, rows = found()
    assert (status, rows["storage"]["state"]) == (1, "failed")
    assert rows["storage"]["why"].startswith("uploading: ")
    assert "The storage of files has a host of its own" in rows["storage"]["hint"]


def test_a_busy_service_is_told(found, emulator):
    with emulator.faults.rate_limit(retry_after=3600):
        status, rows = found()
    assert (status, rows["REST"]["state"]) == (1, "failed")
    assert "RateLimitError" in rows["REST"]["why"]
