import contextlib
import errno
import gc
import hashlib
import os
import random
import selectors
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from connectycube import _threads
from connectycube._deadline import Deadline
from connectycube._network import Network
from connectycube._threads import uninterrupted
from connectycube.chat.link import (
    AttemptCancelled,
    Link,
    Waker,
    open_link,
)
from connectycube.config import Config
from connectycube.errors import (
    CertificateError,
    ConnectionLostError,
    ConnectTimeoutError,
    HostUnknownError,
    HostUnreachableError,
    TlsError,
)
from tests.support.certificates import HOST, REFUSED
from tests.support.cutting import cut_at_each_call
from tests.support.scripted import ScriptedServer, stay_silent
from tests.support.waiting import TIMEOUT

HANDSHAKE = 22  # the type of a TLS record
LONGEST_ALERT = 32  # bytes of a record; whatever is longer could carry something


def config_for(certificates, port, host=HOST):
    return Config(
        app_id=1,
        auth_key="the-auth-key",
        chat_host=host,
        chat_port=port,
        ca_file=certificates.ca_file,
    )


@pytest.fixture
def connect(certificates):
    """Opens a link to a port; whatever was opened is closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_one(port, *, host=HOST, timeout=TIMEOUT, is_wanted=lambda: True, waker=None):
            config = config_for(certificates, port, host)
            if waker is None:
                waker = stack.enter_context(contextlib.closing(Waker()))
            link = open_link(config, Network.of(config), Deadline(timeout), waker, is_wanted)
            stack.callback(link.close)
            return link

        yield open_one


@contextlib.contextmanager
def listening(address="127.0.0.1", backlog=16):
    """A port on which the kernel accepts connections, and nobody else."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen(backlog)
        listener.settimeout(TIMEOUT)
        yield listener


@pytest.fixture
def refused_port():
    """A port of both loopback addresses on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def resolve_to(monkeypatch):
    """Has every name resolved to the given (family, socket address) pairs, or by a function."""

    original = socket.getaddrinfo

    def resolve(*addresses, by=None):
        def getaddrinfo(host, *arguments, **keywords):
            if host != HOST:
                return original(host, *arguments, **keywords)
            if by is not None:
                return by()
            return [
                (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
                for family, address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return resolve


def v4(port, address="127.0.0.1"):
    return socket.AF_INET, (address, port)


def v6(port):
    return socket.AF_INET6, ("::1", port, 0, 0)


def _has_ipv6_loopback():
    try:
        with listening("::1"):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6_loopback(), reason="no ::1 here")


def records(data):
    """The TLS records in what a client sent, as (type, length)."""
    found = []
    while data:
        kind, _, length = struct.unpack("!BHH", data[:5])
        found.append((kind, length))
        data = data[5 + length :]
    return found


def assert_only_a_client_hello(data):
    """Nothing but a ClientHello was said, and perhaps the alert that ends the matter."""
    assert data[0] == HANDSHAKE
    assert data[5] == 1  # ClientHello
    long = [kind for kind, length in records(data) if length > LONGEST_ALERT]
    assert long == [HANDSHAKE]


# --- making the link ------------------------------------------------------------------------------


def test_a_link_is_made_verified_and_non_blocking(connect, certificates):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        link = connect(server.port)
        assert link.sock.gettimeout() == 0.0
        assert link.sock.version() in ("TLSv1.2", "TLSv1.3")
        assert link.sock.getpeercert()["subjectAltName"]
        assert link.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        link.close()


def test_a_child_closes_its_copy_of_a_link_unless_it_is_closed(connect, certificates):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        link = connect(server.port)
        descriptor = link.sock.fileno()
        link.close_in_child()
        with pytest.raises(OSError):
            os.fstat(descriptor)
        link.close_in_child()


def test_the_server_is_told_which_host_is_meant(connect, certificates):
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain_file, certificates.key_file)
    context.sni_callback = lambda sock, name, context: names.append(name)
    with ScriptedServer(stay_silent, tls=context) as server:
        connect(server.port).close()
    assert names == [HOST]


def test_an_address_as_host_is_verified_as_one(connect, certificates):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        assert connect(server.port, host="127.0.0.1").sock.getpeercert()
    with (
        ScriptedServer(stay_silent, tls=certificates.wrong_host) as server,
        pytest.raises(CertificateError, match=r"not valid for 127\.0\.0\.1"),
    ):
        connect(server.port, host="127.0.0.1")


def test_the_longest_time_out_works(connect, certificates):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        connect(server.port, timeout=1e15).close()


def test_a_refused_port_is_named(connect, refused_port):
    with pytest.raises(HostUnreachableError, match=rf"port {refused_port}: Connection refused$"):
        connect(refused_port)


def test_an_unknown_host_is_named(connect):
    with pytest.raises(HostUnknownError, match=r"'nobody\.invalid' has no address: .*not known"):
        connect(1, host="nobody.invalid")


@pytest.mark.parametrize("host", ["a..localhost", "x" * 64 + ".localhost"])
def test_a_host_that_is_no_name_at_all_is_unknown(connect, host):
    with pytest.raises(HostUnknownError):
        connect(1, host=host)


@pytest.mark.parametrize("error", [ValueError("embedded null byte"), RuntimeError("of a plug-in")])
def test_whatever_a_resolver_raises_the_host_is_unknown_at_once(connect, resolve_to, error):
    def fail():
        raise error

    resolve_to(by=fail)
    began = time.monotonic()
    with pytest.raises(HostUnknownError, match=str(error)):
        connect(1)
    assert time.monotonic() - began < TIMEOUT / 2


def test_a_host_without_any_address_is_unknown(connect, resolve_to):
    resolve_to()
    with pytest.raises(HostUnknownError, match=f"'{HOST}' has no address$"):
        connect(1)


def test_a_resolver_that_hangs_does_not_outlast_the_deadline(connect, resolve_to):
    release, asked = threading.Event(), threading.Event()

    def hang():
        asked.set()
        release.wait(TIMEOUT)
        return []

    resolve_to(by=hang)
    began = time.monotonic()
    with pytest.raises(ConnectTimeoutError, match=f"no address was found for {HOST} in time"):
        connect(1, timeout=0.1)
    assert time.monotonic() - began < TIMEOUT / 2
    assert asked.is_set()
    release.set()  # its late answer finds nobody, and no harm is done


def test_a_host_that_does_not_accept_times_out(connect):
    with full_listener() as port, pytest.raises(ConnectTimeoutError, match="did not accept"):
        connect(port, host="127.0.0.1", timeout=0.1)


@contextlib.contextmanager
def full_listener():
    """A port that neither accepts nor refuses: its queue of connections is full."""
    if sys.platform != "linux":
        pytest.skip("how a full queue behaves is Linux's")
    with listening(backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_silent_server_times_out_having_seen_a_client_hello_only(connect):
    with ScriptedServer(stay_silent) as server:
        began = time.monotonic()
        with pytest.raises(ConnectTimeoutError, match="did not complete the TLS handshake in time"):
            connect(server.port, timeout=0.2)
        assert 0.2 <= time.monotonic() - began < TIMEOUT / 2
        server.wait_for_ends()
    assert_only_a_client_hello(server.received)


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 100,
        b"\x16\x03\x03\xff\xff" + b"\0" * 100,
    ],
    ids=["http", "xmpp", "ssh", "zeros", "record-too-long"],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_server_that_does_not_speak_tls_is_told_nothing(connect, greeting, at_once):
    def script(conn):
        if not at_once:
            conn.expect(".")
        conn.send(greeting)
        conn.expect_end()

    with ScriptedServer(script) as server:
        with pytest.raises(TlsError, match="does not speak TLS as expected") as caught:
            connect(server.port)
        assert not isinstance(caught.value, CertificateError)
        server.wait_for_ends()
    assert_only_a_client_hello(server.received)


@pytest.mark.parametrize("how", ["close", "fin", "reset"])
def test_a_server_that_leaves_during_the_handshake_is_named(connect, how):
    def script(conn):
        conn.expect(".")
        getattr(conn, how)()

    with ScriptedServer(script) as server:
        with pytest.raises(TlsError, match=rf"127\.0\.0\.1 port {server.port} "):
            connect(server.port, host="127.0.0.1")
        server.wait_for_ends()
    assert_only_a_client_hello(server.received)


def test_a_server_that_resets_before_the_handshake_is_a_lost_link(connect):
    with listening() as listener:
        listener.setblocking(False)

        def is_wanted():  # asked when the connection is made, before the handshake
            with contextlib.suppress(BlockingIOError):
                reset_with(listener.accept()[0])
            return True

        with pytest.raises(ConnectionLostError, match=r"cannot connect to .*reset"):
            connect(listener.getsockname()[1], host="127.0.0.1", is_wanted=is_wanted)


def test_a_server_that_resets_just_as_the_handshake_begins_is_a_lost_link(connect, monkeypatch):
    original = ssl.SSLSocket.do_handshake

    def do_handshake(sock):
        reset_with(listener.accept()[0])
        original(sock)

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", do_handshake)
    with listening() as listener:
        with pytest.raises(ConnectionLostError, match="ended the TLS handshake: "):
            connect(listener.getsockname()[1], host="127.0.0.1")
        gc.collect()  # a socket that nobody closed would warn now


def reset_with(sock):
    """End a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(sock.detach())


def shake_hands_recording(context):
    """A script that does the server's side of TLS, while the server records the bytes as they are."""

    def script(conn):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                conn.send(outgoing.read())
                incoming.write(conn.expect(".+")[0])
            except ssl.SSLError:
                break  # the client's alert
        conn.expect_end()

    return script


@pytest.mark.parametrize("kind", REFUSED)
def test_a_certificate_that_fails_the_host_is_refused_before_any_data(connect, certificates, kind):
    with ScriptedServer(shake_hands_recording(getattr(certificates, kind))) as server:
        with pytest.raises(CertificateError, match=f"is not valid for {HOST}: ") as caught:
            connect(server.port)
        assert str(server.port) in str(caught.value)
        server.wait_for_ends()
    assert_only_a_client_hello(server.received)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("expired", "expired"),
        ("not_yet_valid", "not yet valid"),
        ("self_signed", "self-signed|self signed"),
        ("unknown_authority", "local issuer"),
        ("wrong_host", "mismatch"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_certificate(connect, certificates, kind, word):
    with ScriptedServer(stay_silent, tls=getattr(certificates, kind)) as server:
        with pytest.raises(CertificateError, match=word):
            connect(server.port)
        server.wait_for_ends()
        assert len(server.tls_errors) == 1


@pytest.mark.parametrize(
    ("kind", "hint"), [(kind, kind in ("self_signed", "unknown_authority")) for kind in REFUSED]
)
def test_an_unknown_authority_alone_is_a_reason_to_name_ca_file(connect, certificates, kind, hint):
    with ScriptedServer(stay_silent, tls=getattr(certificates, kind)) as server:
        with pytest.raises(CertificateError) as caught:
            connect(server.port)
        server.wait_for_ends()
    assert ("ca_file, or CONNECTYCUBE_CA_FILE" in str(caught.value)) is hint


def test_a_server_of_old_tls_is_refused(connect, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain_file, certificates.key_file)
    careless = ssl.create_default_context(cafile=str(certificates.ca_file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for each in (context, careless):
            each.minimum_version = ssl.TLSVersion.TLSv1
            each.maximum_version = ssl.TLSVersion.TLSv1_1
            each.set_ciphers("DEFAULT:@SECLEVEL=0")
    with ScriptedServer(stay_silent, tls=context) as server:
        # The server is in order: a client that allows TLS 1.1 gets through.
        with socket.create_connection((server.host, server.port)) as raw:
            try:
                with careless.wrap_socket(raw, server_hostname=HOST) as sock:
                    assert sock.version() == "TLSv1.1"
            except ssl.SSLError as error:
                pytest.skip(f"this OpenSSL speaks no TLS 1.1 at all: {error}")
        with pytest.raises(TlsError, match=r"does not speak TLS as expected: .*VERSION"):
            connect(server.port)
        server.wait_for_ends(2)


# --- several addresses ----------------------------------------------------------------------------


@needs_ipv6
def test_a_refused_address_leaves_the_time_to_the_next(connect, certificates, resolve_to):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        resolve_to(v6(server.port), v4(server.port))
        assert connect(server.port).sock.getpeername() == (server.host, server.port)


@needs_ipv6
@pytest.mark.parametrize("timeout", [1.2])
def test_a_silent_address_takes_its_share_of_the_time_alone(
    connect, certificates, resolve_to, timeout
):
    with (
        listening("::1") as silent,
        ScriptedServer(stay_silent, tls=certificates.valid) as server,
    ):
        resolve_to(v6(silent.getsockname()[1]), v4(server.port))
        began = time.monotonic()
        link = connect(server.port, timeout=timeout)
        took = time.monotonic() - began
        assert link.sock.getpeername()[1] == server.port
    assert timeout / 2 <= took


@needs_ipv6
def test_silent_addresses_together_do_not_outlast_the_deadline(connect, resolve_to):
    with listening("::1") as first, listening() as second, listening() as third:
        resolve_to(*map(address_of, (first, second, third)))
        began = time.monotonic()
        with pytest.raises(ConnectTimeoutError):
            connect(1, timeout=0.3)
        assert 0.3 <= time.monotonic() - began < TIMEOUT / 2


def address_of(listener):
    return listener.family, listener.getsockname()


def test_an_address_of_a_family_unknown_here_leaves_the_next_one(connect, certificates, resolve_to):
    with ScriptedServer(stay_silent, tls=certificates.valid) as server:
        resolve_to((255, ("127.0.0.1", server.port)), v4(server.port))
        connect(server.port).close()
        resolve_to((255, ("127.0.0.1", server.port)))
        with pytest.raises(ConnectionLostError, match="cannot connect to 127"):
            connect(server.port)


def test_an_address_that_comes_twice_is_tried_once(connect, resolve_to):
    with ScriptedServer(stay_silent) as server:
        resolve_to(v4(server.port), v4(server.port))
        with pytest.raises(ConnectTimeoutError):
            connect(server.port, timeout=0.2)
        server.wait_for_ends()
        assert len(server.connections) == 1


@pytest.mark.parametrize("plaintext_first", [True, False])
def test_of_several_failures_the_answer_of_a_server_is_told(
    connect, refused_port, resolve_to, plaintext_first
):
    def script(conn):
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n")
        conn.expect_end()

    with ScriptedServer(script) as server:
        addresses = [v4(server.port), v4(refused_port)]
        resolve_to(*(addresses if plaintext_first else reversed(addresses)))
        with pytest.raises(TlsError, match=f"port {server.port} "):
            connect(1)


def test_a_bad_certificate_at_one_address_does_not_hide_the_good_one(
    connect, certificates, resolve_to
):
    with (
        ScriptedServer(stay_silent, tls=certificates.expired) as bad,
        ScriptedServer(stay_silent, tls=certificates.valid) as good,
    ):
        resolve_to(v4(bad.port), v4(good.port))
        assert connect(1).sock.getpeername()[1] == good.port


# --- giving up ------------------------------------------------------------------------------------


class Attempt:
    """An attempt on a thread of its own, that can be told that nobody wants it any more."""

    def __init__(self, connect, port, host="127.0.0.1"):
        self.wanted = True
        self.waker = Waker()
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(
            connect, port, host=host, is_wanted=lambda: self.wanted, waker=self.waker
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abandon()
        self.pool.shutdown()
        self.waker.close()

    def abandon(self):
        self.wanted = False
        self.waker.wake()

    def assert_abandoned(self):
        began = time.monotonic()
        with pytest.raises(AttemptCancelled):
            self.result.result(TIMEOUT)
        assert time.monotonic() - began < TIMEOUT / 2  # the deadline is TIMEOUT


def test_an_attempt_is_abandoned_while_the_resolver_hangs(connect, resolve_to):
    release, asked = threading.Event(), threading.Event()

    def hang():
        asked.set()
        release.wait(TIMEOUT)
        return []

    resolve_to(by=hang)
    with Attempt(connect, 1, HOST) as attempt:
        assert asked.wait(TIMEOUT)
        attempt.abandon()
        attempt.assert_abandoned()
    release.set()


def test_an_attempt_is_abandoned_while_the_host_does_not_accept(connect):
    with full_listener() as port, Attempt(connect, port) as attempt:
        attempt.waker.wake()
        attempt.abandon()
        attempt.assert_abandoned()


def test_an_attempt_is_abandoned_during_the_handshake(connect):
    hello = threading.Event()

    def script(conn):
        conn.expect(".")
        hello.set()
        conn.expect_end()

    with ScriptedServer(script) as server, Attempt(connect, server.port) as attempt:
        assert hello.wait(TIMEOUT)
        attempt.abandon()
        attempt.assert_abandoned()
        server.wait_for_ends()


def test_a_wake_up_alone_abandons_nothing(connect, certificates):
    hello, go_on = threading.Event(), threading.Event()
    shake_hands = shake_hands_recording(certificates.valid)

    def script(conn):
        hello.set()
        assert go_on.wait(TIMEOUT)
        shake_hands(conn)

    with ScriptedServer(script) as server, Attempt(connect, server.port) as attempt:
        assert hello.wait(TIMEOUT)
        for _ in range(5):
            attempt.waker.wake()
        go_on.set()
        assert attempt.result.result(TIMEOUT).sock.getpeercert()
        attempt.result.result().close()


# --- a link that is up ----------------------------------------------------------------------------


@pytest.fixture
def linked(certificates, connect):
    """A link and the server's end of it, which blocks and reports an end without close_notify."""
    with listening() as listener, ThreadPoolExecutor(1) as pool:

        def accept():
            accepted, _ = listener.accept()
            return certificates.valid.wrap_socket(
                accepted, server_side=True, suppress_ragged_eofs=False
            )

        accepting = pool.submit(accept)
        link = connect(listener.getsockname()[1], host="127.0.0.1")
        with accepting.result(TIMEOUT) as server:
            server.settimeout(TIMEOUT)
            # TLS's session tickets: unread, they would turn FIN into RST.
            assert link.receive() == b""
            yield link, server


def readable(link):
    """Wait until the link has something to say."""
    with contextlib.closing(Waker()) as waker:
        assert waker.wait(TIMEOUT, link.sock.fileno(), EVENT_READ) == EVENT_READ


def receive(link):
    """What comes next on the link; session tickets and the like are nothing."""
    while True:
        if not link.has_ended:
            readable(link)
        if data := link.receive():
            return data


def test_receive_returns_what_is_there_and_nothing_when_nothing_is(linked):
    link, server = linked
    assert link.receive() == b""
    server.sendall(b"<presence/>")
    assert receive(link) == b"<presence/>"
    assert link.receive() == b""
    assert not link.wants_write


def test_receive_leaves_nothing_hidden_where_poll_does_not_look(linked):
    link, server = linked
    data = random.Random(1).randbytes(200_000)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(server.sendall, data)
        received = bytearray()
        while len(received) < len(data):
            received += receive(link)
            assert link.sock.pending() == 0
        sending.result(TIMEOUT)
    assert received == data


def test_records_that_have_arrived_are_received_together():
    link = Link(Broken(b"<presence/>", b"<r/>", ssl.SSLWantReadError()))
    assert link.receive() == b"<presence/><r/>"
    assert not link.has_ended


def test_a_server_that_never_stops_is_received_in_bounded_parts(linked):
    link, server = linked
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(server.sendall, bytes(2_000_000))
        received = 0
        while received < 2_000_000:
            received += (length := len(receive(link)))
            assert length <= 65_535 + 16_384
        sending.result(TIMEOUT)


def test_an_alert_behind_the_last_words_is_told_without_another_wait():
    words = [b"the last ", b"words", alert("TLSV1_ALERT_UNKNOWN_CA")]
    link = Link(Broken(*words))
    assert link.receive() == b"the last words"
    assert link.has_ended
    with pytest.raises(TlsError, match="it does not know its authority"):
        link.receive()


def end_with_close_notify(server):
    server.settimeout(0)
    with contextlib.suppress(ssl.SSLError):
        server.unwrap()


def end_with_fin(server):
    server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", [end_with_close_notify, end_with_fin, reset_with])
def test_however_the_server_ends_the_link_is_lost_and_stays_lost(linked, end):
    link, server = linked
    assert link.receive() == b""
    end(server)
    words = r"the link to the chat server (broke|ended)"
    with pytest.raises(ConnectionLostError, match=words):
        receive(link)
    with pytest.raises(ConnectionLostError, match=words):
        link.receive()


@pytest.mark.parametrize("end", [end_with_close_notify, end_with_fin])
def test_what_came_before_the_end_is_received_first(linked, end):
    link, server = linked
    server.sendall(b"</stream:stream>")
    end(server)
    assert receive(link) == b"</stream:stream>"
    with pytest.raises(ConnectionLostError, match="ended without an end of the stream"):
        receive(link)


def test_bytes_that_are_no_tls_break_the_link(linked):
    link, server = linked
    with socket.socket(fileno=server.detach()) as raw:
        raw.sendall(b"<message>in clear, by somebody in between</message>")
        with pytest.raises(ConnectionLostError, match="the link to the chat server broke"):
            receive(link)


def test_send_says_how_much_was_written(linked):
    link, server = linked
    data = bytearray(b"<presence/>")
    assert link.send(data) == len(data)
    assert server.recv(100) == data


def test_a_peer_that_does_not_read_stops_send_which_completes_later(linked):
    link, server = linked
    payload = random.Random(2).randbytes(6_000_000)
    data = bytearray(payload)
    while written := link.send(data):
        del data[:written]
    assert data
    stuck = len(data)
    assert [link.send(data) for _ in range(3)] == [0, 0, 0]
    data += b"what was appended meanwhile"
    with ThreadPoolExecutor(1) as pool, contextlib.closing(Waker()) as waker:
        reading = pool.submit(digest_of, server, len(payload) + 27)
        while data:
            assert waker.wait(TIMEOUT, link.sock.fileno(), EVENT_WRITE) == EVENT_WRITE
            del data[: link.send(data)]
        assert stuck > 0
        assert reading.result(TIMEOUT) == digest(payload + b"what was appended meanwhile")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def digest_of(server, length):
    """Read so many bytes and return their digest."""
    hashed = hashlib.sha256()
    while length:
        data = server.recv(min(length, 65_536))
        hashed.update(data)
        length -= len(data)
    return hashed.hexdigest()


def test_both_directions_at_full_load_carry_every_byte_in_order(linked):
    link, server = linked
    ours, theirs = random.Random(3).randbytes(3_000_000), random.Random(4).randbytes(3_000_000)
    data, received = bytearray(ours), bytearray()

    def serve():
        """Read and write by turns: one SSLSocket is for one thread at a time."""
        server.setblocking(False)
        rest, hashed, left = memoryview(theirs), hashlib.sha256(), len(ours)
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while rest or left:
                assert selector.select(TIMEOUT)
                with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    rest = rest[server.send(rest[:50_000]) :] if rest else rest
                with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    piece = server.recv(20_000)
                    hashed.update(piece)
                    left -= len(piece)
        return hashed.hexdigest()

    with ThreadPoolExecutor(1) as pool, contextlib.closing(Waker()) as waker:
        serving = pool.submit(serve)
        while data or len(received) < len(theirs):
            events = EVENT_READ | (EVENT_WRITE if data else 0)
            ready = waker.wait(TIMEOUT, link.sock.fileno(), events)
            assert ready
            received += link.receive() if ready & EVENT_READ else b""
            if data:
                del data[: link.send(data)]
        assert serving.result(TIMEOUT) == digest(ours)
    assert received == theirs


def test_sending_to_a_server_that_has_reset_is_a_lost_link(linked):
    link, server = linked
    reset_with(server)
    readable(link)
    while link.send(bytearray(b"x" * 100_000)):
        pass
    with pytest.raises(ConnectionLostError, match="the link to the chat server broke"):
        link.receive()


def test_after_its_end_a_link_only_says_that_it_is_lost(linked):
    link, _ = linked
    link.close()
    link.close()
    assert link.sock.fileno() == -1
    with pytest.raises(ConnectionLostError):
        link.receive()
    assert link.send(bytearray(b"x")) == 0


def test_close_says_good_bye_in_tls(linked):
    link, server = linked
    link.close()
    assert server.recv(100) == b""  # an end without close_notify would raise


def test_close_does_not_wait_for_a_peer_that_does_not_read(linked):
    link, _ = linked
    data = bytearray(6_000_000)
    while written := link.send(data):
        del data[:written]
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < TIMEOUT / 2


def test_a_childs_copy_is_closed_without_a_byte(linked):
    link, server = linked
    link.close_in_child()
    with socket.socket(fileno=os.dup(server.fileno())) as beneath_tls:
        beneath_tls.settimeout(TIMEOUT)
        with contextlib.suppress(ConnectionResetError):
            assert beneath_tls.recv(100) == b"", "not even a close_notify"


class Broken:
    """A socket that cannot be written to; a read returns or raises one after the other."""

    def __init__(self, *reads):
        self.reads = list(reads)

    def recv(self, size):
        read = self.reads.pop(0)
        if isinstance(read, OSError):
            raise read
        return read

    def send(self, data):
        raise OSError(errno.EPIPE, "Broken pipe")


def test_an_error_without_words_is_told_by_its_name():
    with pytest.raises(ConnectionLostError, match=r"broke: OSError$"):
        Link(Broken(OSError())).receive()


def alert(reason):
    error = ssl.SSLError(ssl.SSL_ERROR_SSL, "an alert")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ssl.SSLWantReadError(), "Broken pipe"),
        (OSError(errno.ECONNRESET, "reset"), "Broken pipe"),
        (b"", "Broken pipe"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "client_cert: it does not know its authority"),
    ],
    ids=["nothing more", "a reset", "an end", "an alert"],
)
def test_after_a_failed_write_the_rest_is_read_before_the_link_ends(end, reason):
    link = Link(Broken(b"the last words", end))
    assert link.send(bytearray(b"x")) == 0
    assert link.receive() == b"the last words"
    assert link.send(bytearray(b"x")) == 0
    with pytest.raises(ConnectionLostError, match=reason):
        link.receive()


def test_what_tls_itself_wants_to_write_is_remembered_until_it_is_done():
    link = Link(Broken(ssl.SSLWantWriteError(), b"x", ssl.SSLWantReadError()))
    assert link.receive() == b""
    assert link.wants_write
    assert link.receive() == b"x"
    assert not link.wants_write


# --- waiting --------------------------------------------------------------------------------------


def test_a_waker_whose_making_is_interrupted_leaves_no_socket_open():
    made, rounds = [], 0
    steps = Waker.__init__, socket.socketpair, uninterrupted, _threads._in_thread
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in cut_at_each_call(lambda: made.append(Waker()), *steps):
            rounds += 1
            gc.collect()
        made.pop().close()
    assert rounds > 5
    assert [str(warning.message) for warning in caught] == []


@pytest.fixture
def waker():
    with contextlib.closing(Waker()) as made:
        yield made


def test_a_wait_ends_with_its_time_out(waker):
    began = time.monotonic()
    assert waker.wait(0.05) == 0
    assert 0.05 <= time.monotonic() - began < TIMEOUT / 2


def test_a_wake_up_before_the_wait_counts_and_counts_once(waker):
    waker.wake()
    waker.wake()
    assert waker.wait(TIMEOUT) == 0
    began = time.monotonic()
    waker.wait(0.02)
    assert time.monotonic() - began >= 0.02


@pytest.mark.parametrize("timeout", [None, 1e15])
def test_another_thread_ends_a_wait(waker, timeout):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(waker.wait, timeout)
        waker.wake()
        assert waiting.result(TIMEOUT) == 0


def test_any_number_of_wake_ups_neither_blocks_nor_lasts(waker):
    for _ in range(20_000):
        waker.wake()
    waker.wait(TIMEOUT)
    with selectors.SelectSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)
        assert selector.select(0) == []


def test_waking_a_waker_that_is_closed_does_nothing():
    waker = Waker()
    waker.close()
    waker.wake()
    waker.drain()
    waker.close()


@pytest.fixture
def no_signal_descriptor():
    """The interpreter writes no bytes for signals, and the test may have it do so."""
    before = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(before)


def test_a_signal_just_before_the_wait_ends_it(waker, no_signal_descriptor):
    handler = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with waker.woken_by_signals():
            signal.raise_signal(signal.SIGINT)
            assert waker.wait(None) == 0
    finally:
        signal.signal(signal.SIGINT, handler)


def test_the_descriptor_of_the_application_is_restored(waker, no_signal_descriptor):
    with pytest.raises(KeyboardInterrupt), waker.woken_by_signals():
        raise KeyboardInterrupt
    assert signal.set_wakeup_fd(-1) == -1


def test_another_thread_than_the_main_one_leaves_signals_alone(waker, no_signal_descriptor):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(waker.woken_by_signals().__enter__).result(TIMEOUT)
    assert signal.set_wakeup_fd(-1) == -1


BOTH = EVENT_READ | EVENT_WRITE


def test_a_wait_tells_what_the_socket_is_ready_for(waker):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = ours.fileno()
        assert waker.wait(0, number, EVENT_READ) == 0
        assert waker.wait(0, number, BOTH) == EVENT_WRITE
        theirs.send(b"x")
        assert waker.wait(TIMEOUT, number, BOTH) == BOTH
        assert waker.wait(TIMEOUT, number, EVENT_READ) == EVENT_READ
        assert waker.wait(TIMEOUT, number, EVENT_WRITE) == EVENT_WRITE
        waker.wake()
        assert waker.wait(TIMEOUT, number, EVENT_READ) == EVENT_READ
        assert waker.wait(0) == 0


@pytest.mark.parametrize("kind", ["PollSelector", "SelectSelector"])
def test_one_waker_waits_for_one_socket_after_the_other(monkeypatch, kind):
    if kind == "SelectSelector":  # as on Windows
        monkeypatch.delattr(selectors, "PollSelector")
    with contextlib.closing(Waker()) as waker:
        for _ in range(3):  # the numbers of sockets that are closed come again
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.send(b"x")
                assert waker.wait(TIMEOUT, ours.fileno(), BOTH) == BOTH
                assert waker.wait(TIMEOUT, theirs.fileno(), EVENT_WRITE) == EVENT_WRITE
        assert waker.wait(0) == 0
