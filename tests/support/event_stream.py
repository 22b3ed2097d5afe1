"""The event stream of the control API, as a program in another language reads it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from connectycube.emulator import Emulator
from tests.support.waiting import TIMEOUT

__all__ = ["EventStream"]


class EventStream:
    """Reads events on a thread until the stream ends; ``with`` returns after the first one."""

    def __init__(self, emulator: Emulator, query: str = "") -> None:
        self.events: list[tuple[str, Any]] = []
        self.has_ended = False
        self._changed = threading.Condition()
        address = urlsplit(f"{emulator.control_url}/events{query}")
        self._link = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=TIMEOUT
        )
        headers = {"Authorization": f"Bearer {emulator.control_token}"}
        self._link.request("GET", f"{address.path}?{address.query}", headers=headers)
        self.answer = self._link.getresponse()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> EventStream:
        assert self.answer.status == 200, self.answer.read()
        self._thread.start()
        self.wait_for("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._link.sock and self._link.sock.shutdown(2)  # type: ignore[func-returns-value]
        self._thread.join(TIMEOUT)
        self.answer.close()
        self._link.close()

    def of(self, name: str) -> list[Any]:
        """The data of the events of one name."""
        with self._changed:
            return [data for each, data in self.events if each == name]

    def wait_for(self, name: str, fits: Callable[[Any], object] = lambda data: True) -> Any:
        """Wait for an event whose data fits; return its data."""

        def found() -> list[Any]:
            return [data for each, data in self.events if each == name and fits(data)]

        with self._changed:
            if not self._changed.wait_for(found, TIMEOUT):
                raise TimeoutError(f"no fitting event {name} in {self.events}")
            return found()[0]

    def _read(self) -> None:
        name = ""
        try:
            while line := self.answer.readline().decode().rstrip("\n") or self._more():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    with self._changed:
                        self.events.append((name, json.loads(value)))
                        self._changed.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # the test has ended the connection
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def _more(self) -> str:
        """Return a word for an empty line within the stream, and nothing at its end."""
        return "" if self.answer.isclosed() else ":"
