"""An adapter for requests and urllib3 that keeps one deadline for a whole call.

urllib3's own time-outs bound each wait on a socket, but not their sum: a server that sends a byte now and
then would hold a call forever. Here every wait on a socket ends at the deadline of the call.

requests' ``HTTPAdapter`` is used on its own, without a ``requests.Session``: a session would keep cookies,
read .netrc and the variables of the environment, and follow redirects with our headers. The adapter does none
of that, and any number of threads may use its urllib3 pool. The connections of the pool connect by
``_dial.py``, as the chat does: with the same proxies, handshakes and TLS. urllib3 knows no proxy.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import ssl
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ProtocolError
from urllib3.util.wait import wait_for_read, wait_for_write

from .._deadline import Deadline
from .._dial import Address, Attempt, Wait, no_address
from .._network import Network
from .._proxy import Proxy
from .._proxy_handshake import ProxyFailure
from .._redact import redact_url
from .._tls import alert_behind

__all__ = ["CallDeadline", "DeadlineAdapter", "calling", "close_inherited_sockets", "is_connecting"]

_IDLE_CONNECTIONS = 32
_SHORTEST = 0.001  # seconds; 0 would mean not to wait at all
_HOSTS = 4  # the API's and those of the storage


class CallDeadline(Deadline):
    """The deadline of one REST call.

    Args:
        seconds: The time for the whole call.
        silence: The longest wait, in seconds, for the next bytes; by default ``seconds``.
    """

    __slots__ = ("seconds", "silence")

    def __init__(self, seconds: float, *, silence: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds: float = seconds
        self.silence: float = seconds if silence is None else silence

    def step(self) -> float:
        """Return how many seconds the next wait for the network may take.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self.remaining()
        if not left:
            raise TimeoutError("the deadline has passed")
        return min(left, self.silence)


class _Call:
    """One call: its deadline, and whether it is connecting now."""

    __slots__ = ("connecting", "deadline")

    def __init__(self, deadline: CallDeadline) -> None:
        self.deadline = deadline
        self.connecting = False


# The call that this thread makes. urllib3 gives a connection to one thread at a time, so the deadline of the
# thread is that of the connection. A context variable and not a threading.local: greenlets of gevent have
# contexts of their own, but share a threading.local that was made before gevent patched the module.
_current: ContextVar[_Call] = ContextVar("_current")


@contextmanager
def calling(deadline: CallDeadline) -> Generator[_Call]:
    """Keep this thread's connections to ``deadline`` inside the ``with`` block."""
    # Calls nest: a request's body and the writer of a response are the application's code.
    call = _Call(deadline)
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)


def is_connecting() -> bool:
    """Tell whether this thread's call failed before its connection was made."""
    return _current.get().connecting


class _UrlsRedacted(logging.Filter):
    """Masks the secrets of URLs, such as those of signed downloads, in what urllib3 logs of our calls."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _current.get(None) is not None and isinstance(record.args, tuple):
            record.args = tuple(
                redact_url(each) if isinstance(each, str) and "?" in each else each
                for each in record.args
            )
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_UrlsRedacted())


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose connections keep the deadline of the call.

    Args:
        network: The proxies and the TLS contexts.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_IDLE_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, network=self._network),
            "https": partial(_TlsPool, network=self._network),
        }

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Do nothing: TLS is not urllib3's, and requests would add its own bundle of authorities."""


_sockets: weakref.WeakSet[Any] = weakref.WeakSet()  # sockets, SSLSockets and TlsTunnels


def close_inherited_sockets() -> None:
    """Close, in a forked child, the sockets of the parent without sending a byte."""
    for inherited in list(_sockets):
        # close() would wait for readers, and these are threads of the parent.
        descriptor = inherited.detach()
        if descriptor >= 0:
            os.close(descriptor)


_Address = tuple[int, Address]
"""The family of an address, and what ``connect`` takes."""


def _addresses(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of the name is empty, or has more than 63 characters
        raise socket.gaierror("no address") from None
    if not found:
        raise socket.gaierror("no address")
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


class _Connection(HTTPConnection):
    """Keeps a connection to the deadline, from the first attempt to connect on."""

    debuglevel = 0  # http.client's switch prints requests with their headers and bodies

    def __init__(self, *args: Any, network: Network, **options: Any) -> None:
        super().__init__(*args, **options)
        self._network = network

    def connect(self) -> None:
        """Connect in place of urllib3, which would give each address the whole time."""
        call = _current.get()
        call.connecting = True
        assert self.timeout is not None  # each request has a time-out to connect
        try:
            opened = self._open(time.monotonic() + self.timeout)
        except (BrokenPipeError, ConnectionResetError) as error:
            # urllib3 would take it for an end while it sent, and go on to read from no socket.
            raise ProtocolError("Connection aborted.", error) from error
        call.connecting = False
        _sockets.add(opened)
        self.sock = _DeadlineSocket(opened)
        self.is_verified = True  # otherwise urllib3 warns

    def _open(self, until: float) -> Any:
        """Connect to the first address that answers, through the proxy if there is one.

        Each address gets its share of what is left, for TCP, the proxy and TLS together. So one that never
        answers, or stops in the middle, leaves time for the others.
        """
        hostname = self._tls_name()
        proxy = None if hostname is None else self._network.proxy_for(self.host, self.port)
        if hostname is not None:
            _ = (
                self._network.context
            )  # a file that cannot be read is an error before anything is sent
        failure: Exception = socket.gaierror("no address")
        tells_most = (False, False)
        ways = self._ways(proxy)
        for position, (family, address, target) in enumerate(ways):
            left = min(max(_SHORTEST, until - time.monotonic()), _current.get().deadline.step())
            wait = _wait_until(time.monotonic() + left / (len(ways) - position))
            attempt = Attempt(self._network, proxy, target, self.port, hostname, wait)
            try:
                return attempt.open(family, address)
            except (OSError, ProxyFailure) as error:
                if isinstance(error, ProxyFailure) and not error.is_temporary:
                    raise  # the proxy's other addresses are the same proxy
                # A server that was reached tells more than one that was not, an answer more than none.
                tells = (attempt.phase == "TLS", not isinstance(error, TimeoutError))
                if tells >= tells_most:
                    failure, tells_most = error, tells
        _current.get().connecting = not tells_most[0]
        raise failure

    def _tls_name(self) -> str | None:
        """Return the name that the server's certificate must have; None without TLS."""
        return None

    def _ways(self, proxy: Proxy | None) -> list[tuple[int, Address, str]]:
        """Return each address to connect to, with the host to ask its proxy for."""
        if proxy is None:
            return [(*entry, self.host) for entry in _addresses(self.host, self.port)]
        try:
            hops = _addresses(proxy.host, proxy.port)
        except socket.gaierror:
            raise no_address(proxy) from None
        targets = [self.host]
        if not proxy.looks_up_names:
            targets = [str(address[0]) for _, address in _addresses(self.host, self.port)]
        return [(*hop, target) for hop in hops for target in targets]


def _wait_until(until: float) -> Wait:
    """Return a way to wait for a socket until a moment, or until the deadline of the call."""

    def wait(sock: socket.socket, *, read: bool, write: bool) -> None:
        left = max(0.0, min(until - time.monotonic(), _current.get().deadline.step()))
        if not (wait_for_read(sock, left) if read else wait_for_write(sock, left)):
            raise TimeoutError("no connection in time")

    return wait


class _TlsConnection(_Connection, HTTPSConnection):
    def _tls_name(self) -> str:
        return self.host.rstrip(".")


# pyright finds none of urllib3's own connections to be of the type that its pools declare.
class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection  # pyright: ignore[reportAssignmentType]


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection  # pyright: ignore[reportAssignmentType]


class _DeadlineSocket:
    """A socket on which no wait lasts longer than the deadline of the call allows."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """Ignore the time-out that urllib3 sets: the deadline decides."""

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_current.get().deadline.step())
            try:
                rest = rest[self._sock.send(rest) :]
            except ssl.SSLError as error:
                self._sock.settimeout(0)
                failure = alert_behind(error, self._sock)
            else:
                continue
            # Any other error is raised as it is: urllib3 goes on to read what the server sent before the end.
            raise failure

    def makefile(self, mode: str, buffering: int = io.DEFAULT_BUFFER_SIZE) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open while it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_current.get().deadline.step())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
