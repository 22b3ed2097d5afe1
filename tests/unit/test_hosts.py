"""Which hosts are this machine for certain, and which might be."""

from __future__ import annotations

import pytest

from connectycube._hosts import is_loopback, may_be_loopback

CERTAIN = ["localhost", "LOCALHOST", "127.0.0.1", "127.255.255.254", "::1"]
POSSIBLE = [
    *("localhost.", "evil.localhost", "a.b.LOCALHOST.", "ip6-localhost", "0.0.0.0", "::", "0"),
    *("127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1."),
    *("::ffff:127.0.0.1", "::ffff:7f00:1"),
]
ELSEWHERE = [
    *("api.example", "localhost.example", "notlocalhost", "10.0.0.1", "128.0.0.1", "::2", "", "1"),
    *("fe80::1", "::ffff:10.0.0.1", "127.0.0.1.example"),
]


@pytest.mark.parametrize("host", CERTAIN)
def test_a_literal_loopback_host_is_this_machine(host):
    assert is_loopback(host)
    assert may_be_loopback(host)


@pytest.mark.parametrize("host", POSSIBLE)
def test_other_spellings_and_names_below_localhost_might_be(host):
    assert not is_loopback(host)
    assert may_be_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_all_other_hosts_are_other_machines(host):
    assert not is_loopback(host)
    assert not may_be_loopback(host)
