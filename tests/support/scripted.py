"""A server on a free port that plays a script: a Python function, called once for each connection.

    def script(conn: Connection) -> None:
        conn.expect("hello")
        conn.send("who is there?")
        conn.reset()

    with ScriptedServer(script, tls=certificates.valid) as server:
        ...

What a client sent is kept, decrypted. ``scripted_xmpp`` has the parts of a login, ``scripted_http`` answers
requests.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

_CHUNK = 65_536


class ClientGone(Exception):
    """The client ended the connection; a script need not catch it."""


class Connection:
    """A client's connection, as its script sees it.

    ``number`` counts from 1. ``received`` is all that the client sent and the script did not ``skip``.
    """

    def __init__(self, raw: socket.socket, number: int, timeout: float) -> None:
        self.number = number
        self.received = b""
        self.was_reset = False
        self._socket = raw
        self._position = 0
        self._timeout = timeout

    def send(self, data: str | bytes) -> None:
        """Send ``data``; blocks while the client does not read, at most the server's timeout."""
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(data.encode() if isinstance(data, str) else data)
        except (ConnectionError, ssl.SSLError) as error:
            raise ClientGone(str(error)) from error

    def expect(self, pattern: str, timeout: float | None = None) -> re.Match[bytes]:
        """Read until the regular expression matches what no ``expect`` has consumed yet; consume it.

        Raises TimeoutError with what came instead, ClientGone when the client ends the connection.
        """
        expression = re.compile(pattern.encode(), re.DOTALL)
        self._socket.settimeout(timeout or self._timeout)
        while not (match := expression.search(self.received, self._position)):
            try:
                self._receive()
            except TimeoutError:
                rest = self.received[self._position :]
                raise TimeoutError(f"{pattern!r} did not come; unread: {rest!r}") from None
        self._position = match.end()
        return match

    def read(self, count: int) -> bytes:
        """Read until there are ``count`` bytes that nothing has consumed yet; consume them."""
        self._socket.settimeout(self._timeout)
        end = self._position + count
        while len(self.received) < end:
            try:
                self._receive()
            except TimeoutError:
                came = len(self.received) - self._position
                raise TimeoutError(f"{came} of {count} bytes came") from None
        content = self.received[self._position : end]
        self._position = end
        return content

    def skip(self, count: int) -> None:
        """Read as many bytes as ``read`` does and forget them: they may be more than memory should hold."""
        left = count - len(self.read(min(count, len(self.received) - self._position)))
        while left:
            left -= len(self._next_bytes(min(left, _CHUNK)))

    def expect_end(self, timeout: float | None = None) -> None:
        """Read until the client ends the connection; TimeoutError if it does not."""
        self._socket.settimeout(timeout or self._timeout)
        with contextlib.suppress(ClientGone):
            while True:
                self._receive()

    def _receive(self) -> None:
        self.received += self._next_bytes(_CHUNK)

    def _next_bytes(self, at_most: int) -> bytes:
        try:
            data = self._socket.recv(at_most)
        except (ConnectionError, ssl.SSLError) as error:
            raise ClientGone(str(error)) from error
        if not data:
            raise ClientGone("end of stream")
        return data

    def close(self) -> None:
        """End in good order: close_notify under TLS, FIN, and read until the client ends too."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: TLS has been ended already
            self._socket.settimeout(1.0)
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket = self._socket.unwrap()
        self.fin()
        with contextlib.suppress(OSError):
            self.expect_end(timeout=1.0)

    def fin(self) -> None:
        """Send FIN without close_notify; what the client still sends can be read."""
        _shut_down(self._socket, socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST; nothing can be sent or read after it."""
        self.was_reset = True
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


Script = Callable[[Any], object]
_Self = TypeVar("_Self", bound="ScriptedServer")


class ScriptedServer:
    """Play ``script`` for each connection on a thread of its own; with ``tls``, after the handshake.

    ``timeout`` (seconds) bounds each wait of a script. When a script returns, its connection is closed. A
    script that raises anything but ClientGone fails the ``with`` statement when it ends. ``tls_errors``
    holds the handshakes that failed: what a client does that refuses the certificate. A subclass names in
    ``connection_class`` what its scripts are called with.
    """

    connection_class = Connection

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, timeout: float = 10.0
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.connections: list[Connection] = []
        self.tls_errors: list[Exception] = []
        self._errors: list[BaseException] = []
        self._script = script
        self._tls = tls
        self._timeout = timeout
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._ended = 0

    def __enter__(self: _Self) -> _Self:
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        acceptor = threading.Thread(
            target=self._accept, name=f"scripted-server-{self.port}", daemon=True
        )
        self._threads.append(acceptor)
        acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closing = True
            for used in [*self._sockets, *(connection._socket for connection in self.connections)]:
                _shut_down(used, socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # wakes the thread in accept()
            socket.create_connection((self.host, self.port), timeout=1).close()
        for thread in self._threads:
            thread.join(self._timeout)
        if self._errors and error is None:
            raise self._errors[0]

    def wait_for_connections(self, number: int = 1, timeout: float = 10.0) -> None:
        """Wait until ``number`` connections (and handshakes) were made; TimeoutError otherwise."""
        self._wait(lambda: len(self.connections) >= number, timeout, f"{number} connections")

    def wait_for_ends(self, number: int = 1, timeout: float = 10.0) -> None:
        """Wait until ``number`` connections have ended, handshakes that failed included."""
        self._wait(lambda: self._ended >= number, timeout, f"{number} ended connections")

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(
                    f"waited {timeout} s for {what}; connected {len(self.connections)}, ended {self._ended}"
                )

    @property
    def received(self) -> bytes:
        """All bytes that clients sent, connection after connection."""
        return b"".join(connection.received for connection in self.connections)

    # --- threads --------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except ConnectionError:
                continue
            with self._changed:
                if self._closing:
                    raw.close()
                    self._listener.close()
                    return
                self._sockets.add(raw)
                thread = threading.Thread(
                    target=self._serve, args=(raw,), name=f"script-{self.port}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection: Connection | None = None
        try:
            raw.settimeout(self._timeout)
            if self._tls is not None:
                raw = self._handshake(raw)
            with self._changed:
                number = len(self.connections) + 1
                connection = self.connection_class(raw, number, self._timeout)
                self.connections.append(connection)
                self._changed.notify_all()
            self._script(connection)
            connection.close()
        except ClientGone:
            pass
        except _HandshakeFailed as failure:
            self.tls_errors.append(failure.error)
        except BaseException as error:
            if not self._closing:
                self._errors.append(error)
        finally:
            self._end(raw if connection is None else connection._socket)

    def _handshake(self, raw: socket.socket) -> socket.socket:
        assert self._tls is not None
        wrapped = raw
        try:
            wrapped = self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            with self._changed:
                self._sockets.discard(raw)
                self._sockets.add(wrapped)
            wrapped.do_handshake()
        except OSError as error:
            wrapped.close()
            raise _HandshakeFailed(error) from error
        return wrapped

    def _end(self, used: socket.socket) -> None:
        used.close()
        with self._changed:
            self._sockets = {known for known in self._sockets if known.fileno() != -1}
            self._ended += 1
            self._changed.notify_all()


class _HandshakeFailed(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def stay_silent(conn: Connection) -> None:
    """A script: read what comes, answer nothing."""
    conn.expect_end()


def _shut_down(used: socket.socket, how: int) -> None:
    """Shut TCP down beneath TLS: SSLSocket.shutdown would make later reads return ciphertext."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(used, how)
