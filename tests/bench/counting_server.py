"""A chat server that only counts: it logs everybody in, counts stanzas and acknowledges them. (XEP-0198.)

It runs in a process of its own, so that its CPU and memory are not the client's. It reads with one regular
expression, which serves for the stanzas that clients of the benchmarks write, and for no others.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import frozen

from connectycube import Config
from tests.support.certificates import make_certificates

__all__ = ["APP", "Server", "counting_server"]

APP = 7
_HOST = "localhost"
_STREAM = "http://etherx.jabber.org/streams"
_TAGS = re.compile(
    rb"<(message|presence|iq|r|auth|enable|stream:stream|/stream:stream)(?=[\s/>])([^>]*)>"
)
_ID = re.compile(rb"\bid=['\"]([^'\"]*)['\"]")
_OPENED = (
    f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{_STREAM}' id='s'"
    f" version='1.0' from='{_HOST}'><stream:features>"
)
_MECHANISMS = (
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
)
_FEATURES = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>"


@frozen(kw_only=True)
class Server:
    """A running server: where it listens, the authority of its certificate, and the system's with it."""

    port: int
    ca_file: str
    system_ca_file: str

    def config(self, *, system: bool = False, **options: Any) -> Config:
        """Return a Config for it; ``system``: with the system's authorities as well."""
        return Config(
            app_id=APP,
            auth_key="unused",
            chat_host=_HOST,
            chat_port=self.port,
            ca_file=self.system_ca_file if system else self.ca_file,
            **options,
        )


@contextmanager
def counting_server() -> Iterator[Server]:
    """Run the server for the ``with`` statement."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, str(folder)), daemon=True)
    process.start()
    theirs.close()
    try:
        port, ca_file = ours.recv()
        yield Server(port=port, ca_file=ca_file, system_ca_file=_with_system(folder, ca_file))
    finally:
        ours.close()
        process.join()
        shutil.rmtree(folder, ignore_errors=True)


def _with_system(folder: Path, ca_file: str) -> str:
    """Write a file with the authority of the server and those of the system."""
    paths = ssl.get_default_verify_paths()
    system = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else paths.cafile
    assert system is not None, "the system has no file of authorities"
    both = folder / "all.pem"
    both.write_bytes(Path(system).read_bytes() + Path(ca_file).read_bytes())
    return str(both)


def _serve(pipe: Connection, folder: str) -> None:
    with suppress(EOFError, KeyboardInterrupt):
        asyncio.run(_listen(pipe, Path(folder)))


async def _listen(pipe: Connection, folder: Path) -> None:
    certificates = make_certificates(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        _Stream, "127.0.0.1", 0, ssl=certificates.valid, backlog=1_024
    )
    pipe.send((server.sockets[0].getsockname()[1], str(certificates.ca_file)))
    await loop.run_in_executor(None, _until_closed, pipe)


def _until_closed(pipe: Connection) -> None:
    with suppress(EOFError):  # the benchmark is done
        pipe.recv()


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self._held = b""
        self._is_authenticated = self._counts = False
        self._stanzas = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._held + data
        end = 0
        answers = []
        for tag in _TAGS.finditer(data):
            end = tag.end()
            answers.append(self._answer(tag[1], tag[2]))
        rest = data[end:]
        self._held = rest[max(0, rest.rfind(b"<")) :] if b"<" in rest else b""
        written = "".join(answers)
        if written:
            self._transport.write(written.encode())
        if written.endswith("</stream:stream>"):
            self._transport.close()

    def _answer(self, name: bytes, attributes: bytes) -> str:
        self._stanzas += self._counts and name in (b"message", b"presence", b"iq")
        if name == b"r":
            return f"<a xmlns='urn:xmpp:sm:3' h='{self._stanzas}'/>"
        if name == b"iq" and b"result" not in attributes:
            return self._result(attributes)
        if name == b"stream:stream":
            offered = _FEATURES if self._is_authenticated else _MECHANISMS
            return f"{_OPENED}{offered}</stream:features>"
        if name == b"auth":
            self._is_authenticated = True
            return "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
        if name == b"enable" and b"urn:xmpp:sm:3" in attributes:  # not that of carbons
            self._counts = True
            return "<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>"
        return "</stream:stream>" if name == b"/stream:stream" else ""

    def _result(self, attributes: bytes) -> str:
        found = _ID.search(attributes)
        own_id = found[1].decode() if found else ""
        if self._counts:
            to = b"to=" in attributes
            sender = f" from='{_HOST}'" if to else ""
            return f"<iq type='result' id='{own_id}'{sender}/>"
        return (
            f"<iq type='result' id='{own_id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<jid>1001-{APP}@{_HOST}/bench</jid></bind></iq>"
        )
