"""Random bytes, and sessions with random damage, on every port: each ends, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.waiting import TIMEOUT
from tests.support.websocket_client import BINARY, BIND, CLOSE, TEXT, WebSocketClient
from tests.support.wire_client import HEADER, Client, chat, connect_tls
from tests.wire.emulator.unharmed import unharmed


class Bad(bytes):
    """Bytes whose repr is short."""

    def __repr__(self):
        return f"{bytes(self[:40])!r} ({len(self)} bytes)"


# A failing example is long to shrink, and short enough as it is.
FUZZ = settings(
    max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate), print_blob=True
)

# What parsers, decoders and buffers stumble over.
NASTY = st.sampled_from(
    (
        *(b"\0", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x92", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
        *(
            b"<",
            b">",
            b"&",
            b"'",
            b'"',
            b"]]>",
            b"<![CDATA[",
            b"<0>",
            b"</0>",
            b"<a:b/>",
            b"<?x ?>",
        ),
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"<!DOCTYPE a [<!ENTITY b 'cc'><!ENTITY d '&b;&b;&b;'>]><a>&d;</a>",
        *(b"&lt;", b"&#0;", b"&#xD800;", b"&x;", b"<a>" * 100, b"<message>", b"</stream:stream>"),
        *(b"\r\n", b"\r\n\r\n", b"\n", b" ", b":", b",", b"{", b"}", b"[" * 5000, b'{"a":' * 2000),
        *(
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"9" * 5000,
            b"-1",
            b"0x7fffffff",
            b"\\ud800",
            b"\\u0000",
        ),
        *(b"../", b"..%2f..%2f", b"%2e%2e/", b"/etc/passwd", b"%00", b"%", b"%zz", b"%ff", b"//"),
        *(b"x" * 70_000, b"X: " + b"y" * 9000 + b"\r\n", b"&".join([b"a[in][]=1"] * 3000)),
        *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 7\r\n", b"Content-Length: -1\r\n"),
        *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Content-Encoding: gzip\r\n"),
    )
).map(Bad)
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(("insert", "delete", "replace", "repeat", "cut")),
        st.floats(0, 1),
        st.integers(1, 40),
        NASTY | st.binary(max_size=12),
    ),
    max_size=4,
)


def damaged(data, damage):
    """Return ``data`` with every damage done to it, each at a place from 0 (first) to 1 (last byte)."""
    for what, place, size, bad in damage:
        start = int(place * len(data))
        before, hit, after = data[:start], data[start : start + size], data[start + size :]
        data = {
            "insert": before + bad + hit + after,
            "delete": before + after,
            "replace": before + bad + after,
            "repeat": before + hit * 4 + after,
            "cut": before,
        }[what]
    return data


@pytest.fixture(scope="module")
def place():
    with unharmed() as made:
        yield made
        made.check_all()


@pytest.fixture(autouse=True)
def _everybody_is_served(place):
    yield
    place.check()


def drain(connection):
    """Read until the other end has closed the connection."""
    with contextlib.suppress(OSError):  # it may have been reset already
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while connection.recv(65536):
            pass


# --- chat ---------------------------------------------------------------------------------------------


def plain(place, password="secret"):
    return base64.b64encode(f"\0{place.alice}-1\0{password}".encode()).decode()


def conversation(place):
    """What a client sends in its life, in steps that each need the answer to the one before."""
    jid = f"{place.alice}-1@localhost"
    return (
        [f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain(place)}</auth>"],
        [f"<iq type='set' id='b'><bind xmlns='{BIND}'><resource>r</resource></bind></iq>"],
        [
            "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
            "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
            "<presence><priority>1</priority></presence>",
            chat(jid, "h\u00e9 \U0001f44b", params="<a>1</a><attachment id='u' type='image'/>"),
            f"<message to='{jid}' type='chat' id='m'><received xmlns='urn:xmpp:chat-markers:0' "
            f"id='{'aa' * 12}'/></message>",
            "<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>",
            f"<iq type='get' id='l' to='{jid}'><query xmlns='jabber:iq:last'/></iq>",
            "<iq type='set' id='p'><query xmlns='jabber:iq:privacy'><list name='n'><item type='jid' "
            "value='2-1@localhost' action='deny' order='1'><message/></item></list></query></iq>",
            "<presence to='1_5f5f@muc.localhost/1'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        ],
    )


def mutated(texts, damage):
    return damaged("".join(texts).encode(), damage)


@FUZZ
@given(step=st.integers(0, 2), damage=DAMAGE, noise=st.none() | st.binary(max_size=50))
def test_a_damaged_conversation_over_tls(place, step, damage, noise):
    with Client(place.emulator) as client:
        if step == 0:
            client.open()
        else:
            client.authenticated(place.alice)
        if step == 2:
            client.bind()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            client.send(noise or mutated(conversation(place)[step], damage))
        drain(client.socket)
    place.check()


@FUZZ
@given(step=st.integers(0, 2), damage=DAMAGE, opcode=st.sampled_from((TEXT, TEXT, TEXT, BINARY)))
def test_a_damaged_conversation_over_websocket(place, step, damage, opcode):
    with WebSocketClient(place.emulator) as client:
        if step == 0:
            client.upgrade()
            client.open()
        else:
            client.authenticated(place.alice)
        if step == 2:
            client.stanza(f"<iq type='set' id='bind'><bind xmlns='{BIND}'/></iq>")
            client.next()
        with contextlib.suppress(ConnectionError):
            for text in conversation(place)[step]:
                data = text.replace("<iq ", "<iq xmlns='jabber:client' ", 1)
                data = data.replace("<message ", "<message xmlns='jabber:client' ", 1)
                data = data.replace("<presence", "<presence xmlns='jabber:client'", 1)
                client.frame(damaged(data.encode(), damage), opcode)
            client.frame(b"", CLOSE)
        drain(client.socket)
    place.check()


# --- HTTP ---------------------------------------------------------------------------------------------


def request_text(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def calls(place):
    """A request of each kind to the REST API."""
    token = f"CB-Token: {place.rest.token}"
    as_json, form = (
        "Content-Type: application/json",
        "Content-Type: application/x-www-form-urlencoded",
    )
    session = {
        "application_id": 1,
        "auth_key": "key",
        "user": {"login": "x", "password": "yyyyyyyy"},
    }
    message = {
        "recipient_id": place.alice,
        "message": "h\u00e9",
        "attachments": [{"type": "image"}],
    }
    chunks = b'5\r\n{"a":\r\n2;x=y\r\n1}\r\n0\r\nT: 1\r\n\r\n'
    return (
        request_text("POST", "/session", json.dumps(session).encode(), [as_json]),
        request_text("POST", "/session.json", b"user[login]=a&user[password]=b", [form]),
        request_text("POST", "/chat/Message", json.dumps(message).encode(), [token, as_json]),
        request_text(
            "GET", "/chat/Dialog?type[in]=2%2C3&limit=5&sort_desc=updated_at", b"", [token]
        ),
        request_text("GET", "/users/v2?id[in][]=1&login[start_with]=alic", b"", [token]),
        request_text("GET", f"/blobs/{place.blob['uid']}?token={place.rest.token}"),
        request_text("PUT", f"/blobs/{place.blob['id']}", b'{"blob": {"name": "../a"}}', [token]),
        request_text("DELETE", "/chat/Dialog/aa,bb", b"force=1", [token, form]),
        request_text("POST", "/data/a", b"", [token, "Transfer-Encoding: chunked"]) + chunks,
    )


def uploads(place):
    """A request of each kind to the storage bucket."""
    address, fields = place.form
    path = "/" + address.split("/", 3)[3]
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**fields, "key": "none"}.items()
    ]
    parts.append(
        '--x\r\nContent-Disposition: form-data; name="file"; filename="../../a"\r\n\r\nb\r\n--x--\r\n'
    )
    form = ["Content-Type: multipart/form-data; boundary=x"]
    return (
        request_text("POST", path, "".join(parts).encode(), form),
        request_text(
            "GET", f"{path}/{place.blob['uid']}?X-Amz-Signature=00&X-Amz-Date=a&X-Amz-Expires=b"
        ),
        request_text("HEAD", f"{path}/..%2f..%2fstate.db", b"", ["Range: bytes=0-"]),
        request_text("POST", path, b"", [*form, "Transfer-Encoding: chunked"])
        + b"4\r\n--x\r\n0\r\n\r\n",
    )


def upgrades(place):
    headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    headers += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: xmpp"]
    frame = b"\x81\x85\0\0\0\0<a/> "
    return (request_text("GET", "/", b"", headers) + frame * 3, b"\x81\x85\0\0\0\0<a/> ")


PORTS = {
    "api_port": calls,
    "https_port": calls,
    "storage_port": uploads,
    "storage_https_port": uploads,
    "websocket_port": upgrades,
}


@contextlib.contextmanager
def connected(emulator, port):
    """Connect to a port, with TLS if it has it."""
    address = (emulator.host, getattr(emulator, port))
    if port not in ("https_port", "storage_https_port", "chat_port"):
        with socket.create_connection(address, TIMEOUT) as raw:
            yield raw
        return
    context = ssl.create_default_context(cafile=emulator.ca_file)
    with connect_tls(context, address, "localhost") as secure:
        yield secure


@pytest.mark.parametrize("port", PORTS)
@FUZZ
@given(data=st.data())
def test_damaged_requests(place, port, data):
    sent = b"".join(
        damaged(request, data.draw(DAMAGE))
        for request in data.draw(st.lists(st.sampled_from(PORTS[port](place)), max_size=3))
    )
    with connected(place.emulator, port) as connection:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(sent)
        drain(connection)
    place.check()


@pytest.mark.parametrize("port", ["storage_port", "storage_https_port"])
@pytest.mark.parametrize(
    "disposition", [b'fntent-Type"', b"form-data; name", b"form-data;", b'form-data; "=x', b""]
)
def test_a_form_whose_part_has_no_name_is_400(place, port, disposition):
    form = b"--x\r\nContent-Disposition: %s\r\n\r\na/b\r\n--x--\r\n" % disposition
    sent = (
        b"POST /cb-shared-s3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s"
    ) % (len(form), form)
    with connected(place.emulator, port) as connection:
        connection.sendall(sent)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    place.check()


@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xc3\xa9"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Upgrade", b"4"),
        (b"Connection", b"4"),
        (b"Sec-WebSocket-Version", b"4"),
        (b"Sec-WebSocket-Key", b"400 "),
        (b"Sec-WebSocket-Protocol", b"400 "),
        (b"Host", b"403 "),
    ],
)
def test_a_handshake_whose_header_is_no_text(place, header, status, bad):
    headers = {
        b"Host": b"localhost",
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Version": b"13",
        b"Sec-WebSocket-Key": base64.b64encode(bytes(16)),
        b"Sec-WebSocket-Protocol": b"xmpp",
    }
    headers[header] += bad
    lines = [b"GET / HTTP/1.1", *(b"%s: %s" % item for item in headers.items()), b"", b""]
    with connected(place.emulator, "websocket_port") as connection:
        connection.sendall(b"\r\n".join(lines))
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    place.check()


@pytest.mark.parametrize("port", ["chat_port", *PORTS])
@settings(FUZZ, max_examples=15)
@given(
    noise=st.binary(max_size=80),
    opening=st.sampled_from((b"", HEADER.encode(), b"\x16\x03\x01\x02\0\x01")),
)
def test_noise_without_tls(place, port, noise, opening):
    emulator = place.emulator
    with socket.create_connection((emulator.host, getattr(emulator, port)), 5) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(opening + noise)
        drain(connection)
    place.check()
