"""A verified, non-blocking TLS connection, and how it is opened within a deadline, through a proxy or not."""

from __future__ import annotations

import selectors
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE
from typing import TypeVar

from .._deadline import Deadline
from .._dial import Address, Attempt, DialTimeout, Wait, no_address
from .._network import Network
from .._os_errors import reason_of
from .._proxy import Proxy
from .._proxy_handshake import ProxyFailure
from .._threads import start_thread, uninterrupted
from .._tls import refusal_words, tls_words
from .._tls_tunnel import TlsTunnel
from ..config import Config
from ..errors import (
    CertificateError,
    ConnectionLostError,
    ConnectTimeoutError,
    HostUnknownError,
    HostUnreachableError,
    ProxyError,
    TlsError,
)

__all__ = ["AttemptCancelled", "Link", "Waker", "open_link", "run_in_thread"]

_Result = TypeVar("_Result")
_PIECE = 65_536
_LONGEST_WAIT = 86_400.0  # seconds; poll() takes no more than 2^31 milliseconds


class AttemptCancelled(Exception):
    """The connection thread does not want the link any more, so the attempt to open it was given up."""


class Waker:
    """Lets one thread wait, for a socket or for nothing else, and wakes it from any other thread.

    All waits use one selector: to make one for each wait would cost more than the wait. It has no file
    descriptor of its own, so there is nothing to leak and nothing shared with a fork, and it knows a socket
    by its number alone. Its class is looked up for each waker: gevent may replace it after this module was
    imported.
    """

    def __init__(self) -> None:
        pair: list[socket.socket] = []
        try:
            # A signal's handler that raises amid socketpair(), which is Python code, would leave both open.
            uninterrupted(lambda: pair.extend(socket.socketpair()))
        except BaseException:
            for end in pair:
                end.close()
            raise
        self._reader, self._writer = pair
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        self._selector.register(self._reader.fileno(), EVENT_READ)
        self._watched = -1  # the number of the socket that the selector knows, and its events
        self._events = 0

    def fileno(self) -> int:
        """Return the descriptor to wait on, for a thread with a selector of its own."""
        return self._reader.fileno()

    @contextmanager
    def woken_by_signals(self) -> Generator[None]:
        """Let each signal wake the main thread as long as a ``with`` statement runs; elsewhere do nothing.

        A signal that arrives just before the wait begins, or that the system gives to another thread, does
        not end the wait. The byte that the interpreter writes for each signal does.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)

    def wake(self) -> None:
        """Wake the waiting thread, now or when it waits next."""
        try:
            self._writer.send(b"\0")
        except OSError:
            pass  # full: a wake-up is under way already; closed: no thread waits any more

    def wait(self, timeout: float | None, descriptor: int = -1, events: int = 0) -> int:
        """Wait until the thread is woken, or for the events of a socket; return the events of the socket.

        Args:
            timeout: Seconds; None waits forever.
            descriptor: The number of the socket; -1 without one.
            events: ``selectors.EVENT_READ``, ``EVENT_WRITE`` or both; 0 without a socket.
        """
        if descriptor != self._watched or events != self._events:
            self._watch(descriptor, events)
        if timeout is not None and timeout > _LONGEST_WAIT:
            timeout = _LONGEST_WAIT
        ready = 0
        for key, mask in self._selector.select(timeout):
            if key.fd == descriptor:
                ready = mask
            else:
                self.drain()
        return ready

    def _watch(self, descriptor: int, events: int) -> None:
        if self._watched != -1:
            self._selector.unregister(self._watched)
            self._watched = -1
        if descriptor != -1:
            self._selector.register(descriptor, events)
        self._watched, self._events = descriptor, events

    def drain(self) -> None:
        """Discard the wake-ups so far; of very many some are left, and end the next wait at once."""
        try:
            self._reader.recv(4096)
        except OSError:
            pass

    def close(self) -> None:
        """Release both ends."""
        self._reader.close()
        self._writer.close()

    def __del__(self) -> None:
        # A signal's handler may raise before the caller has it, and can close it.
        if "_writer" in vars(self):
            self.close()


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

    start_thread(threading.Thread(target=run, name=name, daemon=True))
    while not results and not failures:
        waker.wait(deadline.remaining())
        if not is_wanted():
            raise AttemptCancelled
        if deadline.expired and not results and not failures:
            raise TimeoutError
    if failures:
        raise failures[0]
    return results[0]


class Link:
    """One TLS connection to the chat server, for one thread at a time."""

    def __init__(self, sock: ssl.SSLSocket | TlsTunnel) -> None:
        self.sock = sock
        self._tunnel = sock if isinstance(sock, TlsTunnel) else None
        self._reading_wants_write = False
        self._write_failure: ConnectionLostError | None = None
        self._end: ConnectionLostError | None = None

    @property
    def wants_write(self) -> bool:
        """Whether TLS has bytes of its own to write, also if the driver has none."""
        if self._tunnel is not None and self._tunnel.wants_write:
            return True
        return self._reading_wants_write

    @property
    def has_ended(self) -> bool:
        """Whether the next :meth:`receive` raises: there is nothing to wait for."""
        return self._end is not None

    def receive(self) -> bytes:
        """Return the bytes that have arrived, up to about 80 kB; none if there are none.

        Raises ConnectionLostError when the link has ended, once all that had arrived before is returned. That
        holds also for an orderly end of TLS, because even a reset may look like one: only the end of the XMPP
        stream tells that the server has finished. If the link could not be written to, it ends once all that
        has arrived is read: the last words of the server, or an alert of TLS, tell the cause better.
        """
        pieces: list[bytes] = []
        if self._end is None:
            self._reading_wants_write = False
            try:
                # TLS returns one record at a time, and a burst is many small ones. Each read takes a whole
                # record, so that TLS never keeps bytes that no wait for the socket would tell of.
                size = 0
                while size < _PIECE:
                    piece = self.sock.recv(_PIECE)
                    if not piece:
                        self._end = self._write_failure or ConnectionLostError(
                            "the link to the chat server ended without an end of the stream"
                        )
                        break
                    pieces.append(piece)
                    size += len(piece)
            except ssl.SSLWantReadError:
                self._end = self._write_failure
            except ssl.SSLWantWriteError:
                self._reading_wants_write = True
            except OSError as error:
                failure = _broken(error)
                self._end = (
                    failure if isinstance(failure, TlsError) else self._write_failure or failure
                )
        if not pieces and self._end is not None:
            end, self._end = self._end, None  # asked again, the socket says the same
            raise end
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytearray) -> int:
        """Write from the front of ``data`` without waiting; return the number of bytes written.

        A failure is kept for :meth:`receive`, as what the server sent before the end is still to be read.
        """
        if self._write_failure is None:
            try:
                return self.sock.send(data[:_PIECE])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError as error:
                # Without its traceback: the frames of ssl have the bytes in their locals.
                self._write_failure = _broken(error)
        return 0

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


def _broken(error: OSError) -> ConnectionLostError:
    if isinstance(error, ssl.SSLError):
        return TlsError(f"the link to the chat server broke: {tls_words(error)}")
    return ConnectionLostError(f"the link to the chat server broke: {reason_of(error)}")


def open_link(
    config: Config,
    network: Network,
    deadline: Deadline,
    waker: Waker,
    is_wanted: Callable[[], bool],
) -> Link:
    """Resolve the host, connect and shake hands; the addresses share the time that is left.

    Raises a ConnectionLostError that tells the cause, or AttemptCancelled once the waker was woken and
    ``is_wanted()`` is false. No credentials were sent to a server that could not be verified.
    """
    return _Opening(config, network, deadline, waker, is_wanted).open()


class _Opening:
    """The opening of one link: one address after the other, until a server has answered."""

    def __init__(
        self,
        config: Config,
        network: Network,
        deadline: Deadline,
        waker: Waker,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._host = config.chat_host
        self._port = config.chat_port
        self._network = network
        self._deadline = deadline
        self._waker = waker
        self._is_wanted = is_wanted

    def open(self) -> Link:
        """Return a verified link, or raise a ConnectionLostError that tells the cause."""
        proxy = self._network.proxy_for(self._host, self._port)
        ways = self._ways(proxy)
        error: ConnectionLostError | None = None
        for position, (family, address, target) in enumerate(ways):
            left = self._deadline.remaining()
            share = None if left is None else left / (len(ways) - position)
            try:
                return self._try(family, address, target, proxy, Deadline(share))
            except ProxyFailure as failure:
                error = ProxyError(str(failure))
                if not failure.is_temporary:
                    break  # the proxy's other addresses are the same proxy
            except ConnectionLostError as failure:
                # An error of TLS tells more than a failed connection, because a server has answered.
                if error is None or isinstance(failure, TlsError):
                    error = failure
        assert error is not None
        raise error

    def _ways(self, proxy: Proxy | None) -> list[tuple[int, Address, str]]:
        """Return each address to connect to, with the host to ask its proxy for."""
        if proxy is None:
            return [(*entry, self._host) for entry in self._resolve(self._host, self._port)]
        try:
            hops = self._resolve(proxy.host, proxy.port)
        except HostUnknownError:
            raise ProxyError(str(no_address(proxy))) from None
        targets = [self._host]
        if not proxy.looks_up_names:
            targets = [str(address[0]) for _, address in self._resolve(self._host, self._port)]
        return [(*hop, target) for hop in hops for target in targets]

    def _resolve(self, host: str, port: int) -> list[tuple[int, Address]]:
        # On a thread of its own, because getaddrinfo cannot be interrupted.
        def resolve() -> Sequence[tuple[int, int, int, str, Address]]:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

        name = f"connectycube-resolve-{host}"
        try:
            found = run_in_thread(resolve, name, self._deadline, self._waker, self._is_wanted)
        except AttemptCancelled:
            raise
        except TimeoutError:
            raise ConnectTimeoutError(f"no address was found for {host} in time") from None
        except Exception as error:  # noqa: BLE001 - whatever error a resolver raises, there is no address
            raise HostUnknownError(f"the chat host {host!r} has no address: {error}") from None
        if not found:
            raise HostUnknownError(f"the chat host {host!r} has no address")
        return list(dict.fromkeys((entry[0], entry[4]) for entry in found))

    def _try(
        self, family: int, address: Address, target: str, proxy: Proxy | None, deadline: Deadline
    ) -> Link:
        """Connect to one address, and put what fails into the words of the tree."""
        attempt = Attempt(
            self._network, proxy, target, self._port, self._host, self._waiting(deadline)
        )
        try:
            return Link(attempt.open(family, address))
        except DialTimeout as timeout:
            raise ConnectTimeoutError(f"{timeout} in time") from None
        except OSError as error:
            raise self._failed(error, attempt.phase, attempt.where(address)) from None

    def _failed(self, error: OSError, phase: str, where: str) -> ConnectionLostError:
        if phase != "TLS":
            return HostUnreachableError(f"cannot connect to {where}: {reason_of(error)}")
        if isinstance(error, ssl.SSLCertVerificationError):
            words = f"is not valid for {self._host}: {refusal_words(error)}"
            return CertificateError(f"the certificate of {where} {words}")
        if isinstance(error, ssl.SSLError):
            return TlsError(f"{where} does not speak TLS as expected: {tls_words(error)}")
        return TlsError(f"{where} ended the TLS handshake: {reason_of(error)}")

    def _waiting(self, deadline: Deadline) -> Wait:
        def wait(sock: socket.socket, *, read: bool, write: bool) -> None:
            events = (EVENT_READ if read else 0) | (EVENT_WRITE if write else 0)
            while True:
                ready = self._waker.wait(deadline.remaining(), sock.fileno(), events)
                if not self._is_wanted():
                    raise AttemptCancelled
                if ready:
                    return
                if deadline.expired:
                    raise TimeoutError

        return wait
