"""Whether a listener works, for a supervisor: a file that is young, or an HTTP port that answers 200."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["HealthFile", "HealthServer", "address_of_port"]

_EVERY = 1.0  # seconds


class HealthFile:
    """A file that is touched each second while ``is_healthy()`` says so, and absent otherwise."""

    def __init__(self, path: str, is_healthy: Callable[[], bool]) -> None:
        self._path = path
        self._is_healthy = is_healthy
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health-file", daemon=True)

    def start(self) -> None:
        """Write the file for the first time, and go on."""
        self._write()  # an error of the path is one of the command
        self._thread.start()

    def close(self) -> None:
        """Remove the file."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):
            os.unlink(self._path)

    def _run(self) -> None:
        while not self._end.wait(_EVERY):
            with suppress(OSError):  # a full disk is no reason to stop
                self._write()

    def _write(self) -> None:
        if self._is_healthy():
            with open(self._path, "a", encoding="utf-8"):
                os.utime(self._path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(self._path)


class HealthServer:
    """Answers ``GET`` with 200 while ``state()["ready"]`` is true, and with 503 otherwise."""

    def __init__(self, address: tuple[str, int], state: Callable[[], dict[str, Any]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer with the state as JSON."""
                found = state()
                body = json.dumps(found).encode()
                self.send_response(200 if found["ready"] else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: a probe comes every few seconds."""

        self._server = ThreadingHTTPServer(address, Handler)
        self.port = self._server.server_address[1]
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
