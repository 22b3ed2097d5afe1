"""A custom identity provider at a URL, asked by the emulator and used by our client."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager

import pytest
import requests

from connectycube import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    ConnectyCube,
    ValidationError,
)
from connectycube.emulator import Emulator, HttpIdentityProvider
from tests.support.ports import free_port
from tests.support.scripted_http import ScriptedHttpServer, answer, reset, silent
from tests.support.waiting import TIMEOUT

TOKEN = "a token & more of 5ec4e7c0de"
GUIDE = {"user": {"id": 2345, "login": "simon371", "full_name": "Simon Davis"}}
MAPPING = {"uid": "#{user.id}", "login": "#{user.login}", "full_name": "#{user.full_name}"}
FAILED = "Custom Identity Provider responded with an error = "


@pytest.fixture
def server():
    with ScriptedHttpServer() as scripted:
        scripted.respond(lambda request: answer(200, GUIDE))
        yield scripted


@pytest.fixture
def provided(server):
    """Start an emulator whose identity provider is the server."""

    @contextmanager
    def start(path="/user/verify", **fields):
        fields = {"response": MAPPING, **fields}
        provider = HttpIdentityProvider(url=f"{server.url}{path}", **fields)
        with Emulator(identity_provider=provider) as emulator:
            yield emulator

    return start


def log_in(emulator, **credentials):
    """Log in to a session of the application, as the guide does; return the response."""
    body = {"application_id": 1, "auth_key": "key"}
    made = requests.post(f"{emulator.api_url}/session", json=body, timeout=TIMEOUT).json()
    return requests.post(
        f"{emulator.api_url}/login",
        json={"password": "any", **credentials},
        headers={"CB-Token": made["session"]["token"]},
        timeout=TIMEOUT,
    )


def new_session(emulator, **user):
    body = {"application_id": 1, "auth_key": "key", "user": user}
    return requests.post(f"{emulator.api_url}/session", json=body, timeout=TIMEOUT)


def error_of(response):
    return response.status_code, response.json()["errors"]


# --- the mappings


def test_the_login_is_sent_as_the_guide_shows(provided, server):
    with provided() as emulator:
        logged_in = log_in(emulator, login=TOKEN)
    assert logged_in.status_code == 202
    user = logged_in.json()["user"]
    assert (user["external_id"], user["login"], user["full_name"]) == (
        *("2345", "simon371", "Simon Davis"),
    )
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.query) == ("GET", "/user/verify", [("token", TOKEN)])
    assert asked.content == b"" and "cb-token" not in asked.headers


def test_a_post_sends_a_form_and_headers(provided, server):
    request = {"name": "#{login}", "secret": "of #{password}", "app": "ours"}
    headers = {"Authorization": "Bearer of-the-provider-5ec4e7c0de"}
    with provided(method="POST", request=request, headers=headers) as emulator:
        assert new_session(emulator, login="simon", password="p&w").status_code == 201
    (asked,) = server.requests
    assert (asked.method, asked.query) == ("POST", [])
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == headers["Authorization"]
    assert asked.content == b"name=simon&secret=of+p%26w&app=ours"


def test_the_query_of_the_url_is_kept(provided, server):
    with provided("/verify?app=5") as emulator:
        new_session(emulator, login=TOKEN)
    assert server.requests[0].query == [("app", "5"), ("token", TOKEN)]


def test_a_url_alone_is_asked_as_the_starter_kit_answers(server):
    server.respond(lambda request: answer(200, {"uid": 7}))
    with Emulator(identity_provider=f"{server.url}/user/verify") as emulator:
        user = new_session(emulator, login=TOKEN).json()["session"]["user"]
    assert (user["external_id"], user["login"]) == ("7", None)
    assert server.requests[0].query == [("token", TOKEN)]


def test_a_text_of_a_mapping_may_hold_several_values(provided, server):
    server.respond(lambda request: answer(200, {"id": 7, "name": {"first": "Simon", "n": 2}}))
    response = {"uid": "our-#{id}", "full_name": "#{name.first} #{name.n}", "phone": "+#{none}"}
    with provided(response=response) as emulator:
        user = new_session(emulator, login=TOKEN).json()["session"]["user"]
    assert (user["external_id"], user["full_name"], user["phone"]) == ("our-7", "Simon 2", None)


def test_the_next_login_is_the_same_user_with_new_fields(provided, server):
    with provided() as emulator:
        first = new_session(emulator, login=TOKEN).json()["session"]["user"]
        renamed = {"user": {**GUIDE["user"], "full_name": "Simon D."}}
        server.respond(lambda request: answer(200, renamed))
        second = log_in(emulator, login="another token").json()["user"]
    assert (second["id"], second["full_name"]) == (first["id"], "Simon D.")
    assert second["login"] == first["login"]


def test_users_with_a_password_are_not_asked_about(provided, server):
    with provided() as emulator:
        alice = emulator.add_user("alice", "secret")
        answered = new_session(emulator, login="alice", password="secret")
        assert answered.json()["session"]["user_id"] == alice
    assert server.requests == []


def test_a_request_that_is_refused_anyway_asks_nobody(provided, server):
    with provided() as emulator:
        body = {"application_id": 1, "auth_key": "wrong", "user": {"login": TOKEN}}
        requests.post(f"{emulator.api_url}/session", json=body, timeout=TIMEOUT)
        log_in(emulator, login=TOKEN, password="")
        requests.post(f"{emulator.api_url}/login", json={"login": TOKEN}, timeout=TIMEOUT)
    assert server.requests == []


# --- responses that are no user


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 429, 500, 503])
def test_a_status_that_is_no_success_refuses_the_user(provided, server, status):
    elsewhere = [("Location", f"{server.url}/elsewhere")]
    server.respond(lambda request: answer(status, GUIDE, headers=elsewhere))
    with provided() as emulator:
        refused = (422, {"base": [f"{FAILED}{status}"]})
        assert error_of(new_session(emulator, login=TOKEN)) == refused
        assert error_of(log_in(emulator, login=TOKEN)) == refused
    assert {asked.path for asked in server.requests} == {"/user/verify"}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>", b'"text"', b"[]", b"null", b"\xff\xfe", b'{"user": NaN}'),
        *(b'{"user": {"id": 1, "login": "\\ud800"}}', b"[" * 60_000, b"9" * 60_000),
        b'{"user": 1e999}',
    ],
)
def test_a_response_that_is_no_object_of_json_is_named(provided, server, content):
    server.respond(lambda request: answer(200, content=content))
    with provided() as emulator:
        answered = error_of(new_session(emulator, login=TOKEN))
    assert answered == (422, {"base": [f"{FAILED}the response is no JSON object"]})


@pytest.mark.parametrize("uid", [None, "", True, 1.5, ["a"], {}])
def test_a_response_without_a_usable_uid_is_named(provided, server, uid):
    server.respond(lambda request: answer(200, {"user": {"id": uid}}))
    with provided() as emulator:
        answered = error_of(new_session(emulator, login=TOKEN))
    assert answered == (422, {"base": ["Custom Identity Provider uid is required"]})


@pytest.mark.parametrize("data", [{}, {"user": 5}, {"user": []}, {"user": {"ID": 5}}])
def test_a_response_without_the_place_of_uid_is_named(provided, server, data):
    server.respond(lambda request: answer(200, data))
    with provided() as emulator:
        answered = error_of(new_session(emulator, login=TOKEN))
    assert answered == (422, {"base": ["Custom Identity Provider uid is required"]})


@pytest.mark.parametrize(
    ("field", "value"),
    [("login", 5), ("login", "ab"), ("full_name", ["Simon"]), ("login", "x" * 99)],
)
def test_a_field_of_a_wrong_kind_is_named_as_in_a_sign_up(provided, server, field, value):
    server.respond(lambda request: answer(200, {"user": {**GUIDE["user"], field: value}}))
    with provided() as emulator:
        status, errors = error_of(new_session(emulator, login=TOKEN))
        assert (status, list(errors)) == (422, [field])
        assert emulator.add_user("simon371", "secret")  # no user was made


def test_a_huge_response_is_not_read(provided, server):
    def endless(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        conn.send(b" " * 65_537)
        conn.expect_end()

    server.respond(lambda request: endless)
    with provided() as emulator:
        answered = error_of(new_session(emulator, login=TOKEN))
    assert answered == (422, {"base": [f"{FAILED}the response is larger than 65536 bytes"]})


def test_a_response_as_large_as_allowed_is_read(provided, server):
    content = json.dumps(GUIDE).encode().ljust(65_536)
    server.respond(lambda request: answer(200, content=content))
    with provided() as emulator:
        assert new_session(emulator, login=TOKEN).status_code == 201


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_a_late_response_is_an_error_and_others_are_served(provided, server, begin):
    asked = threading.Event()

    def slow(conn, request):
        conn.send(begin)
        asked.set()
        conn.expect_end()

    server.respond(lambda request: slow)
    with provided(timeout=1.0) as emulator:
        results = []
        thread = threading.Thread(
            target=lambda: results.append(error_of(new_session(emulator, login=TOKEN)))
        )
        thread.start()
        assert asked.wait(TIMEOUT)
        alice = emulator.add_user("alice", "secret")  # meanwhile
        answered = new_session(emulator, login="alice", password="secret")
        assert answered.json()["session"]["user_id"] == alice
        thread.join(TIMEOUT)
    assert results == [(422, {"base": [f"{FAILED}the response is late"]})]


@pytest.mark.parametrize(
    "step", [reset, b"NOT HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_broken_response_is_an_error(provided, server, step):
    server.respond(lambda request: step)
    with provided(timeout=1.0) as emulator:
        status, errors = error_of(new_session(emulator, login=TOKEN))
    assert status == 422 and errors["base"][0].startswith(FAILED)
    assert TOKEN not in str(errors)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_provider_that_nobody_serves_is_an_error(scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}/verify"
    with Emulator(identity_provider=url) as emulator:
        answered = error_of(new_session(emulator, login=TOKEN))
    assert answered == (422, {"base": [f"{FAILED}no connection"]})


def test_a_plain_port_is_no_provider_over_https(server):
    url = server.url.replace("http:", "https:")
    with Emulator(identity_provider=HttpIdentityProvider(url=url, timeout=1.0)) as emulator:
        status, errors = error_of(new_session(emulator, login=TOKEN))
    assert status == 422 and errors["base"][0].startswith(FAILED)


def test_a_provider_may_ask_the_emulator(provided, server):
    with provided() as emulator:

        def respond(request):
            assert requests.get(f"{emulator.api_url}/session", timeout=TIMEOUT).status_code == 401
            return answer(200, GUIDE)

        server.respond(respond)
        assert new_session(emulator, login=TOKEN).status_code == 201


def test_the_proxy_of_the_environment_is_not_asked(provided, monkeypatch):
    proxy = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    with provided() as emulator, requests.Session() as client:
        client.trust_env = False
        body = {"application_id": 1, "auth_key": "key", "user": {"login": TOKEN}}
        answered = client.post(f"{emulator.api_url}/session", json=body, timeout=TIMEOUT)
    assert answered.status_code == 201


def test_an_emulator_stops_while_a_provider_is_silent(provided, server):
    asked = threading.Event()

    def hang(conn, request):
        asked.set()
        silent(conn, request)

    server.respond(lambda request: hang)
    with provided() as emulator:
        body = json.dumps({"application_id": 1, "auth_key": "key", "user": {"login": "t"}})
        with socket.create_connection(("127.0.0.1", emulator.api_port)) as client:
            head = (
                f"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.sendall((head + body).encode())
            assert asked.wait(TIMEOUT)
            emulator.stop()


# --- our client


@pytest.mark.parametrize(
    "credentials",
    [
        {"provider": "custom_identity", "token": TOKEN},
        {"provider": "custom_identity", "token": TOKEN, "password": "any 5ec4e7c0de"},
        {"login": TOKEN, "password": "any 5ec4e7c0de"},
    ],
)
def test_our_client_logs_in_and_chats(provided, credentials):
    with provided() as emulator, ConnectyCube(config=emulator.config()) as cube:
        user = cube.login(**credentials)
        assert (user.external_id, user.login) == ("2345", "simon371")
        cube.chat.login()
        assert cube.chat.ping() >= 0
        emulator.clock.advance(7_201)
        assert cube.users.get(user.id).login == "simon371"  # renewed by the provider


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_the_provider_refuses_is_a_wrong_credential(provided, server, status):
    server.respond(lambda request: answer(status))
    with provided() as emulator, ConnectyCube(config=emulator.config()) as cube:
        with pytest.raises(ApiAuthenticationError, match=f"= {status}$") as caught:
            cube.login(provider="custom_identity", token=TOKEN)
        assert caught.value.status == 422 and TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [400, 500])
def test_a_provider_that_fails_is_no_wrong_credential(provided, server, status):
    server.respond(lambda request: answer(status))
    with (
        provided() as emulator,
        ConnectyCube(config=emulator.config()) as cube,
        pytest.raises(ValidationError),
    ):
        cube.login(provider="custom_identity", token=TOKEN)


# --- arguments


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://localhost/", "localhost:8000", "http://", "http://[::1", "http://h:99999/"),
        *("http://me:pw@localhost/", "http://localhost/#a", "http://localhost/a b", "http://ü.de/"),
        "http://localhost/\r\nX: y",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url):
    with pytest.raises(ArgumentValueError, match="identity_provider"):
        Emulator(identity_provider=url)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"method": "PUT"}, ArgumentValueError, "method"),
        ({"headers": {"a b": "c"}}, ArgumentValueError, "headers"),
        ({"headers": {"A": "b\r\nC: d"}}, ArgumentValueError, "headers"),
        ({"headers": "A: b"}, ArgumentTypeError, "headers"),
        ({"request": {"token": "#{token}"}}, ArgumentValueError, r"#\{token\}"),
        ({"request": {"token": 5}}, ArgumentTypeError, "request"),
        ({"request": ["token"]}, ArgumentTypeError, "request"),
        ({"response": {"full_name": "#{name}"}}, ArgumentValueError, "uid"),
        ({"response": {"uid": "#{id}", "password": "#{p}"}}, ArgumentValueError, "password"),
        ({"response": {"uid": 5}}, ArgumentTypeError, "response"),
        ({"timeout": 0}, ArgumentValueError, "timeout"),
    ],
)
def test_a_wrong_mapping_is_named(fields, error, words):
    with pytest.raises(error, match=words):
        HttpIdentityProvider(url="http://localhost/verify", **fields)


@pytest.mark.parametrize("value", [5, ["http://localhost/"], {}])
def test_a_provider_of_another_kind_is_refused(value):
    with pytest.raises(ArgumentTypeError, match="identity_provider"):
        Emulator(identity_provider=value)
