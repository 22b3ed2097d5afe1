"""State: on disk, through restarts and kills, and emptied while the service runs."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import stat
from urllib.parse import parse_qsl

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.errors import ArgumentValueError
from tests.support.inside import on_emulator
from tests.support.waiting import wait_until
from tests.support.wire_client import Client, condition
from tests.wire.emulator.conftest import Rest
from tests.wire.emulator.xmpp.test_room_requests import INFO


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def upload(rest, content):
    blob = rest("POST", "blobs", json={"blob": {"name": "a.txt", "content_type": "text/plain"}})
    blob = blob.json()["blob"]
    address, _, query = blob["blob_object_access"]["params"].partition("?")
    answer = requests.post(address, data=dict(parse_qsl(query)), files={"file": content}, timeout=5)
    assert answer.status_code == 201, answer.text
    rest("PUT", f"blobs/{blob['id']}/complete", json={"blob": {"size": len(content)}})
    return blob["uid"]


ROSTER = "jabber:iq:roster"
PRIVACY = "jabber:iq:privacy"


def names(answer, namespace):
    return [
        item.get("name") or item.get("jid")
        for item in answer.iter()
        if item.tag in (f"{{{namespace}}}item", f"{{{namespace}}}list")
    ]


def test_everything_is_there_after_a_restart(data):
    with Emulator(data=data) as emulator:
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        group = emulator.add_dialog("group", alice, [bob], name="Hikers")
        emulator.add_messages(group, [{"sender_id": bob, "message": "Hello"}])
        emulator.ban(group, bob)
        rest = Rest(emulator, "alice")
        with rest.http, Client(emulator) as client:
            uid = upload(rest, b"bytes of a file")
            device = {
                "notification_channel": "gcm",
                "device": {"platform": "android", "udid": "one"},
                "push_token": {"environment": "production", "client_identification_sequence": "t"},
            }
            assert rest("POST", "subscriptions", json=device).status_code == 201
            client.log_in(alice)
            client.send(
                f"<iq type='set' id='r'><query xmlns='{ROSTER}'>"
                "<item jid='2-1@localhost' name='Bob'/></query></iq>"
                f"<iq type='set' id='p'><query xmlns='{PRIVACY}'><list name='mine'>"
                "<item type='jid' value='2-1@localhost' action='deny' order='1'/></list></query></iq>"
            )
            assert client.answer("p").get("type") == "result"
    with Emulator(data=data) as emulator:
        rest.http = requests.Session()
        rest.http.headers["CB-Token"] = rest.token
        rest._url = emulator.api_url
        with rest.http, Client(emulator) as client:
            assert rest("GET", f"users/{bob}").json()["user"]["login"] == "bob"
            items = rest("GET", "chat/Dialog").json()["items"]
            assert [item["last_message"] for item in items] == ["Hello"]
            assert rest("GET", f"blobs/{uid}/download").content == b"bytes of a file"
            assert len(rest("GET", "subscriptions").json()) == 1
            client.log_in(alice)
            client.send(f"<iq type='get' id='r'><query xmlns='{ROSTER}'/></iq>")
            assert names(client.answer("r"), ROSTER) == ["Bob"]
            client.send(f"<iq type='get' id='p'><query xmlns='{PRIVACY}'/></iq>")
            assert names(client.answer("p"), PRIVACY) == ["mine"]
            assert emulator.unban(group, bob), "a ban is kept"
            assert emulator.add_user("carol", "secret") == 3


def test_data_of_another_application_is_refused_and_its_folder_released(data):
    with Emulator(data=data, app_id=7):
        pass
    with pytest.raises(ArgumentValueError, match="application 7 at localhost, not of 1"):
        Emulator(data=data).start()
    with Emulator(data=data, app_id=7) as emulator:
        assert emulator.add_user("alice", "secret") == 1


def test_an_upload_that_a_kill_cut_short_is_removed(data):
    with Emulator(data=data):
        pass
    (data / "bucket").mkdir()
    (data / "bucket" / f"object-{'0a' * 16}").write_bytes(b"half")
    (data / "bucket" / "object-half").write_bytes(b"work")
    with Emulator(data=data):
        assert os.listdir(data / "bucket") == ["object-half"], "a name that it has not given"


def test_tables_with_other_columns_are_refused_with_a_sentence(data):
    with Emulator(data=data):
        pass
    with contextlib.closing(sqlite3.connect(data / "state.db", isolation_level=None)) as database:
        database.execute("DROP TABLE objects")
        database.execute("CREATE TABLE objects (a)")
    with pytest.raises(ArgumentValueError, match=r"is damaged: no such column.*Move it away"):
        Emulator(data=data).start()


def test_the_bytes_of_files_are_readable_by_their_user_alone(data):
    with Emulator(data=data) as emulator:
        emulator.add_user("alice", "secret")
        rest = Rest(emulator, "alice")
        with rest.http:
            upload(rest, b"bytes")
        modes = {stat.S_IMODE(path.lstat().st_mode) for path in data.rglob("*") if path.is_file()}
        folders = {stat.S_IMODE(path.stat().st_mode) for path in (data, data / "bucket")}
    assert (modes, folders) == ({0o600}, {0o700})


def test_a_bucket_that_becomes_a_link_while_it_runs_is_not_used(data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / f"object-{'0a' * 16}").write_text("work")
    with Emulator(data=data) as emulator:
        (data / "bucket").symlink_to(other)
        emulator.reset()
        assert len(os.listdir(other)) == 1
    with pytest.raises(ArgumentValueError, match="bucket is a link"):
        Emulator(data=data).start()


# --- reset --------------------------------------------------------------------------------------


def test_a_reset_ends_connections_forgets_everything_and_keeps_the_ports(
    emulator, connect, rest, alice, bob
):
    session = rest("alice")
    uid = upload(session, b"bytes")
    group = emulator.add_dialog("group", alice, [bob], name="Hikers")
    client = connect().log_in(alice)
    client.enable()
    before = emulator.environment()
    emulator.reset()
    assert client.stream_error() == "system-shutdown"
    assert emulator.environment() == before
    assert session("GET", "session").status_code == 401
    assert session("GET", f"blobs/{uid}/object").status_code == 404
    assert (emulator.sessions(), emulator.pushes, emulator.reset_emails) == ([], [], [])
    assert emulator.messages(group) == []
    assert emulator.add_user("new", "secret") == 1
    fresh = connect().log_in(1)
    fresh.send(f"<iq type='get' id='q' to='1_{group}@muc.localhost'><query xmlns='{INFO}'/></iq>")
    assert condition(fresh.answer("q")) == "item-not-found"


def test_a_session_from_before_a_reset_cannot_be_resumed(emulator, connect, alice):
    client = connect().log_in(alice)
    resumption = client.enable()
    emulator.cut()
    emulator.reset()
    assert emulator.add_user("alice", "secret") == alice
    again = connect().authenticated(alice)
    again.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{resumption}' h='0'/>")
    assert again.next().tag == "{urn:xmpp:sm:3}failed"


def test_a_handshake_under_way_at_a_reset_does_not_reach_the_old_state(emulator, alice):
    with socket.create_connection(("127.0.0.1", emulator.chat_port), 5) as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        wait_until(lambda: on_emulator(emulator, lambda service: len(service.tcp.handshakes)) == 1)
        emulator.reset()
        half.settimeout(5)
        with pytest.raises(ConnectionError):
            if half.recv(1) == b"":
                raise ConnectionResetError


def test_a_reset_is_refused_when_it_does_not_run():
    with pytest.raises(RuntimeError, match="not running"):
        Emulator().reset()
