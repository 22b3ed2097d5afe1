"""The workers of ``relay_kills``: each answers a question, and writes a line for it into a file.

``connectycube worker tests.soak.relay_worker:worker``, with RELAY_URL, RELAY_LOG and RELAY_ANSWERS set.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from connectycube import ConnectyCube, Message
from connectycube.contrib.relay import Context, Worker

LEASE = 2.0
ANSWERS = os.environ.get("RELAY_ANSWERS", "outbox")

worker = Worker(os.environ.get("RELAY_URL", "redis://127.0.0.1:1/0"), lease=LEASE)
_lock = threading.Lock()
_opened: dict[str, Any] = {}


def _log() -> int:
    if "log" not in _opened:
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        _opened["log"] = os.open(os.environ["RELAY_LOG"], flags, 0o600)
    return int(_opened["log"])


def _client() -> ConnectyCube:
    if "client" not in _opened:
        client = ConnectyCube.from_env()
        client.login(
            login=os.environ["CONNECTYCUBE_LOGIN"], password=os.environ["CONNECTYCUBE_PASSWORD"]
        )
        _opened["client"] = client
    return _opened["client"]  # type: ignore[no-any-return]


@worker.on("message_received")
def answer(message: Message, context: Context) -> None:
    """Answer a question, and note that it was handled."""
    text = f"answer to {message.body}"
    line = f"{message.sender_id} {message.body} {os.getpid()} {int(context.repeated)}\n"
    os.write(_log(), line.encode())
    if ANSWERS == "rest":
        context.reply_over_rest(_client(), text)
    else:
        context.reply(text)
