"""No test reaches the internet: connections and name look-ups are for this machine only.

Names under .invalid may be looked up and are unknown, at once. Everything else that is not loopback raises
:class:`InternetAccessError` where it happens, and once more at the end of the test, because code under test
may swallow the first.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest


class InternetAccessError(RuntimeError):
    """The test tried to reach another machine."""


_attempts: list[str] = []


@pytest.fixture(autouse=True)
def _no_internet() -> Iterator[None]:
    _attempts.clear()
    yield
    if _attempts:
        pytest.fail("the test tried to reach: " + ", ".join(_attempts), pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Guard the functions of the socket module for the whole session."""
    guard = pytest.MonkeyPatch()
    config.add_cleanup(guard.undo)
    for name in ("connect", "connect_ex"):
        guard.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        guard.setattr(socket, name, _guarded_lookup(getattr(socket, name)))


def _guarded_connect(original: Any) -> Any:
    def connect(self: socket.socket, address: Any, /) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise _refused(f"{address[0]} port {address[1]}")
        return original(self, address)

    return connect


def _guarded_lookup(original: Any) -> Any:
    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(name, str) and name.rstrip(".").endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name is not None and not _is_local(name):
            raise _refused(f"the name {name}")
        return original(host, *args, **kwargs)

    return lookup


def _is_local(host: str) -> bool:
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refused(target: str) -> InternetAccessError:
    _attempts.append(target)
    return InternetAccessError(f"no test may reach another machine: {target}")
