"""The listener: one bot's chat in this process, with its handlers, its lease and its chores."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from attrs import define, field

from connectycube import Chat, Config, ConnectyCube, Lease, User

from ..common.listener import BaseListener
from .backends import live
from .chores import Chores
from .conf import Bot
from .databases import KeptConnections
from .handlers import connect
from .leases import DatabaseLease

__all__ = ["Listener"]


@define(kw_only=True)
class Listener(BaseListener):
    """Listens for one bot until a signal, or until another thread calls ``end()``.

    Args:
        bot: The bot.
        backend: The backend of this process, which then sends over the bot's chat.
        lease_seconds: The seconds of the lease; None: no lease.
        waits: Whether it waits while another process has the lease, and ends otherwise.
        health_file: A file that says whether it works; None: no file.
        health_address: Host and port of a page that says whether it works; None: no page.
        say: Called with a sentence for people.
    """

    bot: Bot
    backend: live.Backend
    lease_seconds: float | None = None
    _kept: KeptConnections = field(factory=KeptConnections, init=False)
    _chores: Chores | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The bot's name."""
        return self.bot.name

    @property
    def config(self) -> Config:
        """The bot's configuration."""
        return self.bot.config

    @property
    def credentials(self) -> Mapping[str, Any]:
        """The bot's credentials."""
        return self.bot.credentials

    @property
    def for_whom(self) -> str:
        """The bot: one process may listen for each."""
        return f" for the bot {self.bot.name!r}"

    def subject(self, user: User) -> str:
        """Return the bot's name, and its user."""
        return f"the bot {self.bot.name!r} (user {user.id})"

    def lease(self) -> Lease | None:
        """Return a lease in the database, if one was asked for."""
        if self.lease_seconds is None:
            return None
        return DatabaseLease(f"bot:{self.bot.name}", self.lease_seconds)

    def connect(self, client: ConnectyCube, chat: Chat, ends: ExitStack) -> list[str]:
        """Connect the bot's handlers, and let this process send over its chat."""
        handlers = connect(chat, self.bot.name, self.bot.config.handling, self._kept)
        self._chores = chores = Chores(self.bot, client, handlers)
        chat.receiver_gave_up.connect(chores.keep, key="connectycube.django.dead_letters")
        self.backend.listen_with(self.bot.name, client, chat)
        ends.callback(self.backend.listen_no_longer, self.bot.name)
        return [handler.name for handler in handlers]

    def begin_chores(self, ends: ExitStack) -> None:
        """Begin to send the rows of the database."""
        assert self._chores is not None
        ends.callback(self._chores.close)
        self._chores.start()

    def _listen(self, signals: tuple[int, ...]) -> None:
        self._kept = KeptConnections()
        try:
            super()._listen(signals)
        finally:
            self._kept.close()  # the client has ended, so no worker begins a receiver of it
