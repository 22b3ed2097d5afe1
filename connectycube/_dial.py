"""One attempt to connect: TCP, a proxy's handshake if there is a proxy, and TLS.

No step blocks: REST and chat each hand in how they wait, and so keep their deadlines.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from ._network import Network
from ._os_errors import error_of, reason_of
from ._proxy import Proxy
from ._proxy_handshake import ProxyFailure, handshake
from ._secrets import confined
from ._tls import refusal_words, tls_words
from ._tls_tunnel import TlsTunnel

Address: TypeAlias = "tuple[Any, ...]"
"""The address of a socket, as ``getaddrinfo`` returns it."""

__all__ = ["Address", "Attempt", "DialTimeout", "Wait", "no_address"]

_CONNECTING = (errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS))
"""What ``connect_ex`` returns for a connection that is being made; the second one is that of Windows."""


class Wait(Protocol):
    """Waits for a socket, and raises TimeoutError at a deadline."""

    def __call__(self, sock: Any, *, read: bool, write: bool) -> None: ...


class DialTimeout(TimeoutError):
    """The attempt was not over in time; the message names the host or the proxy, and the step."""


class Attempt:
    """One attempt to connect to one address.

    ``phase`` is "connect", "proxy" or "TLS": the step that failed if :meth:`open` raised. Each failure of a
    proxy is a ProxyFailure or a DialTimeout whose message names the proxy without its password.

    Args:
        network: The contexts of TLS.
        proxy: The proxy, whose address is connected to; None for a direct connection.
        target: The server's name or address, as the proxy is told.
        port: The port of the server.
        server_hostname: The name in the server's certificate; None for a connection without TLS.
        wait: The function that waits for a socket.
    """

    def __init__(
        self,
        network: Network,
        proxy: Proxy | None,
        target: str,
        port: int,
        server_hostname: str | None,
        wait: Wait,
    ) -> None:
        self.phase = "connect"
        self._network = network
        self._proxy = proxy
        self._target = target
        self._port = port
        self._server_hostname = server_hostname
        self._wait = wait
        self._sock: Any = None

    @confined
    def open(self, family: int, address: Address) -> Any:
        """Return the connected socket, which does not block: a socket, an SSLSocket or a TlsTunnel.

        Raises:
            ProxyFailure: The proxy could not be reached, or did not make the connection.
            DialTimeout: ``wait`` raised TimeoutError.
            OSError: The connection or TLS failed.
        """
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is None:
                self._reach_server(address, self._server_hostname)
            else:
                self.phase = "proxy"
                with _blaming(self._proxy):
                    self._reach_server_through(self._proxy, address)
            if self._server_hostname is not None:
                self.phase = "TLS"
                self._until_done(self._sock.do_handshake, read=True)
        except TimeoutError as error:
            self._sock.close()
            raise self._timeout_error(error, address) from None
        except BaseException:
            self._sock.close()
            raise
        return self._sock

    def where(self, address: Address) -> str:
        """Describe the server, as it is reached at an address, for errors."""
        if self._proxy is None:
            return f"{address[0]} port {address[1]}"
        return f"{self._target} port {self._port} behind the proxy {self._proxy}"

    def _timeout_error(self, error: TimeoutError, address: Address) -> TimeoutError:
        """Return an error that names the step; the system's ETIMEDOUT is about the connection already."""
        if isinstance(error, DialTimeout) or error.errno is not None:
            return error
        step = "complete the TLS handshake" if self.phase == "TLS" else "accept the connection"
        return DialTimeout(f"{self.where(address)} did not {step}")

    def _reach_server(self, address: Address, server_hostname: str | None) -> None:
        """Connect directly, prepared for TLS if there is a name for it."""
        if server_hostname is not None:
            self._sock = _wrapped(self._sock, self._network.context, server_hostname)
        self._connect(address)

    def _reach_server_through(self, proxy: Proxy, address: Address) -> None:
        """Connect to a proxy, with TLS if it wants that, and let it connect to the server."""
        if proxy.scheme == "https":
            self._sock = _wrapped(self._sock, self._network.proxy_context, proxy.host)
        self._connect(address)
        if proxy.scheme == "https":
            self._until_done(self._sock.do_handshake, read=True)
        self._shake_hands_with(proxy)
        if self._server_hostname is not None:
            self._sock = TlsTunnel(self._sock, self._network.context, self._server_hostname)

    def _connect(self, address: Address) -> None:
        sock = self._sock
        code = socket.socket.connect_ex(sock, address)  # TCP alone, also of an SSLSocket
        if code in _CONNECTING:
            self._wait(sock, read=False, write=True)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code and isinstance(sock, ssl.SSLSocket):
            # This call tells the SSLSocket that it is connected. Without it each step of the handshake calls
            # getpeername(). That fails once the peer has closed, and hides the alert with the reason.
            code = sock.connect_ex(address)
            code = 0 if code == errno.EISCONN else code
        if code:
            raise error_of(code)

    def _shake_hands_with(self, proxy: Proxy) -> None:
        steps = handshake(proxy, self._target, self._port)
        outgoing, most = next(steps)
        while True:
            while outgoing:
                sent = self._until_done(self._sock.send, outgoing, read=False)
                outgoing = outgoing[sent:]
            try:
                outgoing, most = steps.send(self._until_done(self._sock.recv, most, read=True))
            except StopIteration:
                return

    def _until_done(self, operation: Callable[..., Any], *arguments: Any, read: bool) -> Any:
        """Repeat an operation until it is done; ``read`` tells what it waits for on a plain socket."""
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantReadError:
                read = True
            except ssl.SSLWantWriteError:
                read = False
            except BlockingIOError:
                pass
            self._wait(self._sock, read=read, write=not read)


def _wrapped(sock: socket.socket, context: ssl.SSLContext, server_hostname: str) -> ssl.SSLSocket:
    """Wrap a socket before it connects: CPython 3.11 leaves one open that was reset before that."""
    return context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)


def no_address(proxy: Proxy) -> ProxyFailure:
    """Return the failure of a proxy whose host name has no address."""
    return _failure(proxy, "its host name has no address", is_temporary=True)


def _failure(proxy: Proxy, words: str, *, is_temporary: bool) -> ProxyFailure:
    return ProxyFailure(
        f"no connection through the proxy {proxy}: {words}", is_temporary=is_temporary
    )


@contextmanager
def _blaming(proxy: Proxy) -> Generator[None]:
    """Raise every failure of the block as the proxy's."""
    try:
        yield
    except ProxyFailure as failure:
        words, is_temporary = str(failure), failure.is_temporary
    except TimeoutError as error:
        if error.errno is not None:  # ETIMEDOUT of the system, not the deadline of ``wait``
            raise _failure(proxy, reason_of(error), is_temporary=True) from None
        raise DialTimeout(f"the proxy {proxy} did not answer") from None
    except ssl.SSLCertVerificationError as error:
        words, is_temporary = f"its certificate is not accepted: {refusal_words(error)}", False
    except ssl.SSLError as error:
        words, is_temporary = f"TLS failed: {tls_words(error)}", False
    except OSError as error:
        words, is_temporary = reason_of(error), True
    else:
        return
    raise _failure(proxy, words, is_temporary=is_temporary)
