"""A scripted HTTP server: each request is kept and gets the next of the answers that a test scripted.

    with ScriptedHttpServer() as server:
        server.play(answer(503), reset, lambda conn, request: conn.send("HTTP/1.1 200 O"))
        ...
    assert server.requests[0].path == "/users"

Its script reads requests until the client ends the connection, and keeps them.
"""

from __future__ import annotations

import collections
import json
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.scripted import Connection, ScriptedServer

_IDLE = 3600.0  # a client keeps its connection as long as it likes


@dataclass
class Request:
    """A request as it came. Names of ``headers`` are in lower case; ``connection`` counts from 1."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    content: bytes
    connection: int
    raw_path: str

    @property
    def json(self) -> Any:
        """The content, decoded."""
        return json.loads(self.content)


Step = bytes | Callable[[Connection, Request], object]


class ScriptedHttpServer(ScriptedServer):
    """Answer each request with the next step: bytes to send, or a function that does what it likes.

    A request without a step, and one that cannot be read, fail the ``with`` statement when it ends.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer_requests, tls=tls)
        self.requests: list[Request] = []
        self._steps: collections.deque[Step] = collections.deque()
        self._responder: Callable[[Request], Step] | None = None

    @property
    def url(self) -> str:
        """Where the server is, without a path."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def play(self, *steps: Step) -> None:
        """Add ``steps`` to the script; all connections share it."""
        self._steps.extend(steps)

    def respond(self, function: Callable[[Request], Step]) -> None:
        """Answer every request, from now on, with the step that ``function`` returns for it."""
        self._responder = function

    def _answer_requests(self, conn: Connection) -> None:
        while not conn.was_reset:
            request = _read_request(conn)
            self.requests.append(request)
            step = self._responder(request) if self._responder else self._next_step(request)
            if callable(step):
                step(conn, request)
            else:
                conn.send(step)

    def _next_step(self, request: Request) -> Step:
        if not self._steps:
            raise AssertionError(f"no answer is scripted to {request.method} {request.raw_path}")
        return self._steps.popleft()


def answer(
    status: int = 200,
    data: Any = None,
    *,
    headers: Iterable[tuple[str, str]] = (),
    content: bytes | None = None,
) -> bytes:
    """Return an ordinary HTTP answer: with ``data`` as JSON, or with ``content`` as it is."""
    if content is None:
        content = b"" if data is None else json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def refusal(status: int, *messages: str) -> bytes:
    """Return an answer with errors, as the service words them."""
    return answer(status, {"errors": {"base": list(messages)}})


def silent(conn: Connection, request: Request) -> None:
    """A step: answer nothing until the client ends the connection."""
    conn.expect_end()


def reset(conn: Connection, request: Request) -> None:
    """A step: break the connection with RST."""
    conn.reset()


def _read_request(conn: Connection) -> Request:
    head = conn.expect(r"(.*?)\r\n\r\n", timeout=_IDLE)[1].decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} came twice"
        headers[name.lower()] = value.strip()
    content = conn.read(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    return Request(method, parts.path, query, headers, content, conn.number, target)
