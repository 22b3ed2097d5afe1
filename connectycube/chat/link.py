"""A verified TLS connection, non-blocking, and how it is made within a deadline."""

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

# A selector without a file descriptor of its own: nothing to leak, nothing shared with a fork.
_Selector: Any = getattr(selectors, "PollSelector", selectors.SelectSelector)
_Result = TypeVar("_Result")
_PIECE = 65_536
_LONGEST_WAIT = 86_400.0  # seconds; poll() takes no more than 2^31 milliseconds


class AttemptCancelled(Exception):
    """Nobody wants the link any more."""


class Waker:
    """Wakes the thread that waits on it, from any other thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What to wait on."""
        return self._reader.fileno()

    def writer_fileno(self) -> int:
        """Where a byte wakes, too: for the interpreter, when a signal comes."""
        return self._writer.fileno()

    def wake(self) -> None:
        """Wake the waiting thread, now or when it waits next."""
        try:
            self._writer.send(b"\0")
        except OSError:
            pass  # full: it will wake anyway; closed: nobody waits any more

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        try:
            while self._reader.recv(4096):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Release both ends."""
        self._reader.close()
        self._writer.close()


def wait_for(
    sock: socket.socket | None, waker: Waker, timeout: float | None, *, read: bool, write: bool
) -> tuple[bool, bool]:
    """Wait for the socket or the waker; return whether the socket can be read and written."""
    with _Selector() as selector:
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
    """Make a call that nothing can interrupt on a thread of its own; return or raise what it does.

    Raises TimeoutError at the deadline, and AttemptCancelled as soon as the waker was woken and
    ``is_wanted()`` is false: then the call may outlive the wait for it, and nobody learns how it ended.
    """
    results: list[_Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - also SystemExit, raised again below
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
    """One TLS connection to the chat server; its owner lets one thread at a time use it."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.wants_write = False  # TLS itself has something to write before it can go on

    def receive(self) -> bytes | None:
        """Return the bytes that are there, None if there are none.

        Raises ConnectionLostError when the link has ended. An end that is not an end of the XMPP
        stream is a lost link, however polite: a reset under TLS may look like one.
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
                f"the link to the chat server broke: {_words(error)}"
            ) from None
        if not data:
            raise ConnectionLostError(
                "the link to the chat server ended without an end of the stream"
            )
        return data

    def send(self, data: bytearray) -> int:
        """Write what can be written now from the front of ``data``; return how many bytes.

        Raises ConnectionLostError when the link has ended.
        """
        try:
            return self.sock.send(data[:_PIECE])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise ConnectionLostError(
                f"the link to the chat server broke: {_words(error)}"
            ) from None

    def close(self) -> None:
        """Close the link, with TLS's good-bye if it can be said at once."""
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            pass
        self.sock.close()

    def close_in_child(self) -> None:
        """Close a forked child's copy of the socket without a byte on the wire; nothing if it is closed."""
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
    """Resolve, connect and shake hands; each address gets its share of the time.

    Raises a ConnectionLostError that tells the cause, or AttemptCancelled as soon as the waker was
    woken and ``is_wanted()`` is false. Nothing was sent to a server that could not be verified.
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
            # The most telling failure wins: a server that answered, however badly, over silence.
            if error is None or isinstance(failure, TlsError):
                error = failure
    assert error is not None
    raise error


def _resolve(
    host: str, port: int, deadline: Deadline, waker: Waker, is_wanted: Callable[[], bool]
) -> list[tuple[int, Any]]:
    # getaddrinfo cannot be interrupted.
    def resolve() -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    try:
        found = run_in_thread(resolve, f"connectycube-resolve-{host}", deadline, waker, is_wanted)
    except AttemptCancelled:
        raise
    except TimeoutError:
        raise ConnectTimeoutError(f"no address was found for {host} in time") from None
    except Exception as error:  # noqa: BLE001 - whatever a resolver raises, there is no address
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
            # Before it connects: wrapping one that was reset meanwhile would leave it open (CPython 3.11).
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
                    f"cannot connect to {self._where}: {_words(error)}"
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
                    f" {error.verify_message}"
                ) from None
            except ssl.SSLError as error:
                raise TlsError(
                    f"{self._where} does not speak TLS as expected: {error.reason or _words(error)}"
                ) from None
            except OSError as error:
                raise TlsError(f"{self._where} ended the TLS handshake: {_words(error)}") from None

    def _wait(self, sock: socket.socket, *, read: bool, write: bool, phase: str) -> None:
        while True:
            ready = wait_for(sock, self._waker, self._deadline.remaining(), read=read, write=write)
            if not self._is_wanted():
                raise AttemptCancelled
            if any(ready):
                return
            if self._deadline.expired:
                raise ConnectTimeoutError(f"{self._where} did not {phase} in time") from None


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
