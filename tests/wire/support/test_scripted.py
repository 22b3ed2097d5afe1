"""The scripted server does what its script says, and keeps what clients sent."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl

import pytest

from tests.support.certificates import REFUSED
from tests.support.scripted import ScriptedServer, stay_silent
from tests.support.scripted_xmpp import BIND, PLAIN, ScriptedXmppServer


@contextlib.contextmanager
def connected(server, certificates=None):
    with socket.create_connection((server.host, server.port), timeout=5) as raw:
        if certificates is None:
            yield raw
        else:
            context = certificates.client_context()
            context.hostname_checks_common_name = False  # RFC 9525, 2
            with context.wrap_socket(raw, server_hostname="localhost") as secure:
                yield secure


def read_until(end: socket.socket, text: bytes) -> bytes:
    data = b""
    while text not in data:
        piece = end.recv(65536)
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def test_expect_consumes_what_matched_and_keeps_everything(certificates):
    matches = []

    def script(conn):
        matches.append(conn.expect("<a>(.*?)</a>")[1])
        matches.append(conn.expect("<a>(.*?)</a>")[1])
        conn.send("<done/>")

    with (
        ScriptedServer(script, tls=certificates.valid) as server,
        connected(server, certificates) as client,
    ):
        client.sendall(b"<a>one</a> between <a>tw")
        client.sendall("ö</a> and more".encode())
        read_until(client, b"<done/>")
    assert matches == [b"one", "twö".encode()]
    assert server.received == "<a>one</a> between <a>twö</a> and more".encode()


def test_an_expectation_that_is_not_met_fails_the_with_statement():
    with (
        pytest.raises(TimeoutError, match="'<b>' did not come; unread: b'<a>'"),
        ScriptedServer(lambda conn: conn.expect("<b>", timeout=0.1)) as server,
        connected(server) as client,
    ):
        client.sendall(b"<a>")
        assert client.recv(1) == b""


def test_a_client_that_leaves_is_no_error_of_the_script():
    with ScriptedServer(lambda conn: conn.expect("<b>")) as server:
        with connected(server):
            server.wait_for_connections(1)
        server.wait_for_ends(1)


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("end", ["close", "fin", "reset"])
def test_a_script_ends_the_connection_in_each_way(certificates, secure, end):
    def script(conn):
        conn.expect("hello")
        getattr(conn, end)()
        if end != "reset":
            conn.expect_end()

    trusted = certificates if secure else None
    with (
        ScriptedServer(script, tls=certificates.valid if secure else None) as server,
        connected(server, trusted) as client,
    ):
        client.sendall(b"hello")
        if end == "reset" and not secure:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            with contextlib.suppress(
                ConnectionResetError
            ):  # under TLS a reset may look like an end
                assert client.recv(1) == b""


def test_what_was_sent_arrives_even_if_the_client_had_more_to_say():
    content = b"x" * 1_000_000
    with ScriptedServer(lambda conn: conn.send(content)) as server, connected(server) as client:
        client.sendall(b"nobody expects this")
        received = b""
        while piece := client.recv(65536):
            received += piece
        assert received == content


def test_each_connection_plays_the_script_under_its_own_number():
    with (
        ScriptedServer(lambda conn: conn.send(f"number {conn.number};")) as server,
        connected(server) as first,
    ):
        assert read_until(first, b";") == b"number 1;"
        with connected(server) as second:
            assert read_until(second, b";") == b"number 2;"
            server.wait_for_connections(2)


def test_log_in_plays_sasl_bind_and_stream_management(certificates):
    jids = []

    def script(conn):
        jids.append(conn.log_in())
        conn.expect("<presence/>")

    with (
        ScriptedXmppServer(script, tls=certificates.valid) as server,
        connected(server, certificates) as client,
    ):
        client.sendall(b"<stream:stream to='localhost'>")
        assert PLAIN.encode() in read_until(client, b"</stream:features>")
        encoded = base64.b64encode(b"\0001001-1\0secret")
        client.sendall(b"<auth mechanism='PLAIN' xmlns='s'>" + encoded + b"</auth>")
        read_until(client, b"<success")
        client.sendall(b"<stream:stream to='localhost'>")
        assert BIND.encode() in read_until(client, b"</stream:features>")
        client.sendall(b"<iq type='set' id='b1'><bind><resource>phone</resource></bind></iq>")
        assert b"<jid>1001-1@localhost/phone</jid>" in read_until(client, b"</iq>")
        client.sendall(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        read_until(client, b"<enabled")
        client.sendall(b"<presence/>")
        assert client.recv(1) == b""
    assert jids == ["1001-1@localhost/phone"]
    assert not server.saw_no_credentials("other")
    assert not server.saw_no_credentials("secret")


def test_credentials_are_found_plain_and_within_base64():
    with ScriptedXmppServer(stay_silent) as server:
        with connected(server) as client:
            client.sendall(b"<x>" + base64.b64encode(b"\0user\0s3cret") + b"</x> plain text")
        server.wait_for_ends(1)
    assert server.saw_no_credentials("another")
    assert not server.saw_no_credentials("s3cret")
    assert not server.saw_no_credentials("plain text")


def test_a_silent_server_reads_and_answers_nothing(certificates):
    with ScriptedServer(stay_silent) as server, connected(server) as client:
        client.sendall(b"hello?")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_client_that_verifies_refuses_each_bad_certificate(certificates, kind):
    with ScriptedServer(stay_silent, tls=getattr(certificates, kind)) as server:
        with pytest.raises(ssl.SSLCertVerificationError), connected(server, certificates):
            pass
        server.wait_for_ends(1)
    assert len(server.tls_errors) == 1
    assert server.connections == []


def test_a_plaintext_client_on_a_tls_port_is_a_failed_handshake(certificates):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        with connected(server) as client:
            client.sendall(b"<stream:stream to='localhost'>")
            with contextlib.suppress(ConnectionResetError):
                client.recv(100)
        server.wait_for_ends(1)
    assert len(server.tls_errors) == 1
