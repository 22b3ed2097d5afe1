"""TLS over a socket that takes and gives what it likes."""

from __future__ import annotations

import errno
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._tls import client_context
from connectycube._tls_tunnel import TlsTunnel
from tests.support.certificates import HOST


class Outer:
    """A socket that does not block, in front of a TLS server in memory.

    ``takes`` is how many bytes each send may take, one number after the other and then all; 0 blocks.
    """

    def __init__(self, context, takes=()):
        self.takes = list(takes)
        self.to_server, self.to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = context.wrap_bio(self.to_server, self.to_client, server_side=True)
        self.heard = b""
        self.is_ended = False

    def send(self, data):
        size = self.takes.pop(0) if self.takes else len(data)
        if not size:
            raise BlockingIOError
        self.to_server.write(data[:size])
        return min(size, len(data))

    def recv(self, size):
        self.serve()
        data = self.to_client.read(size)
        if not data and not self.is_ended:
            raise BlockingIOError
        return data

    def serve(self):
        """Let the server do what it can."""
        try:
            if self.server.version() is None or not self.server.cipher():
                self.server.do_handshake()
            while piece := self.server.read(100_000):
                self.heard += piece
        except ssl.SSLWantReadError:
            pass

    def close(self):
        """Nothing is open."""


@pytest.fixture
def opened(certificates):
    def make(takes=(), host=HOST, context=certificates.valid):
        outer = Outer(context, takes)
        return outer, TlsTunnel(outer, client_context(str(certificates.ca_file)), host)

    return make


def until_done(operation, *arguments):
    for _ in range(10_000):
        try:
            return operation(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
    raise AssertionError("it never ends")


@given(
    takes=st.lists(st.sampled_from([0, 1, 7, 100, 5_000]), max_size=60),
    sizes=st.lists(st.integers(1, 50_000), max_size=6),
)
def test_what_is_sent_arrives_whatever_the_socket_takes(certificates, takes, sizes):
    outer = Outer(certificates.valid, takes)
    tunnel = TlsTunnel(outer, client_context(str(certificates.ca_file)), HOST)
    until_done(tunnel.do_handshake)
    sent = b""
    for number, size in enumerate(sizes):
        data = bytes([number]) * size
        while data:
            taken = until_done(tunnel.send, data)
            sent, data = sent + data[:taken], data[taken:]
    while tunnel.wants_write:
        with pytest.raises((ssl.SSLWantReadError, ssl.SSLWantWriteError)):
            tunnel.recv(1)
    outer.serve()
    assert outer.heard == sent


def test_encrypted_bytes_that_were_not_taken_are_told_and_sent_later(opened):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.takes = [5, 0]
    assert tunnel.send(b"hello") == 5, "encrypted, so it counts as taken"
    assert tunnel.wants_write
    outer.takes = [0]
    with pytest.raises(ssl.SSLWantWriteError):
        tunnel.send(b"more")
    with pytest.raises(ssl.SSLWantReadError):
        tunnel.recv(100)
    assert not tunnel.wants_write
    outer.serve()
    assert outer.heard == b"hello"


def test_what_arrives_is_read_while_the_socket_takes_nothing(opened):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.serve()
    outer.server.write(b"hello")
    outer.takes = [0] * 10
    tunnel.send(b"never taken")
    assert tunnel.recv(100) == b"hello"


def test_what_arrived_is_read_after_the_socket_has_failed_to_send(opened):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.serve()
    outer.server.write(b"the last words")

    def fail(data):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    outer.send = fail
    assert tunnel.send(b"lost") == 4, "encrypted, so it counts as taken"
    with pytest.raises(BrokenPipeError):
        tunnel.send(b"more")
    assert tunnel.recv(100) == b"the last words"
    with pytest.raises(BrokenPipeError):
        tunnel.recv(100)


@pytest.mark.parametrize("size", [1, 10, 60_000])
def test_all_records_that_arrived_together_are_read_without_the_socket(opened, size):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.serve()
    for number in range(5):
        outer.server.write(bytes([number]) * 9)
    expected = b"".join(bytes([number]) * 9 for number in range(5))
    assert tunnel.recv(size) == expected[:size]
    outer.recv = None
    rest = b""
    while len(rest) < len(expected) - size:
        rest += tunnel.recv(size)
    assert rest == expected[size:]


@pytest.mark.parametrize("first", range(1, 13_000, 200))
def test_no_byte_stays_unread_once_the_socket_has_given_all(opened, first):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    sizes = [first] + [13_000] * 20
    for size in sizes:
        outer.server.write(b"x" * size)
    read = 0
    while outer.to_client.pending:  # else no wait for the socket would end
        read += len(tunnel.recv(65_536))
    assert read == sum(sizes)


def test_the_end_of_the_outer_connection_is_an_end(opened):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.serve()
    outer.server.write(b"last")
    outer.is_ended = True
    assert tunnel.recv(100) == b"last"
    assert tunnel.recv(100) == b""


def test_recv_into_fills_a_buffer(opened):
    outer, tunnel = opened()
    until_done(tunnel.do_handshake)
    outer.serve()
    outer.server.write(b"hello")
    buffer = bytearray(3)
    assert tunnel.recv_into(buffer) == 3
    assert buffer == b"hel"
    assert tunnel.recv_into(memoryview(buffer)) == 2


@pytest.mark.parametrize("kind", ["wrong_host", "expired", "common_name"])
def test_a_certificate_is_refused_with_an_alert(opened, certificates, kind):
    outer, tunnel = opened(context=getattr(certificates, kind))
    with pytest.raises(ssl.SSLCertVerificationError):
        until_done(tunnel.do_handshake)
    with pytest.raises(ssl.SSLError, match="ALERT"):
        outer.serve()
