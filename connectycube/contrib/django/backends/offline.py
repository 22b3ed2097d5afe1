"""What the backends without a network share: clients that refuse every request, and messages with ids."""

from __future__ import annotations

from typing import Any

from connectycube import Config, ConnectyCube, Message

from ...common.offline import refusing_client, stored_copy
from .base import BaseBackend, Outgoing

__all__ = ["OfflineBackend", "sent_copy"]


class OfflineBackend(BaseBackend):
    """A backend without a network."""

    needs_address = False

    def client(self, bot: str) -> ConnectyCube:
        """Return a client of the bot that refuses every request."""
        config = self.settings.bot(bot).config if self.settings.bots else self.settings.config
        return self._refusing(config)

    def client_for(self, user: Any) -> ConnectyCube:
        """Return a client that refuses every request."""
        return self._refusing(self.settings.config)

    def _refusing(self, config: Config) -> ConnectyCube:
        why = (
            f"CONNECTYCUBE['BACKEND'] is {self.settings.backend}; use send(), a ConnectyCube with a"
            " MockTransport, or ChatTransactionTestCase"
        )
        return refusing_client(config, why)


def sent_copy(outgoing: Outgoing) -> Message:
    """Return the message as it would be stored: with an id and the time."""
    return stored_copy(outgoing.message, outgoing.address)
