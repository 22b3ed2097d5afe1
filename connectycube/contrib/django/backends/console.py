"""The backend ``console``: prints what would be sent, for development without an account."""

from __future__ import annotations

import sys
import threading

from connectycube import Message

from .base import Outgoing
from .offline import OfflineBackend, sent_copy

__all__ = ["Backend"]

_lock = threading.Lock()


class Backend(OfflineBackend):
    """Prints each message to standard output."""

    def send(self, outgoing: Outgoing) -> Message:
        """Print the message."""
        sender = f"user {outgoing.as_user}" if outgoing.as_user is not None else outgoing.bot
        text = f"chat message from {sender} to {outgoing.to}: {outgoing.message.body or ''}"
        if outgoing.message.custom:
            text += f"  {dict(outgoing.message.custom)}"
        with _lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        return sent_copy(outgoing)
