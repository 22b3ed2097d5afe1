"""Which proxy a connection goes through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import should_bypass_proxies

from connectycube import ArgumentValueError
from connectycube._proxy import Proxies, Proxy

HOST = "api.example"


def chosen(environ, host=HOST, port=443, *, given=None, trust_env=True):
    found = Proxies(given, trust_env=trust_env, environ=environ).proxy_for(host, port)
    return None if found is None else str(found)


# --- the URL of a proxy


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example:3128", Proxy("http", "proxy.example", 3128)),
        ("HTTP://Proxy.Example:3128/", Proxy("http", "proxy.example", 3128)),
        ("http://proxy.example", Proxy("http", "proxy.example", 80)),
        ("https://proxy.example", Proxy("https", "proxy.example", 443)),
        ("socks5://proxy.example", Proxy("socks5", "proxy.example", 1080)),
        ("socks5h://[::1]:9", Proxy("socks5h", "::1", 9)),
        ("http://me@p:1", Proxy("http", "p", 1, "me")),
        ("http://@p:1", Proxy("http", "p", 1)),
        ("http://m%40e:p%3Aw%2F%C3%BC@p:1", Proxy("http", "p", 1, "m@e", "p:w/ü")),
    ],
)
def test_the_url_of_a_proxy_is_read(text, proxy):
    assert Proxy.parse(text, "proxy") == proxy


@pytest.mark.parametrize(
    "text",
    [
        *("", "p:1", "http://", "http://:1", "http://p:0", "http://p:99999", "http://p:x"),
        *("ftp://me:S3CRET@p:1", "socks4://p:1", "socks://p:1", "http://me:S3CRET@p:1/x"),
        *("http://p:1?S3CRET", "http://p:1#S3CRET", "http://[::1", "http://a b:1"),
        *("http://m%3Ae:S3CRET@p:1", "http://me:S3CRET%FF@p:1", "http://p\r\nX: y:1"),
        *("socks5://me@p:1", "socks5://:S3CRET@p:1", f"socks5://me:{'S3CRET' * 50}@p:1"),
    ],
)
@pytest.mark.parametrize("name", ["proxy", "HTTPS_PROXY"])
def test_a_wrong_url_is_refused_by_the_name_of_its_place(text, name):
    with pytest.raises(ArgumentValueError, match=f"^{name} must ") as caught:
        Proxy.parse(text, name)
    assert "S3CRET" not in str(caught.value)


def test_no_text_of_a_proxy_shows_its_password():
    proxy = Proxy.parse("http://me:S3CRET@[::1]:1", "proxy")
    assert str(proxy) == "http://[::1]:1"
    assert "S3CRET" not in repr(proxy)


# --- the variables


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None),
        ({"ALL_PROXY": "socks5h://a:1"}, "socks5h://a:1"),
        ({"all_proxy": "socks5://a:1"}, "socks5://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "all_proxy": "http://b:1"}, "http://a:1"),
        ({"HTTPS_PROXY": " ", "ALL_PROXY": "http://b:1"}, "http://b:1"),
        ({"HTTPS_PROXY": "a:3128"}, "http://a:3128"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://a:1"}, None),
        ({"Https_Proxy": "http://a:1", "FTP_PROXY": "http://a:1"}, None),
    ],
)
def test_https_proxy_and_else_all_proxy_name_the_proxy(environ, proxy):
    assert chosen(environ) == proxy


def test_a_given_proxy_takes_the_place_of_the_variables():
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*"}
    assert chosen(environ, given="http://given:1") == "http://given:1"


def test_without_trust_env_no_variable_is_read():
    assert chosen({"HTTPS_PROXY": "http://a:1"}, trust_env=False) is None


def test_the_variables_are_those_of_the_process(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://a:1")
    assert str(Proxies(None, trust_env=True).proxy_for(HOST, 443)) == "http://a:1"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
@pytest.mark.parametrize("given", [None, "http://given:1"])
def test_this_machine_is_never_behind_a_proxy(host, given):
    assert chosen({"ALL_PROXY": "http://a:1"}, host, given=given) is None


def test_a_wrong_variable_counts_where_it_applies_only():
    environ = {"HTTPS_PROXY": "socks4://a:1", "NO_PROXY": "direct.example"}
    assert chosen(environ, "localhost") is None
    assert chosen(environ, "direct.example") is None
    with pytest.raises(ArgumentValueError, match=r"^HTTPS_PROXY must "):
        chosen(environ)


# --- NO_PROXY


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "is_direct"),
    [
        ("api.example", "api.example", 443, True),
        ("API.Example", "api.EXAMPLE", 443, True),
        ("api.example", "api.example.", 443, True),
        ("example", "api.example", 443, True),
        (".example", "api.example", 443, True),
        (".api.example", "api.example", 443, True),
        ("*.example", "api.example", 443, True),
        ("pi.example", "api.example", 443, False),
        ("api.example.org", "api.example", 443, False),
        ("a, ,b,  api.example ", "api.example", 443, True),
        ("a b api.example", "api.example", 443, True),
        ("*", "api.example", 443, True),
        ("", "api.example", 443, False),
        (",", "api.example", 443, False),
        (".", "api.example", 443, False),
        ("api.example:443", "api.example", 443, True),
        ("example:443", "api.example", 443, True),
        ("api.example:443", "api.example", 5223, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("2.3", "10.1.2.3", 443, False),
        ("10.1.2.3:5223", "10.1.2.3", 5223, True),
        ("10.1.2.3:5223", "10.1.2.3", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.1.2.3/8", "10.1.2.3", 443, True),
        ("10.0.0.0/99", "10.1.2.3", 443, False),
        ("11.0.0.0/8", "10.1.2.3", 443, False),
        ("fd00::/8", "fd00::5", 443, True),
        ("fd00::5", "fd00:0:0::5", 443, True),
        ("[fd00::5]", "fd00::5", 443, True),
        ("[fd00::5]:443", "fd00::5", 443, True),
        ("[fd00::5]:443", "fd00::5", 5223, False),
        ("fd00::/8", "10.1.2.3", 443, False),
    ],
)
def test_no_proxy_names_hosts_networks_and_ports(no_proxy, host, port, is_direct):
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": no_proxy}
    assert (chosen(environ, host, port) is None) is is_direct


LABEL = st.sampled_from(["a", "b", "api", "example", "com"])
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join)
ADDRESS = st.sampled_from(["10.0.0.1", "10.1.2.3", "192.168.7.7"])
NETWORK = st.sampled_from(["10.0.0.0/8", "192.168.0.0/16", "10.0.0.1/32", "0.0.0.0/1"])
ENTRY = NAME | NAME.map(".{}".format) | NAME.map("{}:443".format) | ADDRESS | NETWORK


@given(host=NAME | ADDRESS, entries=st.lists(ENTRY, max_size=3))
def test_no_proxy_is_read_as_requests_does_between_dots(host, entries):
    no_proxy = ",".join(entries)
    environ = {"HTTPS_PROXY": "http://a:1", "no_proxy": no_proxy}
    # requests compares ends of names, so `a` is the end of `data`; no label here is the end of another.
    expected = should_bypass_proxies(f"https://{host}:443/", no_proxy)
    assert (chosen(environ, host) is None) is expected
