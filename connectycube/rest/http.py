"""HTTP over pooled connections: one request, one bounded answer, one deadline, two kinds of failure.

A success may also be streamed into a writer, and a body be read piece by piece: files are never held whole.

requests' ``HTTPAdapter`` is used on its own, without a ``requests.Session``: a session would keep cookies,
read .netrc and the proxy variables of the environment, and follow redirects with our headers. The adapter
does none of that, and its urllib3 pool may be used by any number of threads.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import requests
import urllib3
from attrs import field, frozen
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from .._deadline import Deadline
from .._forks import register_for_fork
from .._tls import client_context
from ..errors import (
    ApiConnectError,
    ApiConnectTimeoutError,
    ApiError,
    ApiNetworkError,
    ApiTimeoutError,
)
from .redact import redact_url

__all__ = ["Body", "BodyWriter", "CallDeadline", "Http", "Reply"]

_ANSWER_BYTES = 33_554_432  # a page of a thousand long messages is a tenth of this
_ERROR_BYTES = 65_536
_PIECE_BYTES = 65_536
_IDLE_CONNECTIONS = 32
_HOSTS = 4  # the API's and those of the storage


class CallDeadline(Deadline):
    """The moment by which a call has to be done, and the longest silence it bears; all in seconds."""

    __slots__ = ("_silence", "seconds")

    def __init__(self, seconds: float, *, silence: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self._silence = seconds if silence is None else silence

    def step(self) -> float:
        """Return the seconds that the next wait for the network may take; raises TimeoutError at 0."""
        left = self.remaining()
        if not left:
            raise TimeoutError("the deadline has passed")
        return min(left, self._silence)


@frozen(kw_only=True)
class Reply:
    """What came back; ``fault`` is empty or why the body is not whole: late, cut off, too large.

    ``received`` counts the bytes that came, also those that a writer took.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    fault: str
    received: int = 0


class Body(Protocol):
    """A body that is read while it is sent; ``len()`` is its size in bytes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, of at most ``size`` bytes; empty at the end."""


class BodyWriter(Protocol):
    """Takes the body of a success piece by piece; what it raises reaches the caller."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Prepare for a body; ``headers`` are the answer's."""

    def write(self, piece: bytes) -> None:
        """Take the next piece."""


class Http:
    """A pool of connections; every method may be called from any thread.

    ``tls`` says whether the pool speaks https; certificates are verified against ``ca_file`` or else
    the system's authorities. ``proxy`` is the URL of an HTTP proxy. A forked child starts with an empty
    pool: the sockets it inherited are closed without a byte. Looking up a host's name cannot be
    interrupted: the deadline does not cover it.

    Raises ArgumentValueError if ``ca_file`` cannot be read.
    """

    def __init__(self, *, tls: bool, ca_file: str | None = None, proxy: str | None = None) -> None:
        self._context = client_context(ca_file) if tls else None
        self._adapter = _Adapter(self._context)
        self._proxies = None if proxy is None else {"http": proxy, "https": proxy}
        register_for_fork(self)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        deadline: CallDeadline,
        connect: float,
        writer: BodyWriter | None = None,
    ) -> Reply:
        """Send one request and read its answer, whatever its status; redirects are not followed.

        ``connect`` bounds the seconds to connect, ``deadline`` everything. The body of a success goes
        to ``writer``, where there is one, and the reply's is empty. Raises ApiNetworkError or
        ApiTimeoutError when no answer came.
        """
        failure: ApiError
        # What reads the body or takes the answer is the application's and may make calls of its own.
        outer, _call.deadline, _call.connecting = _call.deadline, deadline, False
        try:
            request = requests.PreparedRequest()
            request.prepare(method=method, url=url, headers=headers, data=body)
            step = deadline.step()
            response = self._adapter.send(
                request, stream=True, timeout=(min(connect, step), step), proxies=self._proxies
            )
        except _FAILURES as error:
            failure = _failure(method, url, error, deadline, connected=not _call.connecting)
        else:
            return _read(response, writer)
        finally:
            _call.deadline = outer
        # Raised here and not in the handler: no traceback shall carry the request with its secrets.
        raise failure

    def close(self) -> None:
        """Close the idle connections; a later call opens new ones."""
        self._adapter.close()

    def after_fork_in_child(self) -> None:
        """Close the inherited sockets without a byte and begin with an empty pool."""
        for inherited in list(_sockets):
            descriptor = (
                inherited.detach()
            )  # close() would wait for readers that this process lacks
            if descriptor >= 0:
                os.close(descriptor)
        self._adapter = _Adapter(self._context)


_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _read(response: requests.Response, writer: BodyWriter | None) -> Reply:
    success = 200 <= response.status_code < 300
    memory = _Memory(_ANSWER_BYTES if success else _ERROR_BYTES)
    target: BodyWriter = writer if writer is not None and success else memory
    fault, received = "cut off", 0
    pieces = response.raw.stream(_PIECE_BYTES, decode_content=True)
    try:
        target.begin(response.headers)
        while True:
            try:
                piece = next(pieces, None)
            except _FAILURES as error:
                fault = "late" if _is_timeout(error) else "cut off"
                break
            if piece is None:
                fault = ""
                break
            received += len(piece)
            target.write(piece)  # outside the handler: the writer's errors are not the network's
            if memory.full:
                fault = "too large"
                break
    finally:
        if fault:
            response.raw.close()
    return Reply(
        status=response.status_code,
        headers=response.headers,
        body=memory.content(),
        fault=fault,
        received=received,
    )


class _Memory:
    """Keeps at most so many bytes of an answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = bytearray()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Nothing has to be prepared."""

    def write(self, piece: bytes) -> None:
        self._taken += piece

    @property
    def full(self) -> bool:
        return len(self._taken) > self._most

    def content(self) -> bytes:
        return bytes(self._taken[: self._most])


# --- connections with a deadline ----------------------------------------------------------------


class _Call(threading.local):
    """The deadline of the call that this thread makes, and whether it has no connection yet.

    urllib3 hands a connection to one thread at a time, so the thread's deadline is the connection's.
    """

    deadline = CallDeadline(0.0)
    connecting = False


_call = _Call()


def _addresses(host: str, port: int) -> Iterator[tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of the name is empty, or has more than 63 characters
        raise socket.gaierror("no address") from None
    return (address for *_, address in found)


class _Timed:
    """Keeps a connection to the deadline, while it is made and from then on."""

    host: str
    port: int
    timeout: Any
    socket_options: Any
    sock: Any

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers; urllib3 would give each of them the whole time."""
        _call.connecting = True
        failure: OSError = socket.gaierror("no address")
        for address in _addresses(self.host, self.port):
            step = min(self.timeout, _call.deadline.step())
            try:
                numeric = (str(address[0]), self.port)
                sock = create_connection(numeric, step, socket_options=self.socket_options)
            except OSError as error:
                failure = error
            else:
                _call.connecting = False
                sock.settimeout(min(self.timeout, _call.deadline.step()))  # for the TLS handshake
                return sock
        raise failure

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _sockets.add(self.sock)
        self.sock = _Socket(self.sock)


class _Connection(_Timed, HTTPConnection):
    pass


class _TlsConnection(_Timed, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """An adapter whose connections keep to the deadline and verify with our TLS context."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_IDLE_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        if self._context is not None:
            options["ssl_context"] = self._context
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if self._context is not None:
            options["ssl_context"] = self._context
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Leave the TLS context as it is; requests would add its own bundle of authorities."""


class _Socket:
    """A socket on which no wait lasts longer than the deadline of the call allows.

    urllib3's own time-outs bound each wait but not their sum: a byte now and then would go on for ever.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """Ignore what urllib3 wants: the deadline decides."""

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_call.deadline.step())
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
        self._sock.settimeout(_call.deadline.step())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


# --- what went wrong ----------------------------------------------------------------------------

_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,  # requests' own errors are some, ssl's and socket's others
)


def _failure(
    method: str, url: str, error: Exception, deadline: CallDeadline, *, connected: bool
) -> ApiError:
    url = redact_url(url)
    if _is_timeout(error):
        timeout = ApiTimeoutError if connected else ApiConnectTimeoutError
        late = f"{method} {url}: no answer within {deadline.seconds:g} s"
        return timeout(late, method=method, url=url)
    network = ApiNetworkError if connected else ApiConnectError
    return network(f"{method} {url}: {_reason(error)}", method=method, url=url)


def _is_timeout(error: Exception) -> bool:
    timeouts = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)
    return any(isinstance(cause, timeouts) for cause in _causes(error))


def _reason(error: Exception) -> str:
    """Say what happened; only in words of the system, for requests' own texts hold headers and URLs."""
    for cause in reversed(list(_causes(error))):
        words = _words(cause)
        if words:
            return words
    return f"the exchange failed ({type(error).__name__})"


def _words(cause: BaseException) -> str | None:
    words = None
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = f"the server's certificate is not accepted: {cause.verify_message}"
    elif isinstance(cause, ssl.SSLError):
        words = f"TLS failed: {cause.reason or cause.strerror}"
    elif isinstance(cause, socket.gaierror):
        words = "the host name has no address"
    elif isinstance(cause, http.client.RemoteDisconnected):
        words = "the server closed the connection without an answer"
    elif isinstance(cause, http.client.HTTPException):
        words = f"the answer is not HTTP ({type(cause).__name__})"
    elif isinstance(cause, OSError):
        words = cause.strerror or _refused_by_proxy(cause)
    return words


def _refused_by_proxy(cause: OSError) -> str | None:
    text = str(cause.args[0]) if cause.args else ""
    found = re.match(r"Tunnel connection failed: (\d+)", text)
    return f"the proxy refused the connection ({found[1]})" if found else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it wraps, however the libraries did it, the outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [
                getattr(cause, "reason", None),
                cause.__cause__,
                cause.__context__,
                *cause.args,
            ]
