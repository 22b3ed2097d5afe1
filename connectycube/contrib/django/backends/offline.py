"""What the backends without a network share: clients that refuse every request, and messages with ids."""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import Any, NoReturn

from attrs import evolve

from connectycube import Config, ConnectyCube, Message, Request

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
        # With a session: otherwise the error would be that there is none.
        client = ConnectyCube(config=config, transport=_Refusing(self.settings.backend))
        return client.with_token("no token", user_id=1)


class _Refusing:
    """A transport that sends nothing."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def send(self, request: Request) -> NoReturn:
        """Say what was asked, and what to do in a test."""
        raise AssertionError(
            f"{request.method} {request.url} was not sent: CONNECTYCUBE['BACKEND'] is {self._backend};"
            " use send(), a ConnectyCube with a MockTransport, or ChatTransactionTestCase"
        )


def sent_copy(outgoing: Outgoing) -> Message:
    """Return the message as it would be stored: with an id and the time."""
    return evolve(
        outgoing.message,
        id=secrets.token_hex(12),
        date_sent=datetime.now(timezone.utc).replace(microsecond=0),
        recipient_id=outgoing.address if isinstance(outgoing.address, int) else None,
        dialog_id=outgoing.address if isinstance(outgoing.address, str) else None,
    )
