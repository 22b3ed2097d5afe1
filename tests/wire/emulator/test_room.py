"""An emulator whose state or files have no room left refuses more, and goes on."""

from __future__ import annotations

import ssl

import requests

from connectycube.emulator import Emulator
from tests.support.wire_client import Client, chat, condition
from tests.wire.emulator.api.test_files import create, upload
from tests.wire.emulator.conftest import Rest

BIND_AS = (
    "<iq type='set' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<resource>{}</resource></bind></iq>"
)


def filled(session, path, body):
    """Send a request until it is refused; return the refusal."""
    for _ in range(2000):
        answer = session("POST", path, json=body)
        if answer.status_code != 201:
            return answer
    raise AssertionError("it was never refused")


def test_a_full_state_is_507_and_a_reset_makes_room(caplog):
    with Emulator(state_bytes=1_000_000) as emulator:
        alice, _ = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        session = Rest(emulator, "alice")
        with session.http:
            answer = filled(session, "chat/Message", {"recipient_id": 2, "message": "x" * 9000})
            assert answer.status_code == 507
            assert "state_bytes" in answer.json()["errors"]["base"][0]
            assert session("GET", "chat/Dialog").status_code == 200
            headers = {"Authorization": f"Bearer {emulator.control_token}"}
            body = {"login": "carol", "password": "secret", "custom_data": "x" * 60_000}
            url = f"{emulator.control_url}/add_user"
            full = requests.post(url, json=body, headers=headers, timeout=5)
            assert (full.status_code, "state_bytes" in full.text) == (507, True)
        emulator.reset()
        assert emulator.add_user("alice", "secret") == alice
    assert not caplog.records


def test_a_full_state_ends_the_stream_that_writes(caplog):
    with (
        Emulator(state_bytes=1_000_000) as emulator,
        Client(emulator) as writer,
        Client(emulator) as other,
    ):
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        writer.log_in(alice)
        other.log_in(bob)
        for number in range(300):
            try:
                writer.send(chat(bob, "x" * 9000, id=f"{number:024x}"))
            except (ConnectionError, ssl.SSLError):
                break
        assert writer.stream_error() == "resource-constraint"
        other.sync()
    assert "Traceback" not in caplog.text


def test_files_have_a_bound_together(caplog):
    with Emulator(files_bytes=10_000) as emulator:
        emulator.add_user("alice", "secret")
        session = Rest(emulator, "alice")
        with session.http:
            first, second = create(session), create(session)
            assert upload(first, b"x" * 6_000).status_code == 201
            refused = upload(second, b"x" * 6_000)
            assert (refused.status_code, "InsufficientStorage" in refused.text) == (507, True)
            assert session("DELETE", f"blobs/{first['id']}").status_code == 200
            assert upload(second, b"x" * 6_000).status_code == 201
    assert not caplog.records


def test_a_user_has_a_bound_of_resources(monkeypatch):
    monkeypatch.setattr("connectycube.emulator.xmpp.hub._MOST_RESOURCES", 2)
    with (
        Emulator() as emulator,
        Client(emulator) as one,
        Client(emulator) as two,
        Client(emulator) as three,
    ):
        alice = emulator.add_user("alice", "secret")
        one.log_in(alice, "a")
        two.log_in(alice, "b")
        three.authenticated(alice)
        three.send(BIND_AS.format("b", "c"))
        assert condition(three.answer("b")) == "resource-constraint"
        three.send(BIND_AS.format("a", "a"))
        assert three.answer("a").get("type") == "result", "it takes the place of the older one"


def test_sessions_that_wait_have_a_bound(monkeypatch):
    monkeypatch.setattr("connectycube.emulator.xmpp.hub._MOST_WAITING", 2)
    with Emulator() as emulator:
        alice = emulator.add_user("alice", "secret")
        for name in "abcd":
            with Client(emulator) as client:
                client.log_in(alice, name).enable()
                emulator.cut(alice)
        assert [session["resource"] for session in emulator.sessions()] == ["c", "d"]


def test_what_is_not_acknowledged_has_a_bound_of_size():
    with Emulator(unacknowledged_bytes=50_000) as emulator, Client(emulator) as writer:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        writer.log_in(alice)
        with Client(emulator) as silent:
            silent.log_in(bob).enable()
            emulator.cut(bob)
        for _ in range(9):
            writer.send(chat(bob, "x" * 9000))
        writer.sync()
        assert [session["user_id"] for session in emulator.sessions()] == [alice]
