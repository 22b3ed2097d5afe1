"""Ids of messages, in the form that the service uses: 24 hexadecimal digits, time first."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time

__all__ = ["derived_id", "new_id"]

_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")


def new_id() -> str:
    """Return a new unique id: 24 hexadecimal digits."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"


def derived_id(store_id: str, inbound: tuple[str, int, str], recipient: str, count: int) -> str:
    """Return the id of the ``count``-th message to ``recipient`` that answers a message.

    It is the same whenever the receivers of the ``inbound`` message (conversation, sender, id) are run,
    and another one for every durable store, so that two bots in one group have different ids. Its time is
    that of the inbound id, where that has one.
    """
    whole = json.dumps([store_id, *inbound, recipient, count])
    digest = hashlib.sha256(whole.encode()).hexdigest()
    if _OBJECT_ID.match(inbound[2]):
        return inbound[2][:8] + digest[:16]
    return digest[:24]
