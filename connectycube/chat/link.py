"""A verified, non-blocking TLS connection, and how it is opened within a deadline."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._deadline import Deadline
from .._os_errors import reason_of
from .._tls import refusal_words
from ..config import Config
from ..errors import (
    CertificateError,
    ConnectionLostError,
    ConnectTimeoutError,
    HostUnknownError,
    HostUnreachableError,
    TlsError,
)

__all__ = ["AttemptCancelled", "Link", "Waker", "open_link", "run_in_thread", "wait_for"]

_Result = TypeVar("_Result")
_PIECE = 65_536
_LONGEST_WAIT = 86_400.0  # seconds; poll() takes no more than 2^31 milliseconds


class AttemptCancelled(Exception):
    """The connection thread does not want the link any more, so the attempt to open it was given up."""


class Waker:
    """Wakes the thread that waits on it, from any other thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reader.fileno()

    def writer_fileno(self) -> int:
        """Return the descriptor to which the interpreter writes a byte when a signal arrives."""
        return self._writer.fileno()

    def wake(self) -> None:
        """Wake the waiting thread, now or when it waits next."""
        try:
            self._writer.send(b"\0")
        except OSError:
            pass  # full: a wake-up is under way already; closed: no thread waits any more

    def drain(self) -> None:
        """Discard the wake-ups so far."""
        try:
            while self._reader.recv(4096):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Release both ends."""
        self._reader.close()
        self._writer.close()


def _selector() -> selectors.BaseSelector:
    """Return a selector without a file descriptor of its own: nothing to leak, nothing shared with a fork.

    The class is looked up for each wait: gevent may replace it later than this module is imported.
    """
    return getattr(selectors, "PollSelector", selectors.SelectSelector)()


def wait_for(
    sock: socket.socket | None, waker: Waker, timeout: float | None, *, read: bool, write: bool
) -> tuple[bool, bool]:
    """Wait for the socket or the waker; return whether the socket can be read and written."""
    with _selector() as selector:
        selector.register(waker.fileno(), selectors.EVENT_READ)
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if sock is not None and events:
            selector.register(sock, events)
        ready = selector.select(None if timeout is None else min(timeout, _LONGEST_WAIT))
    readable = writable = False
    for key, mask in ready:
        if key.fileobj is sock:
            readable = bool(mask & selectors.EVENT_READ)
            writable = bool(mask & selectors.EVENT_WRITE)
        else:
            waker.drain()
    return readable, writable


def run_in_thread(
    call: Callable[[], _Result],
    name: str,
    deadline: Deadline,
    waker: Waker,
    is_wanted: Callable[[], bool],
) -> _Result:
    """Make a call that cannot be interrupted on a thread of its own; return its result or raise its error.

    Raises TimeoutError at the deadline, and AttemptCancelled once the waker was woken and ``is_wanted()`` is
    false. In both cases the call goes on in its thread, and its result is discarded.
    """
    results: list[_Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - also SystemExit; it is raised again below
            failures.append(error)
        waker.wake()

    threading.Thread(target=run, name=name, daemon=True).start()
    while not results and not failures:
        wait_for(None, waker, deadline.remaining(), read=False, write=False)
        if not is_wanted():
            raise AttemptCancelled
        if deadline.expired and not results and not failures:
            raise TimeoutError
    if failures:
        raise failures[0]
    return results[0]


class Link:
    """One TLS connection to the chat server, for one thread at a time."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.wants_write = False  # TLS has bytes of its own to write before it can read on

    def receive(self) -> bytes | None:
        """Return the bytes that have arrived, None if there are none.

        Raises ConnectionLostError when the link has ended. That holds also for an orderly end of TLS, because
        even a reset may look like one: only the end of the XMPP stream tells that the server has finished.
        """
        self.wants_write = False
        try:
            data = self.sock.recv(_PIECE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return None
        except OSError as error:
            raise ConnectionLostError(
                f"the link to the chat server broke: {reason_of(error)}"
            ) from None
        if not data:
            raise ConnectionLostError(
                "the link to the chat server ended without an end of the stream"
            )
        return data

    def send(self, data: bytearray) -> int:
        """Write from the front of ``data`` without waiting; return the number of bytes written.

        Raises ConnectionLostError when the link has ended.
        """
        try:
            return self.sock.send(data[:_PIECE])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise ConnectionLostError(
                f"the link to the chat server broke: {reason_of(error)}"
            ) from None

    def close(self) -> None:
        """Close the link, after TLS's close_notify if that can be sent at once."""
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            pass
        self.sock.close()

    def close_in_child(self) -> None:
        """Close a forked child's copy of the socket, unless it is closed, without a byte on the wire."""
        descriptor = self.sock.detach()
        if descriptor != -1:
            socket.close(descriptor)


def open_link(
    config: Config,
    context: ssl.SSLContext,
    deadline: Deadline,
    waker: Waker,
    is_wanted: Callable[[], bool],
) -> Link:
    """Resolve the host, connect and shake hands; the addresses share the time that is left.

    Raises a ConnectionLostError that tells the cause, or AttemptCancelled once the waker was woken and
    ``is_wanted()`` is false. No credentials were sent to a server that could not be verified.
    """
    host, port = config.chat_host, config.chat_port
    addresses = _resolve(host, port, deadline, waker, is_wanted)
    error: ConnectionLostError | None = None
    for position, (family, address) in enumerate(addresses):
        left = deadline.remaining()
        share = None if left is None else left / (len(addresses) - position)
        try:
            handshake = _Handshake(address, host, Deadline(share), waker, is_wanted)
            return handshake.open(family, context)
        except ConnectionLostError as failure:
            # An error of TLS tells more than a failed connection, because a server has answered.
            if error is None or isinstance(failure, TlsError):
                error = failure
    assert error is not None
    raise error


def _resolve(
    host: str, port: int, deadline: Deadline, waker: Waker, is_wanted: Callable[[], bool]
) -> list[tuple[int, Any]]:
    # On a thread of its own, because getaddrinfo cannot be interrupted.
    def resolve() -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    try:
        found = run_in_thread(resolve, f"connectycube-resolve-{host}", deadline, waker, is_wanted)
    except AttemptCancelled:
        raise
    except TimeoutError:
        raise ConnectTimeoutError(f"no address was found for {host} in time") from None
    except Exception as error:  # noqa: BLE001 - whatever error a resolver raises, there is no address
        raise HostUnknownError(f"the chat host {host!r} has no address: {error}") from None
    if not found:
        raise HostUnknownError(f"the chat host {host!r} has no address")
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


class _Handshake:
    """The attempt to connect to one address: TCP, then TLS."""

    def __init__(
        self,
        address: Any,
        host: str,
        deadline: Deadline,
        waker: Waker,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._address = address
        self._host = host
        self._deadline = deadline
        self._waker = waker
        self._is_wanted = is_wanted
        self._where = f"{address[0]} port {address[1]}"

    def open(self, family: int, context: ssl.SSLContext) -> Link:
        """Return a verified link, or raise a ConnectionLostError that tells the cause."""
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Wrapped before it connects: CPython 3.11 leaves a socket open that was reset before that.
            sock = secured = context.wrap_socket(
                sock, server_hostname=self._host, do_handshake_on_connect=False
            )
            self._connect(secured)
            self._shake_hands(secured)
            return Link(secured)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, OSError) and not isinstance(error, ConnectionLostError):
                raise ConnectionLostError(
                    f"cannot connect to {self._where}: {reason_of(error)}"
                ) from None
            raise

    def _connect(self, sock: ssl.SSLSocket) -> None:
        code = sock.connect_ex(self._address)
        if code == errno.EINPROGRESS:
            self._wait(sock, read=False, write=True, phase="accept the connection")
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise HostUnreachableError(f"cannot connect to {self._where}: {os.strerror(code)}")

    def _shake_hands(self, sock: ssl.SSLSocket) -> None:
        phase = "complete the TLS handshake"
        while True:
            try:
                sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                self._wait(sock, read=True, write=False, phase=phase)
            except ssl.SSLWantWriteError:
                self._wait(sock, read=False, write=True, phase=phase)
            except ssl.SSLCertVerificationError as error:
                raise CertificateError(
                    f"the certificate of {self._where} is not valid for {self._host}:"
                    f" {refusal_words(error)}"
                ) from None
            except ssl.SSLError as error:
                raise TlsError(
                    f"{self._where} does not speak TLS as expected: {error.reason or reason_of(error)}"
                ) from None
            except OSError as error:
                raise TlsError(
                    f"{self._where} ended the TLS handshake: {reason_of(error)}"
                ) from None

    def _wait(self, sock: socket.socket, *, read: bool, write: bool, phase: str) -> None:
        while True:
            ready = wait_for(sock, self._waker, self._deadline.remaining(), read=read, write=write)
            if not self._is_wanted():
                raise AttemptCancelled
            if any(ready):
                return
            if self._deadline.expired:
                raise ConnectTimeoutError(f"{self._where} did not {phase} in time") from None
