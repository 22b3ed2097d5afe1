"""Every kind of bad input at every door it can come through: its error, and an emulator that goes on.

Random input is in ``test_fuzz.py``.
"""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
import requests
from attrs import frozen

from connectycube.emulator import Emulator
from tests.support.websocket_client import BIND, WebSocketClient
from tests.support.wire_client import CLIENT, STREAM, STREAMS, Client, condition
from tests.wire.emulator.unharmed import unharmed

TLS, WEBSOCKET, HTTP, HTTPS, STORAGE, STORAGE_HTTPS = DOORS = (
    *("TLS", "WebSocket", "http", "https"),
    *("storage over http", "storage over https"),
)
ITEMS = {
    "malformed XML": (TLS, WEBSOCKET),
    "array as <0>": (TLS, WEBSOCKET),
    "wrong namespace": (TLS, WEBSOCKET),
    "bind twice": (TLS, WEBSOCKET),
    "huge stanza": (TLS, WEBSOCKET),
    "bad JSON": (HTTP, HTTPS),
    "unknown token": (TLS, WEBSOCKET, HTTP, HTTPS, STORAGE, STORAGE_HTTPS),
    "path traversal": (HTTP, HTTPS, STORAGE, STORAGE_HTTPS),
    "no HTTP": (WEBSOCKET, HTTP, HTTPS, STORAGE, STORAGE_HTTPS),
    "oversized header": (WEBSOCKET, HTTP, HTTPS, STORAGE, STORAGE_HTTPS),
}
"""What comes, and through which doors it can."""

LARGEST = 100_000


@frozen
class Case:
    """What is sent to some doors, and the answer that is expected: a condition, a status, words."""

    item: str
    doors: tuple[str, ...]
    sent: str
    expected: object


CHAT = (TLS, WEBSOCKET)
REST = (HTTP, HTTPS)
BUCKET = (STORAGE, STORAGE_HTTPS)
WEB = (WEBSOCKET, *REST, *BUCKET)
NS = "jabber:client"
STANZAS = [
    Case("malformed XML", CHAT, f"<message xmlns='{NS}'><body></message>", "not-well-formed"),
    Case("malformed XML", CHAT, f"<message xmlns='{NS}'>\x01</message>", "not-well-formed"),
    Case("malformed XML", CHAT, f"<iq xmlns='{NS}' id='a' id='b'/>", "not-well-formed"),
    Case("malformed XML", CHAT, f"<message xmlns='{NS}'><x:y/></message>", "bad-namespace-prefix"),
    Case("malformed XML", CHAT, f"<message xmlns='{NS}'>&b;</message>", "restricted-xml"),
    Case(
        "array as <0>", CHAT, f"<message xmlns='{NS}'><a><0>x</0></a></message>", "not-well-formed"
    ),
    Case("wrong namespace", CHAT, "<message xmlns='jabber:server'/>", "invalid-namespace"),
    Case("wrong namespace", CHAT, "<iq xmlns='' type='get' id='a'/>", "invalid-namespace"),
    Case("wrong namespace", CHAT, "<r xmlns='urn:xmpp:sm:2'/>", "unsupported-stanza-type"),
    Case(
        "huge stanza", CHAT, f"<message xmlns='{NS}'>{'x' * LARGEST}</message>", "policy-violation"
    ),
    Case("huge stanza", CHAT, f"<iq xmlns='{NS}' id='{'x' * LARGEST}'/>", "policy-violation"),
    Case(
        "huge stanza", CHAT, f"<iq xmlns='{NS}'>{'<a/>' * (LARGEST // 3)}</iq>", "policy-violation"
    ),
    Case(
        "huge stanza", CHAT, f"<iq xmlns='{NS}'>{'<a>' * 99}{'</a>' * 99}</iq>", "policy-violation"
    ),
]
BODIES = [
    Case("bad JSON", REST, text, 400)
    for text in (
        *(
            '{"a": ',
            "{'a': 1}",
            "[]",
            "1",
            "null",
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": 1e999}',
        ),
        *('{"a": "\\ud800"}', '{"a": "\0"}', "[" * 100_000, '{"a":' * 100_000),
        f'{{"a": {"9" * 10_000}}}',
    )
]
PATHS = [
    *(Case("path traversal", REST, path, 501) for path in ("../../etc/passwd", "//etc/passwd")),
    *(
        Case("path traversal", REST, f"blobs/{name}", 501)
        for name in (
            "../state.db",
            "..%2fstate.db",
            "%2e%2e%2f%2e%2e%2fstate.db",
            "%2fetc%2fpasswd",
        )
    ),
    Case("path traversal", REST, "blobs/..%00", 404),
    Case("path traversal", REST, "blobs/..%2fstate.db/download", 501),
    Case("path traversal", REST, "data/..%2f..%2fx/../y", 501),
    *(
        Case("path traversal", BUCKET, f"{{bucket}}/{key}", 403)
        for key in (
            "..%2f..%2fstate.db",
            "%2fetc%2fpasswd",
            "..%00",
            "a%2f..%2f..%2fca.pem",
            "..\\ca.pem",
        )
    ),
    Case("path traversal", BUCKET, "../../etc/passwd", 404),
    Case("path traversal", BUCKET, "{bucket}/../../etc/passwd", 403),
]


@pytest.fixture(scope="module")
def place():
    with unharmed(stanza_bytes=LARGEST) as made:
        yield made
        made.check_all()


@pytest.fixture(autouse=True)
def _everybody_is_served(place):
    yield
    place.check()


@pytest.fixture
def client_at(place):
    """``client_at(door)``: a chat client that is logged in there."""
    with contextlib.ExitStack() as stack:

        def make(door):
            kind = Client if door == TLS else WebSocketClient
            return stack.enter_context(kind(place.emulator)).log_in(place.alice)

        yield make


def at_doors(cases):
    """Give each case with each of its doors, under a short name."""
    return [
        pytest.param(door, case, id=f"{case.item}, {door}, {number}")
        for number, case in enumerate(cases)
        for door in case.doors
    ]


def url_of(place, door):
    urls = {
        HTTP: place.emulator.api_url,
        HTTPS: place.emulator.https_url,
        STORAGE: place.emulator.storage_url,
        STORAGE_HTTPS: place.emulator.storage_url.replace("http:", "https:").replace(
            str(place.emulator.storage_port), str(place.emulator.storage_https_port)
        ),
        WEBSOCKET: place.emulator.websocket_url.replace("ws:", "http:"),
    }
    return urls[door]


def ask(place, door, method, path, **more):
    """Send a request with its path as it stands, and the token of alice."""
    request = requests.Request(method, url_of(place, door), **more).prepare()
    request.url = f"{url_of(place, door)}/{path}"
    request.headers.setdefault("CB-Token", place.rest.token)
    with requests.Session() as http:
        http.trust_env = False
        return http.send(request, timeout=5, verify=place.emulator.ca_file)


def assert_kind(door, answer):
    """Check that an error is written as that server writes it."""
    if door in REST:
        assert answer.json()["errors"]["base"]
    elif door in BUCKET:
        assert "<Error><Code>" in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("door", "case"), at_doors(STANZAS))
def test_a_bad_stanza_ends_its_stream_with_an_error_and_no_other(client_at, door, case):
    bad, good = client_at(door), client_at(TLS)
    with contextlib.suppress(ConnectionError):  # it hangs up before it has read all of it
        bad.send(case.sent)
    error = bad.find(f"{STREAM}error")
    assert error[0].tag == f"{STREAMS}{case.expected}"
    good.sync()


@pytest.mark.parametrize("door", ITEMS["bind twice"])
def test_to_bind_twice_is_not_allowed(client_at, door):
    client = client_at(door)
    client.send(f"<iq xmlns='{NS}' type='set' id='again'><bind xmlns='{BIND}'/></iq>")
    while (answer := client.find(f"{CLIENT}iq")).get("id") != "again":
        pass
    assert condition(answer) == "not-allowed"


@pytest.mark.parametrize(("door", "case"), at_doors(BODIES))
def test_bad_json_is_400(place, door, case):
    answer = ask(place, door, "POST", "session", data=case.sent.encode())
    assert answer.status_code == case.expected
    assert_kind(door, answer)


@pytest.mark.parametrize("door", REST)
def test_of_two_values_of_one_key_the_last_counts(place, door):
    text = '{"application_id": 7, "auth_key": "key", "application_id": 1}'
    assert ask(place, door, "POST", "session", data=text).status_code == 201


def parameters(count):
    return "&".join(f"id[in][]={number}" for number in range(count))


def nested(depth):
    return "a[" * depth + "]" * depth + "=1"


@pytest.mark.parametrize("door", REST)
def test_a_query_of_hundreds_of_parameters_is_read(place, door):
    answer = ask(place, door, "GET", f"users/v2?{parameters(300)}&limit=1")
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()["items"]] == [place.alice]


@pytest.mark.parametrize("door", REST)
def test_a_parameter_nested_a_thousand_times_is_422(place, door):
    answer = ask(place, door, "GET", f"chat/Dialog?{nested(1000)}")
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize("door", REST)
@pytest.mark.parametrize(
    "target",
    [f"users/v2?{parameters(3000)}&limit=1", f"chat/Dialog?{nested(2000)}"],
    ids=["parameters", "nested"],
)
def test_a_target_longer_than_the_limit_is_400(place, door, target):
    answer = ask(place, door, "GET", target)
    assert answer.status_code == 400
    assert_kind(door, answer)


@pytest.mark.parametrize("door", REST)
def test_a_client_that_is_still_sending_gets_its_400(place, door):
    with _socket_at(place, door) as connection:
        # With so little room here, a megabyte is sent only if the emulator takes the rest of the request.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.sendall(b"GET /users/v2?" + b"x" * 10_000)
        answer = connection.recv(1)  # the request is refused before it has ended
        connection.sendall(b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b'"errors"' not in answer and (data := connection.recv(65536)):
            answer += data
    assert b" 400 " in answer
    assert b'"errors"' in answer


@pytest.mark.parametrize("door", REST)
def test_a_client_that_sends_a_malformed_body_on_gets_its_400(place, door):
    head = b"POST /session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    with _socket_at(place, door) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.sendall(head)
        answer = connection.recv(1)
        connection.sendall(b"x" * 1_000_000)
        while b'"errors"' not in answer and (data := connection.recv(65536)):
            answer += data
    assert b" 400 " in answer
    assert b'"errors"' in answer


@pytest.mark.parametrize("token", [b"nonsense", b"", b"\xc3\xa9", b"\xff\xed\xa0\x80", b"x" * 5000])
@pytest.mark.parametrize("door", REST)
def test_an_unknown_token_is_the_services_401(place, door, token):
    answer = ask(place, door, "GET", "chat/Dialog", headers={"CB-Token": token})
    assert answer.status_code == 401
    assert answer.json() == {"errors": {"base": ["Required session does not exist"]}}


@pytest.mark.parametrize("door", CHAT)
def test_an_unknown_token_as_password_is_not_authorized(place, door):
    with (Client if door == TLS else WebSocketClient)(place.emulator) as client:
        if door == TLS:
            client.open()
        else:
            client.upgrade()
            client.open()
        client.send(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHgAeA==</auth>"
        )
        failure = client.find("{urn:ietf:params:xml:ns:xmpp-sasl}failure")
        assert failure[0].tag.endswith("not-authorized")


@pytest.mark.parametrize("door", BUCKET)
def test_an_unknown_signature_is_403(place, door):
    bucket = place.form[0].rsplit("/", 1)[1]
    answer = ask(place, door, "GET", f"{bucket}/{place.blob['uid']}?X-Amz-Signature=00")
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


@pytest.mark.parametrize(("door", "case"), at_doors(PATHS))
def test_a_path_leads_nowhere_else(place, door, case):
    path = case.sent.format(bucket=place.form[0].rsplit("/", 1)[1])
    answer = ask(place, door, "GET", path)
    assert answer.status_code == case.expected
    assert_kind(door, answer)
    assert b"root:" not in answer.content


@pytest.mark.parametrize("door", REST)
@pytest.mark.parametrize(
    "name", ["../../up", "/etc/passwd", "a\0b", "..", "C:\\x", "\u202e", "a/b"]
)
def test_a_files_name_is_a_name_and_no_path(place, door, name):
    before = sorted(os.listdir(place.folder))
    body = {"blob": {"name": name, "content_type": "text/plain"}}
    answer = ask(place, door, "POST", "blobs", json=body)
    assert answer.status_code == 201
    assert answer.json()["blob"]["name"] == name
    assert sorted(os.listdir(place.folder)) == before


@pytest.mark.parametrize("door", BUCKET)
@pytest.mark.parametrize("key", ["../../up", "/etc/passwd", "a\0b"])
def test_a_key_that_is_not_the_forms_is_refused(place, door, key):
    bucket = place.form[0].rsplit("/", 1)[1]
    fields = {**place.form[1], "key": key}
    answer = ask(place, door, "POST", bucket, data=fields, files={"file": ("../../x", b"content")})
    assert (answer.status_code, "Policy Condition failed" in answer.text) == (403, True)


@pytest.mark.parametrize("door", WEB)
@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("no HTTP", b"NONSENSE\r\n\r\n"),
        ("no HTTP", b"GET / HTTP/9.9\r\n\r\n"),
        ("no HTTP", b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"),
        ("no HTTP", b"GET /\xff HTTP/1.1\r\n\r\n"),
        ("no HTTP", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        ("oversized header", b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"),
        ("oversized header", b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n"),
    ],
)
def test_what_is_no_http_is_400(place, door, name, head):
    with _socket_at(place, door) as connection:
        connection.sendall(head)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                answer += data
    status, _, rest = answer.partition(b"\r\n")
    assert status.split()[1] == b"400"
    assert b"is not HTTP" in rest


def _socket_at(place, door):
    from tests.wire.emulator.test_fuzz import connected

    port = {
        HTTP: "api_port",
        HTTPS: "https_port",
        STORAGE: "storage_port",
        STORAGE_HTTPS: "storage_https_port",
        WEBSOCKET: "websocket_port",
    }[door]
    return connected(place.emulator, port)


@pytest.mark.parametrize("door", REST)
@pytest.mark.parametrize("chunk", [b"x\r\n", b"-1\r\nab\r\n", b"5\r\nabcdefgh\r\n"])
def test_a_body_that_breaks_off_the_rules_of_chunks_is_400(place, door, chunk):
    head = b"POST /session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with _socket_at(place, door) as connection:
        connection.sendall(head)
        connection.sendall(chunk)
        answer = b""
        while b'"errors"' not in answer and (data := connection.recv(65536)):
            answer += data
    assert b" 400 " in answer
    assert b'"errors"' in answer


def test_every_item_of_the_table_has_a_case_at_each_of_its_doors():
    from_cases = {(case.item, door) for case in (*STANZAS, *BODIES, *PATHS) for door in case.doors}
    # these have a test of their own above, which is given their doors
    own = {(item, door) for item in ("bind twice", "unknown token") for door in ITEMS[item]}
    own |= {(item, door) for item in ("no HTTP", "oversized header") for door in WEB}
    assert from_cases | own == {(item, door) for item, doors in ITEMS.items() for door in doors}


def test_what_is_not_the_emulators_in_its_folder_is_not_followed(tmp_path):
    data, outside = tmp_path / "data", tmp_path / "outside"
    with Emulator(data=data):
        pass
    (data / "bucket").mkdir()
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (data / "bucket" / "link").symlink_to(outside / "kept")
    (data / "bucket" / "folder").symlink_to(outside)
    (data / "bucket" / "inner").mkdir()
    with Emulator(data=data) as emulator:
        assert emulator.add_user("alice", "secret") == 1
    assert (outside / "kept").read_text() == "kept"
    assert (data / "bucket" / "inner").is_dir()
