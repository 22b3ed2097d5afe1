"""CPU of the whole process for a burst over TLS from prosody, to a receiver that reads all fields.

The sender is a socket of the measuring process, whose CPU does not count. Both sides log in, and each round
is a process of its own; the dispatcher has its own threads, as in production.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectycube import Chat, Config
from tests.bench import chat_material as material
from tests.bench.by_hand import ByHand
from tests.bench.chat_ours import read_fields
from tests.bench.measuring import in_fresh_process, quartiles
from tests.bench.registry import Row, topic
from tests.bench.slixmpp_process import running
from tests.interop.prosody import Prosody
from tests.support.certificates import make_certificates

_MESSAGES, _ROUNDS = 50_000, 3
_SECONDS = 120
_READY = "ready"
_HOST = "localhost"


@topic("chat-burst")
def chat_burst() -> Sequence[Row]:
    """Compare with slixmpp."""
    with _prosody() as server:
        where = (server.port, str(server.ca_file))
        ratios = [
            _measured(_our_burst, where, server) / _measured(_their_burst, where, server)
            for _ in range(_ROUNDS)
        ]
    return [Row.of(f"TLS burst of {_MESSAGES:,}", "slixmpp", quartiles(ratios), 0.5)]


@contextmanager
def _prosody() -> Iterator[Prosody]:
    folder = Path(tempfile.mkdtemp(prefix="bench-prosody-"))
    try:
        server = Prosody(folder, make_certificates(folder))
        server.log_level = "info"
        with server:
            for user in (material.ME, material.PEER):
                server.add_user(f"{user}-{material.APP}", "secret")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(side: Callable[..., float], where: tuple[int, str], server: Prosody) -> float:
    """Let one side take the burst, which begins when it is online."""
    with ThreadPoolExecutor(1) as pool:
        online = Path(tempfile.mkdtemp(prefix="bench-")) / "online"
        try:
            spent = pool.submit(in_fresh_process, side, *where, str(online), _MESSAGES)
            while not online.exists() and not spent.done():
                time.sleep(0.05)
            if not spent.done():
                _send_burst(*where)
            return spent.result()
        finally:
            shutil.rmtree(online.parent)


def _send_burst(port: int, ca_file: str) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    peer = ByHand(context, port, f"{material.PEER}-{material.APP}", "secret")
    for first in range(0, _MESSAGES, material.BURST):
        burst = [
            material.message(number, host=_HOST, resource="bench")
            for number in range(first, first + material.BURST)
        ]
        peer.sock.sendall(b"".join(burst))
    peer.ask("<r xmlns='urn:xmpp:sm:3'/>", b"<a [^>]*h=['\"]%d['\"]" % (_MESSAGES + 1))
    peer.close()


def _our_burst(port: int, ca_file: str, online: str, count: int) -> float:
    config = Config(
        app_id=material.APP,
        auth_key="unused",
        chat_host=_HOST,
        chat_port=port,
        ca_file=ca_file,
        auto_delivered=False,
    )
    chat, read, all_read = Chat(config), [], threading.Event()

    @chat.message_received.connect
    def take(chat: Chat, message: Any) -> None:
        read.append(read_fields(message))
        if len(read) == count:
            all_read.set()

    chat.login(material.ME, "secret")
    before = time.process_time()
    Path(online).touch()
    assert all_read.wait(_SECONDS), len(read)
    spent = time.process_time() - before
    chat.logout()
    return spent


def _their_burst(port: int, ca_file: str, online: str, count: int) -> float:
    async def take(client: Any, read: list[Any]) -> float:
        before, began = time.process_time(), time.monotonic()
        Path(online).touch()
        while len(read) < count:
            assert time.monotonic() < began + _SECONDS, len(read)
            await asyncio.sleep(0.05)
        return time.process_time() - before

    return running(port, ca_file, material.jid(material.ME, _HOST), take)
