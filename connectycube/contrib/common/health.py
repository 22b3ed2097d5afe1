"""Whether a listener works, for a supervisor: a file that is young, or an HTTP port that answers 200.

Both show the numbers of ``chat.statistics()`` as JSON, beside ``healthy`` and the lease.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from connectycube import Chat

__all__ = ["Health", "HealthFile", "HealthServer", "Turn", "address_of_port", "health_of"]

_EVERY = 1.0  # seconds

Health = Callable[[], dict[str, Any]]
"""Returns what is shown; ``healthy`` says whether the listener works."""


class Turn(Protocol):
    """What the health shows of a lease."""

    @property
    def name(self) -> str:
        """What it is for."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether another holder had it when it was last asked for."""
        ...

    @property
    def held_by(self) -> str | None:
        """That holder."""


def health_of(bot: str, chat: Chat, lease: Turn | None = None) -> dict[str, Any]:
    """Return the health of a listener.

    It works while its bot is connected, and while it stands by for the lease that another process has: a
    supervisor must not end a standby process.
    """
    is_ready = chat.is_ready
    stands_by = lease is not None and lease.is_awaited
    return {
        "healthy": is_ready or stands_by,
        "bot": bot,
        "ready": is_ready,
        "lease": None
        if lease is None
        else {"name": lease.name, "fencing": chat.fencing, "held_by": lease.held_by},
        "statistics": chat.statistics().to_dict(),
    }


class HealthFile:
    """A file that is rewritten each second while the listener is healthy, and absent otherwise."""

    def __init__(self, path: str, health: Health) -> None:
        self._path = path
        self._health = health
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health-file", daemon=True)

    def start(self) -> None:
        """Write the file for the first time, and go on."""
        # An error of the path is one of the command; the listener may not be healthy yet.
        try:
            with open(self._other, "w", encoding="utf-8"):
                pass
            self._write()
        except OSError as error:
            raise _told(f"the health file {self._path} cannot be written", error) from None
        self._thread.start()

    def close(self) -> None:
        """Remove the file."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._remove()

    @property
    def _other(self) -> str:
        """A file beside it, so that nobody reads half a text."""
        return f"{self._path}.new"

    def _run(self) -> None:
        while not self._end.wait(_EVERY):
            with suppress(OSError):  # a full disk is no reason to stop
                self._write()

    def _write(self) -> None:
        found = self._health()
        if not found["healthy"]:
            self._remove()
            return
        with open(self._other, "w", encoding="utf-8") as file:
            file.write(_text_of(found))
        os.replace(self._other, self._path)

    def _remove(self) -> None:
        for path in (self._path, self._other):
            with suppress(OSError):
                os.unlink(path)


class HealthServer:
    """Answers ``GET`` with 200 while the listener is healthy, and with 503 otherwise."""

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10.0  # seconds: nobody holds a thread for longer

            def do_GET(self) -> None:
                """Answer with the health as JSON."""
                found = health()
                body = _text_of(found).encode()
                self.send_response(200 if found["healthy"] else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: a probe comes every few seconds."""

        try:
            self._server = ThreadingHTTPServer(address, Handler)
        except OSError as error:
            host, port = address
            raise _told(f"the health port {port} of {host} cannot be opened", error) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="health-port", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no longer."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _told(what: str, error: OSError) -> OSError:
    """Return an error of the same kind that says what was wanted."""
    return type(error)(error.errno, f"{what}: {error.strerror or error}")


def _text_of(health: dict[str, Any]) -> str:
    return json.dumps(health, indent=1) + "\n"


def address_of_port(text: str) -> tuple[str, int]:
    """Return host and port of ``8001`` (this machine alone) or ``0.0.0.0:8001``.

    Raises:
        ValueError: It is neither.
    """
    host, _, port = text.rpartition(":")
    number = int(port)
    if not 0 <= number <= 65535:
        raise ValueError(f"port {number} is not between 0 and 65535")
    return host.strip("[]") or "127.0.0.1", number
