import contextlib
import errno
import gzip
import os
import socket
import threading
import time
import tracemalloc

import pytest

from connectycube._network import Network
from connectycube.errors import (
    ApiConnectError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentValueError,
)
from connectycube.rest import _deadline_adapter, _http
from connectycube.rest._http import CallDeadline, HttpClient, Request
from tests.support.certificates import REFUSED
from tests.support.ports import free_port
from tests.support.scripted import ScriptedServer, stay_silent
from tests.support.scripted_http import ScriptedHttpServer, answer, reset, silent
from tests.support.waiting import TIMEOUT

GET_ANSWER = answer(200, {"a": 1})


@pytest.fixture
def pool():
    made = HttpClient()
    yield made
    made.close()


def get(
    pool, url, *, method="GET", headers=None, body=None, seconds=10.0, silence=None, connect=5.0
):
    return pool.send(
        Request(
            method=method,
            url=url,
            headers=headers or {},
            body=body,
            deadline=CallDeadline(seconds, silence=silence),
            connect_timeout=connect,
        )
    )


def drip(conn):
    """Send a byte now and then until the client has had enough."""
    while True:
        conn.send(b"x")
        time.sleep(0.02)


def drip_a_body(conn, request):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(conn)


# --- what comes back


def test_a_reply_is_status_headers_and_body(pool, server):
    server.play(answer(418, content=b"hello", headers=[("X-Name", "v")]))
    reply = get(pool, server.url + "/x?a=1", headers={"H": "v"})
    assert (reply.status, reply.body, reply.fault) == (418, b"hello", "")
    assert reply.headers["x-name"] == "v"
    assert (server.requests[0].method, server.requests[0].raw_path) == ("GET", "/x?a=1")
    assert server.requests[0].headers["h"] == "v"


def test_a_body_is_sent_whole(pool, server):
    body = os.urandom(3_000_000)
    server.play(GET_ANSWER)
    get(pool, server.url, method="POST", body=body)
    assert server.requests[0].content == body


def test_one_connection_serves_many_calls(pool, server):
    server.play(GET_ANSWER, answer(204), answer(500, content=b"x"), answer(200), GET_ANSWER)
    for _ in range(5):
        get(pool, server.url)
    assert {request.connection for request in server.requests} == {1}


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(pool, server):
    closed = threading.Event()

    def answer_and_close(conn, request):
        conn.send(GET_ANSWER)
        conn.fin()
        closed.set()

    server.play(answer_and_close, GET_ANSWER)
    get(pool, server.url)
    assert closed.wait(5)
    assert get(pool, server.url).status == 200


def test_chunked_and_compressed_answers_are_read(pool, server):
    packed = gzip.compress(b'{"a": "' + b"x" * 300_000 + b'"}')
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:7], packed[7:]))
    server.play(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )
    reply = get(pool, server.url)
    assert (len(reply.body), reply.fault) == (300_009, "")


def test_redirects_are_not_followed(pool, server):
    with ScriptedHttpServer() as elsewhere:
        server.play(answer(302, headers=[("Location", elsewhere.url)]))
        assert get(pool, server.url, headers={"CB-Token": "t"}).status == 302
        assert elsewhere.connections == []


def test_cookies_are_not_kept(pool, server):
    server.play(answer(200, headers=[("Set-Cookie", "a=b; Path=/")]), GET_ANSWER)
    get(pool, server.url)
    get(pool, server.url)
    assert "cookie" not in server.requests[1].headers


def test_the_environment_is_not_read(pool, server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    server.play(GET_ANSWER)
    assert get(pool, server.url).status == 200
    assert "authorization" not in server.requests[0].headers


def test_threads_share_the_pool_and_get_their_own_answers(pool, server):
    server.respond(lambda request: answer(200, content=request.path.encode()))
    wrong = []

    def work(worker):
        for number in range(20):
            path = f"/{worker}/{number}"
            if get(pool, server.url + path).body != path.encode():
                wrong.append(path)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert len(server.requests) == 160
    assert len(server.connections) <= 8


# --- bounds


def pour(total):
    """Send an answer of ``total`` bytes until the reader has had enough."""

    def send(conn, request):
        conn.send(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (send.status, total))
        for _ in range(total // 65_536):
            conn.send(b"x" * 65_536)

    send.status = 200
    return send


def test_a_huge_success_is_cut_at_its_bound(pool, server, monkeypatch):
    monkeypatch.setattr(_http, "_RESPONSE_BYTES", 100_000)
    server.play(pour(50_000_000), GET_ANSWER)
    reply = get(pool, server.url)
    assert (len(reply.body), reply.fault) == (100_000, "too large")
    assert get(pool, server.url).status == 200


def test_a_huge_error_page_is_cut_at_64_kib(pool, server):
    step = pour(20_000_000)
    step.status = 500
    server.play(step)
    reply = get(pool, server.url)
    assert (reply.status, len(reply.body), reply.fault) == (500, 65_536, "too large")


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut(pool, server):
    bomb = gzip.compress(b"x" * 1_000_000) * 2_000
    server.play(answer(200, content=bomb, headers=[("Content-Encoding", "gzip")]))
    tracemalloc.start()
    try:
        reply = get(pool, server.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reply.fault == "too large"
    assert len(reply.body) == _http._RESPONSE_BYTES
    assert reply.received < 2 * _http._RESPONSE_BYTES, "no more is unpacked than is wanted"
    assert peak < 3 * _http._RESPONSE_BYTES, peak


# --- the answer breaks


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_cut_off_says_so(pool, server, status):
    def cut(conn, request):
        conn.send(b"HTTP/1.1 %d OK\r\nContent-Length: 100\r\n\r\nhalf" % status)
        conn.fin()

    server.play(cut)
    reply = get(pool, server.url)
    assert (reply.status, reply.fault) == (status, "cut off")


def test_a_reset_in_the_middle_of_the_answer_says_so(pool, server):
    def cut(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        conn.reset()

    server.play(cut)
    try:
        reply = get(pool, server.url)
    except ApiNetworkError:
        return  # the reset may overtake the headers
    assert reply.fault == "cut off"


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nboo",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
    ],
)
def test_an_answer_encoded_wrongly_is_cut_off(pool, server, content):
    def send(conn, request):
        conn.send(content)
        conn.fin()

    server.play(send)
    assert get(pool, server.url).fault == "cut off"


# --- no answer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", "not HTTP"),
    ],
)
def test_what_is_no_answer_is_a_network_error(pool, server, content, words):
    def send(conn, request):
        conn.send(content)
        conn.fin()

    server.play(send)
    with pytest.raises(ApiNetworkError, match=words) as caught:
        get(pool, server.url + "/x?token=SECRET", method="DELETE", headers={"CB-Token": "SECRET"})
    assert (caught.value.method, caught.value.url) == ("DELETE", server.url + "/x?token=***")
    assert "SECRET" not in str(caught.value)


def test_a_refused_port_is_a_network_error(pool):
    with pytest.raises(ApiNetworkError, match="Connection refused"):
        get(pool, f"http://127.0.0.1:{free_port()}/")


def test_an_unknown_host_is_a_network_error(pool):
    with pytest.raises(ApiNetworkError, match="no address"):
        get(pool, "http://api.invalid/")


def test_a_reset_before_the_answer_is_a_network_error(pool, server):
    server.play(reset)
    with pytest.raises(ApiNetworkError, match=r"reset|without an answer"):
        get(pool, server.url)


@pytest.mark.parametrize("kind", [ConnectionResetError, BrokenPipeError])
def test_a_reset_while_it_connects_is_a_network_error(pool, server, monkeypatch, kind):
    def fail(*_):
        raise kind(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    monkeypatch.setattr(_deadline_adapter._Connection, "_open", fail)
    with pytest.raises(ApiNetworkError, match="reset"):
        get(pool, server.url)


def test_a_url_that_is_none_is_a_network_error(pool):
    # urllib3 refuses it since a later release than the oldest that is allowed; that one looks it up.
    with pytest.raises(ApiNetworkError, match=r"InvalidURL|has no address"):
        get(pool, "http://exa mple.invalid/")


def test_nothing_secret_hangs_on_the_error(pool, server):
    server.play(reset)
    with pytest.raises(ApiNetworkError) as caught:
        get(pool, server.url, headers={"CB-Token": "SECRET"})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    frames = []
    traceback = caught.value.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code.co_filename)
        traceback = traceback.tb_next
    assert not any("requests" in name or "urllib3" in name for name in frames)


# --- deadlines


def late(pool, url, **options):
    started = time.monotonic()
    with pytest.raises(ApiTimeoutError) as caught:
        get(pool, url, **options)
    return time.monotonic() - started, caught.value


def test_a_silent_server_ends_at_the_deadline(pool, server):
    server.play(silent)
    took, error = late(pool, server.url, seconds=0.2)
    assert 0.15 < took < TIMEOUT / 2
    assert "within 0.2 s" in str(error)


def test_a_silence_longer_than_allowed_ends_before_the_deadline(pool, server):
    server.play(silent)
    took, error = late(pool, server.url, seconds=60, silence=0.2)
    assert took < TIMEOUT / 2
    assert "no answer within 0.2 s" in str(error)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_drips_headers_ends_at_the_deadline(pool, server, start):
    def start_and_drip(conn, request):
        conn.send(start)
        drip(conn)

    server.play(start_and_drip)
    took, _ = late(pool, server.url, seconds=0.3)
    assert took < TIMEOUT / 2


def test_a_server_that_drips_its_body_ends_at_the_deadline(pool, server):
    server.play(drip_a_body)
    started = time.monotonic()
    assert get(pool, server.url, seconds=0.3).fault == "late"
    assert time.monotonic() - started < TIMEOUT / 2


def test_a_server_that_does_not_read_ends_at_the_deadline(pool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        took, _ = late(pool, url, method="POST", body=bytes(50_000_000), seconds=0.3)
    assert took < TIMEOUT / 2


def test_a_host_that_does_not_accept_ends_at_the_connect_time_out(pool):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            took, error = late(pool, f"http://127.0.0.1:{address[1]}/", seconds=60, connect=0.3)
        finally:
            for filler in fillers:
                filler.close()
    assert took < TIMEOUT / 2
    assert "did not accept the connection within 0.3 s" in str(error)


@pytest.fixture
def black_holes():
    """A function that makes addresses of a port at which no connection is accepted or refused."""
    with contextlib.ExitStack() as stack:

        def make(port, count):
            addresses = [f"127.0.0.{number}" for number in range(2, 2 + count)]
            for address in addresses:
                stack.enter_context(socket.create_server((address, port), backlog=0))
                for _ in range(4):
                    filler = stack.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex((address, port))
            return addresses

        yield make


@pytest.fixture
def resolved(monkeypatch):
    """A function that sets the addresses of the name 'localhost'."""
    original = socket.getaddrinfo

    def set_addresses(addresses):
        def getaddrinfo(host, port, *arguments, **options):
            hosts = addresses if host == "localhost" else [host]
            return [each for h in hosts for each in original(h, port, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return set_addresses


@pytest.mark.parametrize("count", [1, 3])
def test_addresses_that_never_answer_leave_time_for_the_others(
    pool, server, black_holes, resolved, count
):
    server.play(GET_ANSWER)
    resolved([*black_holes(server.port, count), "127.0.0.1"])
    started = time.monotonic()
    assert get(pool, server.url, seconds=TIMEOUT, connect=0.8).status == 200
    assert time.monotonic() - started < TIMEOUT / 2


def test_addresses_that_never_answer_share_the_connect_time_out(pool, black_holes, resolved):
    port = free_port()
    resolved(black_holes(port, 4))
    took, _ = late(pool, f"http://localhost:{port}/", seconds=60, connect=0.4)
    assert took < 1.2


def test_after_the_deadline_nothing_is_sent(pool, server):
    deadline = CallDeadline(0.001)
    threading.Event().wait(0.01)
    with pytest.raises(ApiTimeoutError):
        pool.send(Request(method="GET", url=server.url, deadline=deadline, connect_timeout=5))
    assert server.connections == []


def test_a_connection_that_was_late_is_not_used_again(pool, server):
    server.play(silent, GET_ANSWER)
    late(pool, server.url, seconds=0.1)
    assert get(pool, server.url).body == b'{"a": 1}'
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_deadline_counts_down_and_never_below_zero():
    deadline = CallDeadline(0.01)
    assert 0 < deadline.step() <= 0.01
    threading.Event().wait(0.02)
    assert deadline.remaining() == 0.0
    with pytest.raises(TimeoutError):
        deadline.step()


# --- TLS


@pytest.fixture
def serve_tls():
    with contextlib.ExitStack() as stack:
        yield lambda context: stack.enter_context(ScriptedHttpServer(tls=context))


@pytest.fixture
def tls_server(serve_tls, certificates):
    return serve_tls(certificates.valid)


@pytest.fixture
def tls_pool(certificates):
    made = HttpClient(Network(ca_file=str(certificates.ca_file)))
    yield made
    made.close()


def test_a_certificate_of_the_given_authority_is_accepted(tls_server, tls_pool):
    tls_server.play(GET_ANSWER, GET_ANSWER)
    assert get(tls_pool, tls_server.url).status == 200
    assert get(tls_pool, tls_server.url).status == 200
    assert len(tls_server.connections) == 1


@pytest.mark.parametrize("kind", REFUSED)
def test_any_other_certificate_is_refused_before_a_byte_is_sent(
    serve_tls, certificates, tls_pool, kind
):
    scripted = serve_tls(getattr(certificates, kind))
    with pytest.raises(ApiNetworkError, match="certificate is not accepted"):
        get(tls_pool, scripted.url, headers={"CB-Token": "t"})
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("kind", "hint"), [(kind, kind in ("self_signed", "unknown_authority")) for kind in REFUSED]
)
def test_an_unknown_authority_alone_is_a_reason_to_name_ca_file(
    serve_tls, certificates, tls_pool, kind, hint
):
    scripted = serve_tls(getattr(certificates, kind))
    with pytest.raises(ApiNetworkError) as caught:
        get(tls_pool, scripted.url)
    assert ("ca_file, or CONNECTYCUBE_CA_FILE" in str(caught.value)) is hint


def test_requests_own_bundle_is_not_added_to_the_authorities(tls_server, certificates, monkeypatch):
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificates.ca_file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca_file))
    with pytest.raises(ApiNetworkError, match="certificate is not accepted"):
        get(HttpClient(), tls_server.url)


def test_a_server_without_tls_is_a_network_error(tls_pool):
    def speak_in_clear(conn):
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n")
        conn.expect_end()

    with (
        ScriptedServer(speak_in_clear) as server,
        pytest.raises(ApiNetworkError, match="TLS failed"),
    ):
        get(tls_pool, f"https://localhost:{server.port}/", seconds=5)


def test_a_silent_handshake_ends_at_the_connect_time_out(tls_pool):
    with ScriptedServer(stay_silent) as server:
        url = f"https://127.0.0.1:{server.port}/"
        took, _ = late(tls_pool, url, seconds=60, connect=0.3)
    assert took < TIMEOUT / 2


@pytest.fixture
def mute_hosts():
    """A function that makes addresses of a port which accept connections and never say a word."""
    with contextlib.ExitStack() as stack:

        def make(port, count):
            addresses = [f"127.0.0.{number}" for number in range(2, 2 + count)]
            for address in addresses:
                stack.enter_context(socket.create_server((address, port)))
            return addresses

        yield make


@pytest.mark.parametrize("count", [1, 3])
def test_a_handshake_that_never_ends_leaves_time_for_other_addresses(
    tls_pool, tls_server, mute_hosts, resolved, count
):
    tls_server.play(GET_ANSWER)
    resolved([*mute_hosts(tls_server.port, count), "127.0.0.1"])
    url = f"https://localhost:{tls_server.port}/"
    started = time.monotonic()
    assert get(tls_pool, url, seconds=TIMEOUT, connect=0.8).status == 200
    assert time.monotonic() - started < TIMEOUT / 2


def test_handshakes_that_never_end_share_the_connect_time_out(tls_pool, mute_hosts, resolved):
    port = free_port()
    resolved(mute_hosts(port, 4))
    took, _ = late(tls_pool, f"https://localhost:{port}/", seconds=60, connect=0.4)
    assert took < 1.2


def test_the_deadline_of_the_call_is_shared_by_handshakes_too(
    tls_pool, tls_server, mute_hosts, resolved
):
    tls_server.play(GET_ANSWER)
    resolved([*mute_hosts(tls_server.port, 1), "127.0.0.1"])
    url = f"https://localhost:{tls_server.port}/"
    assert get(tls_pool, url, seconds=2, connect=TIMEOUT * 2).status == 200


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("mute", [0, 1])
def test_an_error_of_tls_tells_more_than_an_address_out_of_reach(
    serve_tls, certificates, tls_pool, mute_hosts, resolved, mute, order
):
    wrong = serve_tls(certificates.expired)
    addresses = [*mute_hosts(wrong.port, mute), "127.0.0.1", "127.0.0.9"]  # nobody listens at .9
    resolved(addresses[::order])
    with pytest.raises(ApiNetworkError, match="certificate is not accepted") as caught:
        get(tls_pool, f"https://localhost:{wrong.port}/", connect=1.0)
    assert not isinstance(caught.value, ApiConnectError)


def test_a_body_dripped_over_tls_ends_at_the_deadline(tls_server, tls_pool):
    tls_server.play(drip_a_body)
    assert get(tls_pool, tls_server.url, seconds=0.3).fault == "late"


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_ca_file_without_certificates_is_refused_by_name(tmp_path, content):
    path = tmp_path / "ca.pem"
    path.write_text(content)
    with pytest.raises(ArgumentValueError, match="ca_file"):
        HttpClient(Network(ca_file=str(path))).prepare("https://api.example")


# --- the end


def test_close_leaves_no_connection_and_a_later_call_opens_one(pool, server):
    server.play(GET_ANSWER, GET_ANSWER)
    get(pool, server.url)
    pool.close()
    assert get(pool, server.url).status == 200
    assert len(server.connections) == 2
