"""No web page but the developer's own reads, writes or joins the chat, at any port."""

from __future__ import annotations

import json
import socket

import pytest
import requests

from connectycube.emulator import Emulator
from tests.support.websocket_client import WebSocketClient
from tests.wire.emulator.api.test_files import uploaded

EVIL = "http://evil.example"
PAGE = "https://app.example"


def downloaded(session, kind):
    blob = uploaded(session, content_type=kind)
    return session("GET", f"blobs/{blob['uid']}/download")


def url_of(emulator, port):
    return {
        "api": emulator.api_url,
        "https": emulator.https_url,
        "storage": emulator.storage_url,
        "websocket": emulator.websocket_url.replace("ws:", "http:"),
        "control": emulator.control_url,
    }[port]


PORTS = ("api", "https", "storage", "websocket", "control")


def ask(emulator, port, method="GET", path="session", **headers):
    with requests.Session() as http:
        http.trust_env = False
        url = f"{url_of(emulator, port)}/{path}"
        return http.request(method, url, headers=headers, timeout=5, verify=emulator.ca_file)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": EVIL},
        {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_foreign_pages_are_refused_at_every_port(emulator, port, method, headers):
    answer = ask(emulator, port, method, **headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""],
)
@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_a_request_without_a_preflight_makes_no_user(emulator, kind, origin):
    body = {
        "application_id": emulator.app_id,
        "auth_key": emulator.auth_key,
        "user": {"login": "mallory", "password": "secret"},
    }
    with requests.Session() as http:
        http.trust_env = False
        answer = http.post(
            f"{emulator.api_url}/session",
            data=json.dumps(body),
            headers={"Origin": origin, "Content-Type": kind},
            timeout=5,
        )
    assert answer.status_code == 403
    assert answer.json()["errors"]["base"][0].startswith("Pages of")
    assert emulator.add_user("alice", "secret") == 1


@pytest.mark.parametrize("origin", [EVIL, "null", "", "http://localhost.evil.example"])
def test_a_foreign_page_joins_no_chat(emulator, origin):
    with WebSocketClient(emulator, headers=f"Origin: {origin}\r\n") as client:
        assert client.upgrade().startswith("HTTP/1.1 403 ")
    with WebSocketClient(emulator, name="evil.example") as client:
        assert client.upgrade().startswith("HTTP/1.1 403 ")


@pytest.mark.parametrize("headers", ["", "Origin: http://localhost:5173\r\n"])
def test_a_page_of_this_machine_and_a_program_join(emulator, alice, headers):
    with WebSocketClient(emulator, headers=headers) as client:
        client.log_in(alice)


def test_a_page_that_is_allowed_reads_writes_and_joins():
    with Emulator(allow_origins=[PAGE, "https://other.example:8443"]) as emulator:
        answer = ask(emulator, "api", Origin=PAGE)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, PAGE)
        assert ask(emulator, "storage", Origin=PAGE).status_code == 404
        assert ask(emulator, "api", Origin="https://app.example:444").status_code == 403
        assert ask(emulator, "control", Origin=PAGE).status_code == 403, "it is for programs"
        with WebSocketClient(emulator, headers=f"Origin: {PAGE}\r\n") as client:
            assert client.upgrade().startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("port", ["api_port", "storage_port", "websocket_port", "control_port"])
@pytest.mark.parametrize(
    "head",
    [
        "GET http://evil.example/session HTTP/1.1\r\nHost: localhost\r\n",
        "GET http://localhost/session HTTP/1.1\r\nHost: evil.example\r\n",
        "GET /session HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET /session HTTP/1.1\r\n",
        "GET /session HTTP/1.1\r\nHost: localhost\xff\r\n",
        "GET /session HTTP/1.1\r\nHost : localhost\r\n",
        "GET /session HTTP/1.1\r\nHost: localhost\r\n Host: evil.example\r\n",
    ],
)
def test_a_target_or_head_with_another_host_is_refused(emulator, port, head):
    with socket.create_connection((emulator.host, getattr(emulator, port)), 5) as raw:
        raw.sendall(f"{head}\r\n".encode("latin-1"))
        assert raw.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ", b"HTTP/1.0 400 "))


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf"),
        *("text/javascript", "application/octet-stream", "image/png; x=text/html", "TEXT/HTML"),
        "application/x-shockwave-flash",
    ],
)
def test_a_browser_runs_nothing_that_was_uploaded(emulator, alice, rest, kind):
    answer = downloaded(rest("alice"), kind)
    assert answer.headers["Content-Disposition"] == "attachment"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "audio/ogg", "text/plain"])
def test_pictures_sound_and_text_are_shown(emulator, alice, rest, kind):
    assert "Content-Disposition" not in downloaded(rest("alice"), kind).headers
