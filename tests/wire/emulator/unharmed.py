"""Whether an emulator is as it was, after bad input: it serves everybody, and nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Iterator
from urllib.parse import parse_qsl

import requests

from connectycube.emulator import Emulator
from tests.support.inside import on_emulator
from tests.support.waiting import TIMEOUT, wait_until
from tests.support.websocket_client import WebSocketClient
from tests.support.wire_client import Client
from tests.wire.emulator.conftest import Rest

__all__ = ["Unharmed", "unharmed"]


class Unharmed:
    """An emulator with the user alice, and what it was like before anybody did it harm."""

    def __init__(self, emulator: Emulator, errors: list[str]) -> None:
        self.emulator = emulator
        self.alice = emulator.add_user("alice", "secret")
        self.rest = Rest(emulator, "alice")
        self.rest.http.headers["Connection"] = "close"
        self.blob = self._upload()
        self._errors = errors
        self._files = self._bucket()

    def _upload(self) -> dict[str, object]:
        file = {"name": "a", "content_type": "a/b"}
        blob = self.rest("POST", "blobs", json={"blob": file}).json()["blob"]
        url, _, query = blob["blob_object_access"]["params"].partition("?")
        fields = dict(parse_qsl(query))
        answer = requests.post(url, data=fields, files={"file": b"content"}, timeout=TIMEOUT)
        assert answer.status_code == 201, answer.text
        self.form = (url, fields)
        done = self.rest("PUT", f"blobs/{blob['id']}/complete", json={"size": 7})
        assert done.status_code == 200
        return dict(blob)

    @property
    def folder(self) -> str:
        return os.path.dirname(self.emulator.ca_file)

    def _bucket(self) -> set[str]:
        return set(os.listdir(os.path.join(self.folder, "bucket")))

    def check(self) -> None:
        """Check that nobody is left inside, that nothing failed, and that a client is served."""
        self._is_alone()
        assert self._bucket() == self._files
        self.check_log()
        assert self.rest("GET", "session").status_code == 200
        with Client(self.emulator) as client:
            client.log_in(self.alice)
            client.sync()  # messages that were kept for her
            client.send("</stream:stream>")
            assert client.next() is None

    def check_log(self) -> None:
        """Check that nothing was logged as an error."""
        errors, self._errors[:] = list(self._errors), []
        assert errors == []

    def check_all(self) -> None:
        """Check it at every door, and that no task failed unseen, which is told when it is collected."""
        gc.collect()
        self._serves_rest()
        self._serves_chat()
        self.check()

    def _is_alone(self) -> None:
        wait_until(lambda: self._connections() == 0, "the end of every connection")
        self.emulator.forget_sessions()  # those that may be resumed
        assert self.emulator.sessions() == []

    def _serves_rest(self) -> None:
        for url in (self.emulator.api_url, self.emulator.https_url):
            answer = requests.get(
                f"{url}/blobs/{self.blob['uid']}",  # which the bucket's own port answers
                headers={"CB-Token": self.rest.token},
                verify=self.emulator.ca_file,
                timeout=TIMEOUT,
            )
            assert (answer.status_code, answer.content) == (200, b"content")

    def _serves_chat(self) -> None:
        with Client(self.emulator) as one, WebSocketClient(self.emulator) as other:
            one.log_in(self.alice)
            other.log_in(self.alice)
            assert other.jid in [found.get("from") for found in one.sync()]

    def _connections(self) -> int:
        # each connection of HTTP and WebSocket is a task, and each stream counts, too
        return on_emulator(
            self.emulator,
            lambda service: len(asyncio.all_tasks()) + len(service.hub.streams),
        )


@contextlib.contextmanager
def unharmed(**switches: object) -> Iterator[Unharmed]:
    """Run an emulator for many tests of bad input; what it logs as an error fails the one that caused it."""
    handler = _Collector(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        with Emulator(**switches) as emulator:  # type: ignore[arg-type]
            made = Unharmed(emulator, handler.messages)
            with made.rest.http:
                yield made
        assert handler.messages == []
    finally:
        logging.getLogger().removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))
