"""A proxy of our own for HTTP CONNECT or SOCKS5, which connects every host name to this machine.

    with Tunnels("socks5h", user="me", password="word") as proxy:
        Config(..., proxy=proxy.url)
    assert proxy.targets == [("elsewhere.example", 443)]

It says what clients asked it for, which the proxies of ``tests/interop`` do not.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Any
from urllib.parse import quote

_PIECE = 65_536


class Tunnels:
    """The proxy: it listens inside of ``with``, on a thread of its own.

    ``targets`` are the hosts and ports that clients asked for, ``heads`` the whole requests of HTTP.
    ``tls`` is the context of a proxy that clients speak TLS to, as ``host``.
    """

    def __init__(
        self,
        scheme: str = "http",
        *,
        user: str | None = None,
        password: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "localhost",
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.targets: list[tuple[str, int]] = []
        self.heads: list[str] = []
        self.port = 0
        self._user, self._password, self._tls = user, password, tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunnels", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """The URL without user and password, as errors name the proxy."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL with user and password, for ``Config.proxy``."""
        if self._user is None:
            return self.address
        user = f"{quote(self._user, safe='')}:{quote(self._password, safe='')}@"
        return f"{self.scheme}://{user}{self.host}:{self.port}"

    def __enter__(self) -> Tunnels:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls, family=socket.AF_INET
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets transports that were aborted close their sockets

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server: asyncio.StreamWriter | None = None
        try:
            shake_hands = self._socks5 if self.scheme.startswith("socks5") else self._http
            port = await shake_hands(reader, writer)
            if port is not None:
                from_server, server = await asyncio.open_connection("127.0.0.1", port)
                await self._accept(writer)
                await asyncio.gather(_pump(reader, server), _pump(from_server, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, server):
                if each is not None:
                    each.transport.abort()
            self._tasks.discard(task)

    async def _accept(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"\x05\x00\x00\x03\x09localhost\x00\x00"
            if self.scheme.startswith("socks5")
            else b"HTTP/1.1 200 Connected\r\nVia: 1.1 tunnels\r\n\r\n"
        )
        await writer.drain()

    async def _http(self, reader: Any, writer: Any) -> int | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        host, _, port = head.split()[1].rpartition(":")
        if self._user is not None:
            wanted = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            if f"\r\nProxy-Authorization: Basic {wanted}\r\n" not in head:
                writer.write(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
                await writer.drain()
                return None
        self.targets.append((host.strip("[]"), int(port)))
        return int(port)

    async def _socks5(self, reader: Any, writer: Any) -> int | None:
        methods = await reader.readexactly((await reader.readexactly(2))[1])
        method = 0 if self._user is None else 2
        writer.write(bytes([5, method if method in methods else 0xFF]))
        if method not in methods:
            return None
        if method == 2:
            given = []
            await reader.readexactly(1)
            for _ in range(2):
                given.append((await reader.readexactly((await reader.readexactly(1))[0])).decode())
            refused = given != [self._user, self._password]
            writer.write(bytes([1, refused]))
            if refused:
                return None
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.targets.append((host, port))
        return port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side sends; its end ends both."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()
