"""One HTTP request and its response, and the seam between them: ``HttpTransport.send(Request) -> Response``.

:class:`HttpClient` is the transport of every client, unless ``ConnectyCube(transport=…)`` gives another one.
It sends one request over a pool of connections and reads one bounded response within one deadline. Sessions,
retries, redirects and errors are above the seam, in ``_api.py``.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from attrs import define, field, frozen
from requests.structures import CaseInsensitiveDict

from .._containers import AnyDict
from .._dial import DialTimeout
from .._forks import check_fork, register_for_fork
from .._network import Network
from .._proxy_handshake import ProxyFailure
from .._redact import redact_url
from .._secrets import clear_locals
from .._tls import refusal_words, tls_words
from ..errors import (
    ApiConnectError,
    ApiConnectTimeoutError,
    ApiError,
    ApiNetworkError,
    ApiProxyError,
    ApiTimeoutError,
)
from ._deadline_adapter import (
    CallDeadline,
    DeadlineAdapter,
    calling,
    close_inherited_sockets,
    is_connecting,
)

__all__ = [
    "Body",
    "BodyWriter",
    "CallDeadline",
    "HttpClient",
    "HttpTransport",
    "Request",
    "Response",
]

_RESPONSE_BYTES = 33_554_432  # a page of a thousand long messages is a tenth of this
_ERROR_BYTES = 65_536
_PIECE_BYTES = 65_536


class Body(Protocol):
    """A request's body that is read while it is sent; ``len()`` is its size in bytes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, of at most ``size`` bytes; empty at the end."""
        ...


class BodyWriter(Protocol):
    """Takes the body of a successful response piece by piece; the caller gets the errors that it raises."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Prepare for a body; ``headers`` are those of the response."""

    def write(self, piece: bytes) -> None:
        """Take the next piece."""


@frozen(kw_only=True, eq=False)
class Request:
    """One HTTP request, with everything that a transport needs to send it.

    Args:
        method: The method, in upper case.
        url: The whole URL, with its query.
        headers: The headers.
        body: Bytes, or an iterable :class:`Body` that is read while it is sent (a file), or None.
        writer: Where the body of a *successful* response goes, piece by piece (a download), or None: then
            the transport returns it in ``Response.body``.
        deadline: ``deadline.remaining()`` is the number of seconds for the whole exchange.
        connect_timeout: The seconds to connect, as a part of them.

    Example:
        >>> request = Request(method="GET", url="https://api.connectycube.com/users?limit=10")
        >>> request.path, request.params
        ('/users', {'limit': '10'})
    """

    method: str
    url: str = field(repr=redact_url)
    headers: Mapping[str, str] = field(factory=AnyDict, repr=False)
    body: bytes | Body | None = field(default=None, repr=False)
    writer: BodyWriter | None = field(default=None, repr=False)
    deadline: CallDeadline = field(factory=lambda: CallDeadline(30.0), repr=False)
    connect_timeout: float = field(default=30.0, repr=False)

    @property
    def path(self) -> str:
        """The path of the URL, without the query."""
        return urlsplit(self.url).path

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters; of a name that occurs more than once, the last value."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def json(self) -> Any:
        """Decode the body.

        Returns:
            The value; None if there is no body.

        Raises:
            ValueError: The body is not JSON.
            TypeError: The body is a file that is read while it is sent.
        """
        if self.body is None or isinstance(self.body, bytes):
            return json.loads(self.body) if self.body else None
        raise TypeError("the body is streamed, and is not JSON")


_NOT_DECODED = object()


@define(init=False, eq=False)
class Response:
    """One HTTP response, with its body.

    Args:
        status: The status code.
        json: The body, as a value to encode; None for no body. Not together with ``body``.
        body: The body, as bytes without a content encoding; empty if the request's writer has taken it.
        headers: The headers; names are found in any case.
        request: The request that it answers; filled in when it is returned from a transport.
        fault: Why the body is not whole: "late", "cut off" or "too large"; empty if it is whole.
        received: The bytes of the body that arrived; by default the length of ``body``.

    Example:
        >>> response = Response(201, json={"id": 7})
        >>> response.is_success, response.json()
        (True, {'id': 7})
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request: Request | None = field(repr=False)
    fault: str
    received: int
    _data: Any = field(init=False, repr=False)

    def __init__(
        self,
        status: int = 200,
        *,
        json: object = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        request: Request | None = None,
        fault: str = "",
        received: int | None = None,
    ) -> None:
        self.status = status
        if not isinstance(headers, CaseInsensitiveDict):
            headers = CaseInsensitiveDict({} if headers is None else headers)
        self.headers = headers
        self.body = body if json is None else _json_bytes(json)
        self.request = request
        self.fault = fault
        self.received = len(self.body) if received is None else received
        self._data = _NOT_DECODED

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Decode the body.

        Returns:
            The value; None if the body is empty.

        Raises:
            ValueError: The body is not JSON.
            RecursionError: The body is nested too deeply.
        """
        if self._data is _NOT_DECODED:
            self._data = json.loads(self.body) if self.body.strip() else None
        return self._data


def _json_bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


class HttpTransport(Protocol):
    """Sends the REST requests of a client; give one as ``ConnectyCube(transport=…)``.

    Sessions, retries, redirects of downloads and the mapping of status codes to errors are above it. Several
    threads call it at the same time. The client does not close a transport.

    Example:
        >>> class Counting:
        ...     def __init__(self, inner):
        ...         self.inner, self.count = inner, 0
        ...     def send(self, request):
        ...         self.count += 1
        ...         return self.inner.send(request)
        >>> transport = Counting(MockTransport())
        >>> with ConnectyCube(app_id=1, auth_key="key", transport=transport) as client:
        ...     user = client.login(login="alice", password="a password")
        >>> transport.count
        1
    """

    def send(self, request: Request) -> Response:
        """Send one request and return its response, also one with an error status; follow no redirect.

        If the request has a ``writer`` and the response is a success, the body goes to the writer
        (``begin(headers)``, then ``write(piece)`` for each piece), and ``Response.body`` is empty.

        Args:
            request: The request, with everything that is needed to send it.

        Returns:
            The response; its ``fault`` says why, if the body is not whole.

        Raises:
            ApiConnectError: No connection could be made; any request may be sent again.
            ApiTimeoutError: No response arrived before the deadline; nothing is sent again.
            ApiNetworkError: The connection broke; GET and DELETE may be sent again.
        """
        ...


class HttpClient:
    """The transport that sends requests over the network; every method may be called from any thread.

    Certificates are verified against ``ca_file`` or the system's authorities. Connections are kept and used
    again; nothing else is kept between requests: no cookies. No .netrc is read, and of the environment the
    proxy variables only. Plain HTTP is for this machine, and never goes through a proxy. A forked child
    starts without connections: it closes the sockets that it inherited without sending a byte. Looking up a
    host's name cannot be interrupted, so the deadline does not cover it.

    Args:
        network: The proxies and certificates; by default those of the environment and the system.
    """

    def __init__(self, network: Network | None = None) -> None:
        self._network = Network() if network is None else network
        self._adapters: dict[type[ssl.SSLContext], DeadlineAdapter] = {}
        register_for_fork(self)

    def check_proxy(self, url: str) -> None:
        """Read the proxy for ``url``.

        Raises:
            ArgumentValueError: The proxy variable is wrong; the error names it.
        """
        parts = urlsplit(url)
        if parts.scheme == "https":
            self._network.check_proxy(parts.hostname or "", parts.port or 443)

    def prepare(self, url: str) -> None:
        """Make what is needed to speak to ``url``, without a connection.

        Raises:
            ArgumentValueError: A field of Config, or a proxy variable, is wrong; the error names it.
        """
        parts = urlsplit(url)
        if parts.scheme == "https":
            self._network.check(parts.hostname or "", parts.port or 443)

    def send(self, request: Request) -> Response:
        """Send one request and read its response, whatever its status; redirects are not followed.

        The body of a success goes to the request's ``writer``, if there is one; the caller gets the errors
        that the writer raises. Otherwise at most 32 MB are kept of a success, and 64 KB of an error.

        Raises:
            ApiConnectError: No connection could be made.
            ApiTimeoutError: No response arrived before the deadline.
            ApiNetworkError: The connection broke.
        """
        check_fork()
        failure: ApiError
        with calling(request.deadline):
            try:
                response = self._start(request)
            except _NETWORK_ERRORS as error:
                failure = _failure(request, error)
            except BaseException as error:
                clear_locals(error)  # those of a KeyboardInterrupt, or of a file that is sent
                raise
            else:
                return _received(request, response)
        # Raised here and not in the handler: no traceback shall carry the request with its secrets.
        raise failure

    def _start(self, request: Request) -> requests.Response:
        """Send a request and read the head of the response."""
        prepared: Any = requests.PreparedRequest()  # types-requests has no types for prepare()
        prepared.prepare(
            method=request.method, url=request.url, headers=request.headers, data=request.body
        )
        step = request.deadline.step()
        return self._adapter.send(
            prepared, stream=True, timeout=(min(request.connect_timeout, step), step)
        )

    def close(self) -> None:
        """Close the idle connections; a later request opens new ones."""
        check_fork()
        for adapter in list(self._adapters.values()):
            adapter.close()

    def _after_fork_in_child(self) -> None:
        """Close the inherited sockets without a byte and begin without connections."""
        close_inherited_sockets()
        self._adapters = {}

    @property
    def _adapter(self) -> DeadlineAdapter:
        """The adapter, made on first use."""
        # By the class of TLS contexts, which gevent replaces: connections of the class before would block all
        # greenlets.
        kind = ssl.SSLContext
        adapter = self._adapters.get(kind)
        if adapter is None:
            # If two threads get here at once, one adapter is kept; a lock might be held across a fork.
            adapter = self._adapters.setdefault(kind, DeadlineAdapter(self._network))
        return adapter


def _received(request: Request, response: requests.Response) -> Response:
    """Read the body of a response, into the request's writer or into memory."""
    success = 200 <= response.status_code < 300
    writer = request.writer if success else None
    most = _RESPONSE_BYTES if success else _ERROR_BYTES
    body = _BodyReader(response.raw, most if writer is None else None)
    memory = bytearray()
    try:
        if writer is not None:
            writer.begin(response.headers)
        for piece in body:
            if writer is None:
                memory += piece
            else:
                writer.write(piece)
    except BaseException as error:  # also that of a writer
        clear_locals(error)
        memory.clear()
        raise
    finally:
        if body.fault:
            response.raw.close()
    del memory[most:]
    return Response(
        response.status_code,
        body=bytes(memory),
        headers=response.headers,
        request=request,
        fault=body.fault,
        received=body.received,
    )


class _BodyReader:
    """Yields the pieces of a body; afterwards ``fault`` says why it is not whole.

    Args:
        raw: The response of urllib3.
        most: So many bytes are enough; None for no limit.
    """

    def __init__(self, raw: urllib3.BaseHTTPResponse, most: int | None) -> None:
        self._raw = raw
        self._most = most
        self.received = 0
        self.fault = "cut off"  # until the end has been read

    def __iter__(self) -> Iterator[bytes]:
        # What the loop around it raises is not raised in here, so a writer's errors are not the network's.
        try:
            for piece in self._raw.stream(_PIECE_BYTES, decode_content=True):
                self.received += len(piece)
                yield piece
                if self._most is not None and self.received > self._most:
                    self.fault = "too large"
                    return
        except _NETWORK_ERRORS as error:
            self.fault = "late" if _is_timeout(error) else "cut off"
        else:
            self.fault = ""


# --- network errors -----------------------------------------------------------------------------

_NETWORK_ERRORS = (
    ProxyFailure,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,  # requests' own errors are some, ssl's and socket's others
)


def _failure(request: Request, error: Exception) -> ApiError:
    """Return the error of the tree for a request without a response."""
    method, url = request.method, redact_url(request.url)
    unconnected = is_connecting()
    if isinstance(error, ProxyFailure):
        words = f"{method} {url}: {error}"
        return ApiProxyError(words, method=method, url=url, is_temporary=error.is_temporary)
    if _is_timeout(error):
        timeout = ApiConnectTimeoutError if unconnected else ApiTimeoutError
        return timeout(f"{method} {url}: {_lateness(request, error)}", method=method, url=url)
    network = ApiConnectError if unconnected else ApiNetworkError
    return network(f"{method} {url}: {_reason(error)}", method=method, url=url)


def _lateness(request: Request, error: Exception) -> str:
    """Return the step of a call that did not end in time, and the bound of that step in seconds."""
    deadline = request.deadline
    for cause in _causes(error):
        if isinstance(cause, DialTimeout):
            return f"{cause} within {min(request.connect_timeout, deadline.seconds):g} s"
    return f"no answer within {deadline.seconds if deadline.expired else deadline.silence:g} s"


def _is_timeout(error: Exception) -> bool:
    timeouts = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)
    return any(isinstance(cause, timeouts) for cause in _causes(error))


def _reason(error: Exception) -> str:
    """Describe a failure in the system's words only: requests' own texts hold headers and URLs."""
    for cause in reversed(_causes(error)):
        words = _words_of_the_system(cause)
        if words:
            return words
    return f"the exchange failed ({type(error).__name__})"


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and all errors inside it, the outermost first."""
    found = [error]
    for outer in found:  # the list grows while it is read
        # Python chains errors; urllib3 and requests also put them into their arguments, and into `reason`.
        inner = (getattr(outer, "reason", None), outer.__cause__, outer.__context__, *outer.args)
        found += [each for each in inner if isinstance(each, BaseException) and each not in found]
    return found


def _words_of_the_system(cause: BaseException) -> str | None:
    words = None
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = f"the server's certificate is not accepted: {refusal_words(cause)}"
    elif isinstance(cause, ssl.SSLError):
        words = f"TLS failed: {tls_words(cause)}"
    elif isinstance(cause, socket.gaierror):
        words = "the host name has no address"
    elif isinstance(cause, http.client.RemoteDisconnected):
        words = "the server closed the connection without an answer"
    elif isinstance(cause, http.client.HTTPException):
        words = f"the answer is not HTTP ({type(cause).__name__})"
    elif isinstance(cause, OSError):
        words = cause.strerror
    return words
