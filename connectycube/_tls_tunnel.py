"""TLS inside a tunnel: a connection through a proxy, whose own connection may be TLS as well."""

from __future__ import annotations

import io
import socket
import ssl
from contextlib import suppress
from typing import Any

__all__ = ["TlsTunnel"]

# Bytes: more than a record of TLS, so that no decrypted byte stays in an outer SSLSocket. With the beginning
# of an earlier record they are fewer than the 65,536 that a link reads at once, so that none stays here.
_PIECE = 32_768


class TlsTunnel:
    """TLS over a socket that is connected already, with the methods of SSLSocket that this package uses.

    ``SSLContext.wrap_socket`` takes no SSLSocket, and leaves a socket open that was reset during the call.
    (CPython 3.11.) As with SSLSocket, an operation on a socket that does not block raises SSLWantReadError or
    SSLWantWriteError, and one with a time-out raises TimeoutError.

    Args:
        outer: The socket, or the SSLSocket of a proxy that speaks TLS; it is closed with this object.
        context: The TLS context.
        server_hostname: The server's name, which its certificate must have.
    """

    def __init__(self, outer: socket.socket, context: ssl.SSLContext, server_hostname: str) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._encrypted = b""  # the bytes that the outer socket has not taken yet
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )

    @property
    def wants_write(self) -> bool:
        """Whether encrypted bytes wait for the outer socket to take them."""
        return bool(self._encrypted)

    def do_handshake(self) -> None:
        """Shake hands, or raise SSLWantReadError or SSLWantWriteError."""
        self._run(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes of all that have arrived.

        Only new bytes make the outer socket readable, so none that are decrypted may stay here unread.
        """
        pieces: list[bytes] = []
        while size > 0:
            try:
                piece = self._run(self._tls.read, size) if not pieces else self._tls.read(size)
            except ssl.SSLWantReadError:
                if not pieces:
                    raise
                break
            except ssl.SSLEOFError:
                piece = b""  # as SSLSocket, which by default takes an end without close_notify for an end
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        self._flush()  # its failure follows at the next call; these bytes must not be lost with it
        return b"".join(pieces)

    def recv_into(self, buffer: Any) -> int:
        """Read into a buffer; return the number of bytes."""
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: Any) -> int:
        """Encrypt the front of ``data`` and send it; return the number of bytes that were taken.

        Raises SSLWantWriteError while the outer socket has not taken all bytes that were encrypted before.
        """
        failure = self._flush()
        if failure is not None:
            raise failure
        if self._encrypted:
            raise ssl.SSLWantWriteError
        return int(self._run(self._tls.write, data))

    def unwrap(self) -> None:
        """Send close_notify, in the inner and then in the outer TLS, as far as they go without waiting."""
        with suppress(OSError):
            self._run(self._tls.unwrap)
        if isinstance(self._outer, ssl.SSLSocket) and not self._encrypted:
            self._outer.unwrap()

    def _run(self, operation: Any, *arguments: Any) -> Any:
        """Repeat an operation of the inner TLS until it is done, and copy its bytes in both directions."""
        while True:
            try:
                result = operation(*arguments)
            except ssl.SSLWantReadError:
                self._fill(self._flush())
            except ssl.SSLError:
                self._flush()  # the alert that tells the peer why
                raise
            else:
                self._flush()
                return result

    def _fill(self, failure: OSError | None) -> None:
        """Copy the bytes that have arrived to the inner TLS.

        Also while the peer reads nothing: it may wait until its own bytes are read. A failure to send is
        raised once nothing is left to read, as the last bytes of the peer may tell the cause.
        """
        try:
            data = self._outer.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            if failure is not None:
                raise failure from None
            raise (ssl.SSLWantWriteError if self._encrypted else ssl.SSLWantReadError) from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> OSError | None:
        """Send as many encrypted bytes as the outer socket takes; return the failure, or None."""
        self._encrypted += self._outgoing.read()
        while self._encrypted:
            try:
                sent = self._outer.send(self._encrypted)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except OSError as failure:
                return failure
            self._encrypted = self._encrypted[sent:]
        return None

    # --- the socket -------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor of the outer socket."""
        return self._outer.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """Set the time-out of each wait for the outer socket."""
        self._outer.settimeout(seconds)

    def makefile(self, mode: str, buffering: int = 0) -> io.RawIOBase:
        """Return an unbuffered file for reading, which keeps the socket open."""
        file = socket.SocketIO(self, "r")  # type: ignore[arg-type]
        self._outer._io_refs += 1  # type: ignore[attr-defined]
        return file

    def _decref_socketios(self) -> None:
        self._outer._decref_socketios()  # type: ignore[attr-defined]

    def detach(self) -> int:
        """Give the descriptor of the outer socket to the caller, who closes it."""
        return self._outer.detach()

    def close(self) -> None:
        """Close the outer socket; a file of :meth:`makefile` keeps it open until that is closed."""
        self._outer.close()
