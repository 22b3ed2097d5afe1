"""A server that records what it is sent and plays what a test scripts, byte by byte where need be."""

from __future__ import annotations

import json
import os
import queue
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: list
    headers: dict  # names in lower case
    content: bytes
    connection: int
    raw_path: str = ""

    @property
    def json(self):
        return json.loads(self.content)


def answer(status=200, data=None, *, headers=(), content=None):
    """An ordinary HTTP answer, as bytes."""
    if content is None:
        content = b"" if data is None else json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def refusal(status, *messages):
    return answer(status, {"errors": {"base": list(messages)}})


def reset(link, request=None):
    """Break the connection with an RST."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(link.detach())


@dataclass
class ScriptedServer:
    """Answers each request with the next of what was scripted: bytes, or a callable(link, request)."""

    tls: ssl.SSLContext | None = None
    requests: list = field(default_factory=list)

    def __post_init__(self):
        self.script = queue.Queue()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.links = []
        self.threads = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def play(self, *steps):
        for step in steps:
            self.script.put(step)

    def respond(self, function):
        """Answer every request, from now on, with what ``function(request)`` returns."""
        self.responder = function

    responder = None

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self.lock:
            self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
                self.links.append(link)
                closing = self.closing.is_set()
            if closing:
                link.close()
                return
            self._start(self._serve, link, number)

    def _serve(self, link, number):
        try:
            if self.tls is not None:
                plain, link = link, self.tls.wrap_socket(link, server_side=True)
                with self.lock:
                    self.links.remove(plain)
                    self.links.append(link)
            with link.makefile("rb") as stream:
                while (request := _read_request(stream, number)) is not None:
                    with self.lock:
                        self.requests.append(request)
                    step = (
                        self.responder(request) if self.responder else self.script.get(timeout=10)
                    )
                    if callable(step):
                        step(link, request)
                    else:
                        link.sendall(step)
        except (OSError, ValueError, queue.Empty):
            pass
        finally:
            link.close()

    def close(self):
        self.closing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        self.script.put(b"")
        with self.lock:
            links, threads = list(self.links), list(self.threads)
        for link in links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        for link in links:
            link.close()


def _read_request(stream, number):
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers = {}
    while (text := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        assert name.lower() not in headers
        headers[name.lower()] = value.strip()
    content = stream.read(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    return Request(method, parts.path, query, headers, content, number, target)
