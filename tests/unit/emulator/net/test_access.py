"""Which Host and which Origin a request may have, in every form that a header can take."""

from __future__ import annotations

import re

import pytest
from aiohttp import HttpVersion10
from aiohttp.test_utils import make_mocked_request
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from connectycube.emulator import Emulator
from connectycube.emulator.net.access import Access, read_origins
from connectycube.errors import ArgumentTypeError, ArgumentValueError

PAGE = "https://app.example"


def access(host="127.0.0.1", *origins, domain="localhost"):
    return Access.of(host, domain, read_origins(origins))


def status(access, method="GET", target="/", **headers):
    headers = CIMultiDict([("Host", headers.pop("host", "localhost")), *headers.items()])
    refusal = access.refusal(make_mocked_request(method, target, headers=headers))
    return None if refusal is None else refusal[0]


OURS = [
    *("localhost", "localhost:1", "LOCALHOST:80", "localhost.", "localhost.:80", "localhost:"),
    *("127.0.0.1", "127.0.0.1:8080", "127.9.9.9", "[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]:1"),
    *("[::ffff:127.0.0.1]:1", "app.localhost:3"),
]
FOREIGN = [
    *("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "x"),
    *("evil.example@127.0.0.1", "127.0.0.1@evil.example", "user:pw@localhost", "localhost:80@evil"),
    *("localhost/evil", "localhost?evil", "localhost#evil", "localhost\\evil", "localhost:x"),
    *(
        "localhost, evil.example",
        "localhost evil.example",
        " ",
        "",
        "localhost:999999",
        "[::1",
        "::x",
    ),
    *("10.0.0.1", "192.0.2.1:80", "0.0.0.0", "[::]:80", "[2001:db8::1]", "[::ffff:10.0.0.1]"),
    *(
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "127.0.0.1..",
        "localhost..",
        "evillocalhost",
    ),
    *(
        "localhost%00",
        "\u217cocalhost",
        "l\u00f6calhost",
        "[localhost]",
        "[127.0.0.1]x",
    ),
]


@pytest.mark.parametrize("host", OURS)
def test_a_host_of_this_machine_is_let_in(host):
    assert status(access(), host=host) is None


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_every_other_host_is_refused(host, method):
    assert status(access(), method, host=host) == 403


@pytest.mark.parametrize(
    ("listens_on", "domain", "host", "expected"),
    [
        ("192.0.2.7", "localhost", "192.0.2.7:80", None),
        ("192.0.2.7", "localhost", "192.0.2.8:80", 403),
        ("Box.Example", "localhost", "box.example.", None),
        ("::1", "localhost", "[::1]", None),
        ("2001:DB8::1", "localhost", "[2001:db8:0::1]:5", None),
        ("127.0.0.1", "chat.example", "Chat.Example:1", None),
        ("0.0.0.0", "localhost", "192.0.2.8:80", None),
        ("::", "localhost", "[2001:db8::1]:80", None),
        ("0.0.0.0", "localhost", "evil.example:80", 403),
        ("0.0.0.0", "localhost", "127.1", 403),
    ],
)
def test_the_emulators_own_names_are_hosts(listens_on, domain, host, expected):
    assert status(access(listens_on, domain=domain), host=host) == expected


def test_the_host_of_an_allowed_page_is_a_host():
    allowing = access("0.0.0.0", "http://emulator:8080", "http://[2001:db8::1]:1")
    assert status(allowing, host="emulator:9999") is None
    assert status(access("127.0.0.1", "http://[2001:db8::1]:1"), host="[2001:db8::1]") is None


def test_one_host_is_needed_since_http_1_1():
    ours = access()
    several = CIMultiDict([("Host", "localhost"), ("Host", "localhost")])
    assert ours.refusal(make_mocked_request("GET", "/", headers=several))[0] == 400
    assert ours.refusal(make_mocked_request("GET", "/", headers={}))[0] == 400
    old = make_mocked_request("GET", "/", headers={}, version=HttpVersion10)
    assert ours.refusal(old) is None or ours.refusal(old)[0] == 403  # the address of the socket


LOCAL_PAGES = [
    *("http://localhost", "http://localhost:5173", "https://127.0.0.1:8000", "http://[::1]:3000"),
    *("http://app.localhost", "capacitor://localhost", "HTTP://LOCALHOST:1", "http://localhost.:1"),
]
FOREIGN_PAGES = [
    *(
        "http://evil.example",
        "https://evil.example:5173",
        "http://localhost.evil.example",
        "null",
        "",
    ),
    *(
        "http://localhost@evil.example",
        "http://evil.example\\@localhost",
        "http://evil.example#localhost",
    ),
    *(
        "http://localhost http://evil.example",
        "http://localhost,http://evil.example",
        "file://",
        "NULL",
    ),
    *(
        "http://192.0.2.1",
        "http://0.0.0.0",
        "http://[",
        "localhost",
        "//localhost",
        "http:localhost",
    ),
    *(
        "http://localhost/",
        "http://localhost:1/x",
        "http://localhost:",
        "http://2130706433",
        "http://127.1",
    ),
    *(
        "javascript://localhost%0a",
        "http://evil.example?http://localhost",
        "http://\u2460localhost",
        "*",
    ),
]


@pytest.mark.parametrize("origin", LOCAL_PAGES)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_this_machine_is_let_in(origin, method):
    assert status(access(), method, Origin=origin) is None


@pytest.mark.parametrize("origin", FOREIGN_PAGES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "OPTIONS"])
def test_every_other_page_is_refused(origin, method):
    assert status(access(), method, Origin=origin) == 403


def test_of_two_origins_each_must_be_let_in():
    headers = [
        ("Host", "localhost"),
        ("Origin", "http://localhost"),
        ("Origin", "http://evil.example"),
    ]
    for order in (headers, headers[::-1]):
        request = make_mocked_request("GET", "/", headers=CIMultiDict(order))
        assert access().refusal(request)[0] == 403


def test_a_page_of_the_address_in_use_is_let_in_and_of_others_not():
    everywhere = access("0.0.0.0")
    assert status(everywhere, "POST", host="192.0.2.7:1", Origin="http://192.0.2.7:3000") is None
    assert status(everywhere, "POST", host="192.0.2.7:1", Origin="http://192.0.2.8:1") == 403
    assert status(access("192.0.2.7"), "POST", Origin="http://192.0.2.7:8000") is None
    assert status(access("192.0.2.7"), "POST", Origin="http://192.0.2.8:8000") == 403


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (PAGE, PAGE, None),
        ("HTTPS://App.Example:443", PAGE, None),
        (f"{PAGE}:8443", f"{PAGE}:8443", None),
        (f"{PAGE}:8443", PAGE, 403),
        (PAGE, "http://app.example", 403),
        (PAGE, "https://sub.app.example", 403),
        (PAGE, "https://app.example.evil.example", 403),
        (PAGE, "https://app.example:8443", 403),
        ("null", "null", None),
        ("http://app.example:80", "http://app.example", None),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh", None),
    ],
)
def test_an_allowed_origin_is_that_origin_alone(allowed, origin, expected):
    only = Access("127.0.0.1", origins=read_origins([allowed]))
    assert status(only, "POST", Origin=origin) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_where_a_redirect_leads_a_page_without_origin_may_read(method):
    bucket = evolve(access(), null_reads=True)
    assert status(bucket, method, Origin="null") is None
    preflight = {"Access-Control-Request-Method": method}
    assert status(bucket, "OPTIONS", Origin="null", **preflight) is None
    assert status(bucket, "POST", Origin="null") == 403
    assert (
        status(bucket, "OPTIONS", Origin="null", **{"Access-Control-Request-Method": "POST"}) == 403
    )
    assert status(bucket, method, Origin="http://evil.example") == 403


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "app.example",
        "https://app.example/",
        "https://app.example/x",
        "https://a b",
        "https://*.x",
    ],
)
def test_what_is_no_origin_is_refused_at_once(origin):
    with pytest.raises(ArgumentValueError, match="allow_origins"):
        Emulator(allow_origins=[origin])


@pytest.mark.parametrize("origins", [PAGE, None, [None], {PAGE: 1}])
def test_origins_are_a_list_of_strings(origins):
    with pytest.raises(ArgumentTypeError, match="allow_origins"):
        Emulator(allow_origins=origins)


# Another reading of the header: a name of this machine, and perhaps a port.
_THIS_MACHINE = re.compile(
    r"(localhost|[a-z0-9._-]*\.localhost|127(\.[0-9]+){3}|\[?[0-9a-f:.]+\]?)\.?(:[0-9]*)?",
    re.IGNORECASE,
)


@given(
    st.text() | st.from_regex(r"[a-z0-9@.:/\\-]{0,9}localhost[a-z0-9@.:/\\-]{0,9}", fullmatch=True)
)
@example("localhost:")
@example("::1")
def test_what_is_let_in_is_a_name_of_this_machine(text):
    if status(access(), host=text) is None:
        assert _THIS_MACHINE.fullmatch(text)
