"""CPU of the whole process for 20,000 messages over TLS to a server that only counts.

Ours sends from four threads and waits for every handle; slixmpp has one event loop, as it must.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connectycube import Attachment, Chat, DialogRef, Message, SendHandle
from tests.bench import chat_material as material
from tests.bench.chat_ours import attachment
from tests.bench.chat_peers import make_message
from tests.bench.counting_server import APP, Server, counting_server
from tests.bench.measuring import in_fresh_process, quartiles
from tests.bench.registry import Row, topic
from tests.bench.slixmpp_process import running

_MESSAGES, _THREADS, _ROUNDS = 20_000, 4, 5


@topic("chat-sending")
def chat_sending() -> Sequence[Row]:
    """Compare with slixmpp's own send queue."""
    with counting_server() as server:
        ratios = [
            in_fresh_process(_our_sends, server) / in_fresh_process(_their_sends, server)
            for _ in range(_ROUNDS)
        ]
    return [Row.of(f"CPU of {_MESSAGES:,} sends over TLS", "slixmpp", quartiles(ratios), 0.25)]


def _our_sends(server: Server) -> float:
    chat = Chat(server.config())
    chat.login(material.ME, "secret")
    dialog, file = DialogRef.private(material.PEER, material.DIALOG), attachment()
    with ThreadPoolExecutor(_THREADS) as pool:
        before = time.process_time()
        shares = [_MESSAGES // _THREADS] * _THREADS
        list(pool.map(lambda count: _send(chat, dialog, file, count), shares))
        spent = time.process_time() - before
    chat.logout()
    return spent


def _send(chat: Chat, dialog: DialogRef, file: Attachment, count: int) -> None:
    handles: list[SendHandle[Any]] = []
    for _ in range(count):
        custom = {"topic": material.TOPIC}
        message = Message(body=material.TEXT, custom=custom, attachments=(file,))
        handles.append(chat.send_message(dialog, message, timeout=60))
    for handle in handles:
        handle.result(60)


def _their_sends(server: Server) -> float:
    return running(server.port, server.ca_file, f"1002-{APP}@localhost", _send_all)


async def _send_all(client: Any, read: list[Any]) -> float:
    before = time.process_time()
    for _ in range(_MESSAGES):
        make_message(client).send()
    await client.waiting_queue.join()
    return time.process_time() - before
