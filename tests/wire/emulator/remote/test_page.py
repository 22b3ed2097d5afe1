"""The page of the emulator and the control API beside it: who may read them, and what a browser is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import requests

import connectycube.emulator
from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.ports import emulator_ports, free_port

FOLDER = Path(connectycube.emulator.__file__).parent / "page"
SUFFIXES = (".css", ".html", ".js", ".svg")
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in SUFFIXES)
CHANGE = {"X-ConnectyCube-Emulator": "test"}


@pytest.fixture(scope="module")
def page():
    with Emulator(ui_port=0) as running:
        yield running


def ask(page, method, path, *, token=True, **headers):
    if token:
        headers["Authorization"] = f"Bearer {page.control_token}"
    address = page.ui_url.partition("#")[0]
    return requests.request(method, f"{address}{path}", headers=headers, timeout=5)


class TestFiles:
    @pytest.mark.parametrize("name", ["", *FILES])
    def test_each_file_is_served_without_the_token_and_with_a_policy(self, page, name):
        answer = ask(page, "GET", name, token=False)
        assert answer.status_code == 200
        assert answer.content == (FOLDER / (name or "index.html")).read_bytes()
        assert page.control_token not in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"

    @pytest.mark.parametrize(
        "path",
        [
            "../emulator.py",
            "%2e%2e/emulator.py",
            "..%2femulator.py",
            "__pycache__",
            "__init__.py",
            "index.html/",
            "page.css%00",
            "unknown.js",
        ],
    )
    def test_nothing_else_is_served(self, page, path):
        with socket.create_connection(("127.0.0.1", page.ui_port), 5) as link:
            link.sendall(
                f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            answer = link.makefile("rb").read()
        assert answer.split(b" ", 2)[1] in (b"401", b"404")

    @pytest.mark.parametrize("name", FILES)
    def test_no_file_names_another_host_or_writes_markup(self, name):
        text = (FOLDER / name).read_text(encoding="utf-8")
        for word in (
            "//cdn",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
        ):
            assert word not in text
        if name.endswith(".html"):
            assert "style=" not in text
            assert "onclick" not in text
            assert text.count("<script") == text.count('<script type="module" src=')


class TestAccess:
    def test_the_control_api_is_there_with_the_token_alone(self, page):
        assert ask(page, "GET", "__emulator__/users").json() == {"result": page.users()}
        assert ask(page, "GET", "__emulator__/users", token=False).status_code == 401

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_a_change_needs_a_header_of_its_own(self, page, method):
        assert ask(page, method, "__emulator__/reset").status_code == 403
        allowed = ask(page, method, "__emulator__/reset", **CHANGE)
        assert allowed.status_code == (200 if method == "POST" else 405)

    def test_programs_at_the_control_port_need_no_such_header(self, page):
        token = {"Authorization": f"Bearer {page.control_token}"}
        answer = requests.post(f"{page.control_url}/reset", headers=token, timeout=5)
        assert answer.status_code == 200
        assert requests.get(f"http://127.0.0.1:{page.control_port}/", timeout=5).status_code == 401

    @pytest.mark.parametrize("path", ["", "main.js", "__emulator__/users", "__emulator__/events"])
    @pytest.mark.parametrize(
        "origin", ["https://example.org", "http://localhost:3000", "null", "http://127.0.0.1"]
    )
    def test_a_page_of_another_origin_gets_nothing(self, page, path, origin):
        answer = ask(page, "GET", path, Origin=origin)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("Access-Control")]

    @pytest.mark.parametrize("path", ["", "main.js", "__emulator__/users", "__emulator__/events"])
    @pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "10.0.0.1:80"])
    def test_a_foreign_host_gets_nothing(self, page, path, host):
        assert ask(page, "GET", path, Host=host).status_code == 403

    def test_the_page_itself_is_let_in(self, page):
        own = page.ui_url.partition("/#")[0]
        assert ask(page, "POST", "__emulator__/reset", Origin=own, **CHANGE).status_code == 200


class TestItsPort:
    def test_without_a_port_there_is_no_page(self, emulator):
        assert (emulator.ui_port, emulator.ui_url) == (None, None)

    def test_it_is_on_the_loopback_address_alone_and_stays_there(self):
        port = free_port()
        with Emulator(host="0.0.0.0", ui_port=port, **emulator_ports()) as emulator:
            assert emulator.ui_port == port
            assert emulator.ui_url == f"http://127.0.0.1:{port}/#{emulator.control_token}"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), 2)
            emulator.stop()
            assert emulator.start().ui_port == port

    @pytest.mark.parametrize(
        ("port", "error"),
        [("80", ArgumentTypeError), (-1, ArgumentValueError), (70000, ArgumentValueError)],
    )
    def test_a_wrong_port_is_refused(self, port, error):
        with pytest.raises(error, match="ui_port"):
            Emulator(ui_port=port)
