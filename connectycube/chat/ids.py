"""Ids of messages in the form of the service: 24 hexadecimal digits, of which the first 8 are the time."""

from __future__ import annotations

import hashlib
import json
import os
import time

from .protocol.addresses import OBJECT_ID

__all__ = ["derived_id", "new_id"]


def new_id() -> str:
    """Return a new unique id: 24 hexadecimal digits."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"


def derived_id(store_id: str, inbound: tuple[str, int, str], recipient: str, count: int) -> str:
    """Return the id of the ``count``-th message to ``recipient`` in answer to an ``inbound`` message.

    ``inbound`` is the conversation, the sender and the id. If a receiver runs again after a crash, its
    replies get the same ids, so no user gets them twice. The id of the store is part of each id, so two bots
    in one group never use the same one. The time is that of the inbound id, if the service has made that.
    """
    whole = json.dumps([store_id, *inbound, recipient, count])
    digest = hashlib.sha256(whole.encode()).hexdigest()
    if OBJECT_ID.match(inbound[2]):
        return inbound[2][:8] + digest[:16]
    return digest[:24]
