"""An adapter for requests and urllib3 that keeps one deadline for a whole call.

urllib3's own time-outs bound each wait on a socket, but not their sum: a server that sends a byte now and
then would hold a call for ever. Here every wait on a socket ends at the deadline of the call.

requests' ``HTTPAdapter`` is used on its own, without a ``requests.Session``: a session would keep cookies,
read .netrc and the proxy variables of the environment, and follow redirects with our headers. The adapter
does none of that, and any number of threads may use its urllib3 pool.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from .._deadline import Deadline

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

    __slots__ = ("_silence", "seconds")

    def __init__(self, seconds: float, *, silence: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self._silence = seconds if silence is None else silence

    def step(self) -> float:
        """Return how many seconds the next wait for the network may take.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self.remaining()
        if not left:
            raise TimeoutError("the deadline has passed")
        return min(left, self._silence)


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
def calling(deadline: CallDeadline) -> Iterator[_Call]:
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


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose connections keep the deadline of the call, and verify with our TLS context.

    Args:
        context: The TLS context; None for an adapter that speaks plain HTTP only.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_IDLE_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        if self._context is not None:
            options["ssl_context"] = self._context
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        if self._context is not None:
            options["ssl_context"] = self._context
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Leave the TLS context as it is; requests would add its own bundle of authorities."""


_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def close_inherited_sockets() -> None:
    """Close, in a forked child, the sockets of the parent without sending a byte."""
    for inherited in list(_sockets):
        # close() would wait for readers, and these are threads of the parent.
        descriptor = inherited.detach()
        if descriptor >= 0:
            os.close(descriptor)


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of the name is empty, or has more than 63 characters
        raise socket.gaierror("no address") from None
    return list(dict.fromkeys(address for *_, address in found))


class _DeadlineConnection:
    """Keeps a connection to the deadline, from the first attempt to connect on."""

    host: str
    port: int
    timeout: Any
    socket_options: Any
    sock: Any
    set_tunnel: Any
    _tunnel_host: str | None
    _tunnel_port: int | None
    _tunnel_headers: Any
    _tunnel_scheme: Any

    def connect(self) -> None:
        """Connect to the first address that answers; urllib3 would give each address the whole time.

        Each gets its share of what is left, for TCP, a proxy's tunnel and TLS together. So one that never
        answers, or stops in the middle, leaves time for the others.
        """
        failure: OSError = socket.gaierror("no address")
        call = _current.get()
        call.connecting = True
        tells_most = (False, False)
        tunnel = (self._tunnel_host, self._tunnel_port, self._tunnel_headers, self._tunnel_scheme)
        addresses = _addresses(self.host, self.port)
        until = time.monotonic() + self.timeout
        for position, address in enumerate(addresses):
            left = min(max(_SHORTEST, until - time.monotonic()), call.deadline.step())
            share = CallDeadline(left / (len(addresses) - position))
            try:
                with calling(share) as attempt:
                    self._connect_to(address, tunnel)
            except OSError as error:
                # An address that was connected tells more than one that was not, an answer more than none.
                tells = (not attempt.connecting, not isinstance(error, TimeoutError))
                if tells >= tells_most:
                    failure, tells_most = error, tells
            else:
                call.connecting = False
                _sockets.add(self.sock)
                self.sock = _DeadlineSocket(self.sock)
                return
        call.connecting = not tells_most[0]
        raise failure

    def _connect_to(self, address: tuple[Any, ...], tunnel: tuple[Any, ...]) -> None:
        self._address = address
        host, port, headers, scheme = tunnel
        if (
            host is not None
        ):  # a tunnel that failed closed the connection, and that forgets the tunnel
            self.set_tunnel(host, port, headers, scheme)
        try:
            super().connect()  # type: ignore[misc]
        except BaseException:
            if self.sock is not None:
                self.sock.close()
                self.sock = None
            raise

    def _new_conn(self) -> socket.socket:
        call = _current.get()
        call.connecting = True
        numeric = (str(self._address[0]), self.port)
        sock = create_connection(numeric, call.deadline.step(), socket_options=self.socket_options)
        call.connecting = False
        sock.settimeout(call.deadline.step())  # for the TLS handshake
        return sock

    def _tunnel(self) -> None:
        sock = self.sock
        self.sock = _DeadlineSocket(sock)
        super()._tunnel()  # type: ignore[misc]
        self.sock = sock
        sock.settimeout(_current.get().deadline.step())


class _Connection(_DeadlineConnection, HTTPConnection):
    pass


class _TlsConnection(_DeadlineConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


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
            rest = rest[self._sock.send(rest) :]

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
