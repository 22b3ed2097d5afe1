"""A page as a browser has it: an EventSource that comes back by itself, with the id of the last event."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from tests.support.waiting import TIMEOUT

__all__ = ["EventSource", "blocks_of"]


def blocks_of(text: str) -> list[dict[str, str]]:
    """Return the blocks of a stream, each by its fields; a comment has the field ""."""
    return [
        {
            name: value.removeprefix(" ")
            for name, _, value in (line.partition(":") for line in block.split("\n"))
        }
        for block in text.split("\n\n")
        if block
    ]


class EventSource:
    """Reads a stream on a thread until ``close()``; ``messages`` is what the page shows.

    As in a browser, an event whose block was cut is lost, a status other than 200 ends it, and ``retry`` says
    how long it waits before the next connection.
    """

    def __init__(self, port: int, path: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.connections = 0
        self.status: int | None = None
        self.has_begun = False
        self.notes: list[tuple[float, str]] = []
        """What happened, and when: "open", "byte", "end"."""
        self._port, self._path = port, path
        self._last_id: str | None = None
        self._retry = 1.0
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._link: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> EventSource:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bodies(self) -> list[str]:
        """The texts that the page shows."""
        return [message["body"] for message in self.messages]

    def words(self) -> list[str]:
        """What happened, in order."""
        return [word for _, word in self.notes]

    def wait_for(self, condition: Any, timeout: float = TIMEOUT) -> None:
        """Wait until ``condition()`` is true."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout), (self.notes, self.bodies)

    def close(self) -> None:
        """End it, as a page that is left."""
        self._ended.set()
        link = self._link
        if link is not None and link.sock is not None:
            try:
                link.sock.shutdown(2)
            except OSError:
                pass
        self._thread.join(TIMEOUT)

    def _note(self, word: str) -> None:
        with self._changed:
            self.notes.append((time.monotonic(), word))
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._ended.is_set() and self.status in (None, 200):
            try:
                self._read()
            except (OSError, http.client.HTTPException):
                pass
            self._note("end")
            self._ended.wait(self._retry)

    def _read(self) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT * 6)
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        try:
            self._note("open")
            self._link.request("GET", self._path, headers=headers)
            answer = self._link.getresponse()
            self.status = answer.status
            self.connections += 1
            if answer.status != 200:
                return
            block: list[bytes] = []
            while line := answer.readline():
                if not block:
                    self._note("byte")
                if line == b"\n":
                    self._take(block)
                    block = []
                else:
                    block.append(line)
        finally:
            self._link.close()

    def _take(self, block: list[bytes]) -> None:
        (fields,) = blocks_of(b"".join(block).decode()) or [{}]
        self._retry = int(fields.get("retry", self._retry * 1000)) / 1000
        with self._changed:
            self._last_id = fields.get("id", self._last_id)
            if fields.get("event") == "begin":
                self.messages.clear()
                self.has_begun = True
            elif "data" in fields:
                self.messages.append(json.loads(fields["data"]))
            self._changed.notify_all()
