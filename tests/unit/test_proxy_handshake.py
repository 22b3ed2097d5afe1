"""The handshakes with proxies: which bytes are said, and which answers are accepted."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectycube._proxy import Proxy
from connectycube._proxy_handshake import ProxyFailure, handshake

HTTP = Proxy("http", "p", 1)
HTTP_USER = Proxy("https", "p", 1, "mé", "w:ö")
SOCKS = Proxy("socks5h", "p", 1)
SOCKS_USER = Proxy("socks5", "p", 1, "mé", "wö")
PROXIES = [HTTP, HTTP_USER, SOCKS, SOCKS_USER]
OK = b"HTTP/1.1 200 OK\r\n\r\n"
SUCCESS = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x09"


def talk(proxy, answer, *, host="chat.example", sizes=()):
    """Play a handshake with a proxy that says ``answer``; return what was said and what is left."""
    steps = handshake(proxy, host, 443)
    said, sizes = b"", list(sizes)
    try:
        outgoing, most = next(steps)
        while True:
            said += outgoing
            assert most > 0
            size = min(most, sizes.pop(0) if sizes else most)
            piece, answer = answer[:size], answer[size:]
            outgoing, most = steps.send(piece)
    except StopIteration:
        return said, answer


def refused(proxy, answer):
    with pytest.raises(ProxyFailure) as caught:
        talk(proxy, answer)
    return str(caught.value), caught.value.is_temporary


# --- HTTP CONNECT


def test_connect_names_the_server_twice():
    said, _ = talk(HTTP, OK)
    assert said == b"CONNECT chat.example:443 HTTP/1.1\r\nHost: chat.example:443\r\n\r\n"


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("::1", b"[::1]:443"),
        ("10.0.0.1", b"10.0.0.1:443"),
        ("münchen.example", b"xn--mnchen-3ya.example:443"),
    ],
)
def test_connect_writes_addresses_and_names_as_urls_do(host, target):
    assert talk(HTTP, OK, host=host)[0].startswith(b"CONNECT " + target + b" HTTP/1.1\r\n")


def test_user_and_password_are_sent_in_basic_as_utf_8():
    said, _ = talk(HTTP_USER, OK)
    encoded = base64.b64encode("mé:w:ö".encode())
    assert b"\r\nProxy-Authorization: Basic " + encoded + b"\r\n" in said


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.0 200 Connection established\r\nA: b\r\n\r\n",
        b"HTTP/1.1 204\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_any_2xx_opens_the_tunnel_however_it_is_cut(answer, size):
    assert talk(HTTP, answer, sizes=[size] * len(answer))[1] == b""


@pytest.mark.parametrize(
    ("answer", "words", "is_temporary"),
    [
        (b"", "closed the connection", True),
        (b"HTTP/1.1 200 OK\r\nX:", "closed the connection", True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP", False),
        (b"\x15\x03\x03\x00\x02\x02\x46", "not HTTP", False),
        (b"HTTP/2 200 OK\r\n\r\n", "not HTTP", False),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not HTTP", False),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP", False),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, "more than 16384 bytes", False),
        (b"HTTP/1.1 " + b"2" * 100_000, "more than 16384 bytes", False),
        (OK + b"SSH-2.0", "before the server", False),
        (b"HTTP/1.1 403 No\r\n\r\n", "it answered 403", False),
        (b"HTTP/1.1 301 Go\r\nLocation: /\r\n\r\n", "it answered 301", False),
        (b"HTTP/1.1 502 Bad\r\n\r\n<html>", "it answered 502", True),
        (b"HTTP/1.1 503 Bad\r\n\r\n", "it answered 503", True),
        (b"HTTP/1.1 504 Bad\r\n\r\n", "it answered 504", True),
    ],
)
def test_every_other_answer_of_http_is_a_failure(answer, words, is_temporary):
    text, temporary = refused(HTTP, answer)
    assert words in text
    assert temporary is is_temporary


@pytest.mark.parametrize(
    ("proxy", "challenge", "words"),
    [
        (HTTP, "Basic realm=x", "it wants a user and a password (407)"),
        (HTTP_USER, "Basic realm=x", "it refused the user and password (407)"),
        (HTTP_USER, "NTLM\r\nproxy-authenticate: Basic", "it refused the user and password (407)"),
        (
            HTTP_USER,
            "Negotiate\r\nProxy-Authenticate: NTLM",
            "by Negotiate or NTLM, and not Basic (407)",
        ),
    ],
)
def test_a_407_says_what_the_proxy_wants(proxy, challenge, words):
    answer = f"HTTP/1.1 407 No\r\nProxy-Authenticate: {challenge}\r\n\r\n".encode()
    text, is_temporary = refused(proxy, answer)
    assert words in text
    assert not is_temporary


def test_a_401_is_a_refused_password_as_well():
    words = "it refused the user and password (401)"
    assert refused(HTTP_USER, b"HTTP/1.0 401 Unauthorized\r\n\r\n") == (words, False)


# --- SOCKS5


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("chat.example", b"\x03\x0cchat.example"),
        ("10.0.0.1", b"\x01\x0a\x00\x00\x01"),
        ("fd00::5", b"\x04\xfd" + bytes(14) + b"\x05"),
        ("fe80::5%eth0", b"\x04\xfe\x80" + bytes(13) + b"\x05"),
    ],
)
def test_socks_names_the_server_by_name_or_address(host, address):
    said, left = talk(SOCKS, b"\x05\x00" + SUCCESS + b"TLS", host=host)
    assert said == b"\x05\x01\x00" + b"\x05\x01\x00" + address + b"\x01\xbb"
    assert left == b"TLS"


def test_socks_sends_user_and_password_when_it_is_asked_to():
    said, _ = talk(SOCKS_USER, b"\x05\x02\x01\x00" + SUCCESS)
    assert said.startswith(
        b"\x05\x02\x00\x02" + b"\x01\x03m\xc3\xa9\x03w\xc3\xb6" + b"\x05\x01\x00"
    )


def test_socks_does_not_send_a_password_that_is_not_wanted():
    said, _ = talk(SOCKS_USER, b"\x05\x00" + SUCCESS)
    assert b"w\xc3\xb6" not in said


@pytest.mark.parametrize(
    "bound",
    [b"\x01" + bytes(6), b"\x04" + bytes(18), b"\x03\x00" + bytes(2), b"\x03\x05" + bytes(7)],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_socks_reads_the_bound_address_and_no_byte_more(bound, size):
    answer = b"\x05\x00\x05\x00\x00" + bound
    assert talk(SOCKS, answer + b"\x16\x03", sizes=[size] * 100)[1] == b"\x16\x03"


@pytest.mark.parametrize(
    ("proxy", "answer", "words", "is_temporary"),
    [
        (SOCKS, b"", "closed the connection", True),
        (SOCKS, b"\x05", "closed the connection", True),
        (SOCKS, b"\x05\x00\x05\x00\x00\x01\x00", "closed the connection", True),
        (SOCKS, b"HTTP/1.1 400 Bad\r\n\r\n", "not SOCKS5", False),
        (SOCKS, b"\x04\x00", "not SOCKS5", False),
        (SOCKS, b"\x05\x02", "not SOCKS5", False),
        (SOCKS, b"\x05\x01", "not SOCKS5", False),
        (SOCKS, b"\x05\xff", "wants a user and a password", False),
        (SOCKS_USER, b"\x05\xff", "neither a user and password nor none", False),
        (SOCKS_USER, b"\x05\x02\x01\x01", "refused the user and password", False),
        (SOCKS_USER, b"\x05\x02\x05\x00", "not SOCKS5", False),
        (SOCKS, b"\x05\x00\x05\x01\x00\x01", "it failed", True),
        (SOCKS, b"\x05\x00\x05\x02\x00\x01", "its rules forbid", False),
        (SOCKS, b"\x05\x00\x05\x04\x00\x01", "cannot be reached", True),
        (SOCKS, b"\x05\x00\x05\x05\x00\x01", "the server refused", True),
        (SOCKS, b"\x05\x00\x05\x63\x00\x01", "it answered 99", False),
        (SOCKS, b"\x05\x00\x04\x00\x00\x01", "not SOCKS5", False),
        (SOCKS, b"\x05\x00\x05\x00\x00\x07", "not SOCKS5", False),
    ],
)
def test_every_other_answer_of_socks_is_a_failure(proxy, answer, words, is_temporary):
    text, temporary = refused(proxy, answer)
    assert words in text
    assert temporary is is_temporary


# --- any proxy, any answer


@given(
    proxy=st.sampled_from(PROXIES),
    answer=st.binary(max_size=200)
    | st.binary(max_size=50).map(OK.__add__)
    | st.binary(max_size=50).map(b"\x05\x00".__add__),
    sizes=st.lists(st.integers(1, 9), max_size=50),
)
@example(proxy=SOCKS, answer=b"\x05\x00" + SUCCESS + b"x", sizes=[])
def test_any_answer_ends_in_a_tunnel_or_a_failure_without_the_password(proxy, answer, sizes):
    try:
        talk(proxy, answer, sizes=sizes)
    except ProxyFailure as failure:
        assert "wö" not in str(failure)
        assert "w:ö" not in str(failure)


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("host", ["a" * 64 + "ü.example", "ü..example"])
def test_a_name_that_no_host_can_have_is_a_failure(proxy, host):
    with pytest.raises(ProxyFailure, match="not a host name"):
        talk(proxy, b"", host=host)


def test_a_name_too_long_for_socks_is_a_failure():
    with pytest.raises(ProxyFailure, match="more than 255 bytes"):
        talk(SOCKS, b"\x05\x00", host="a." * 200)
