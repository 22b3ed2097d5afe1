"""The listener: one bot's chat in this process, with its handlers, its lease and its chores."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from attrs import define, field

from connectycube import Chat, ConnectyCube, LeaseLostError, NotConnectedError, User

from ..common.health import HealthFile, HealthServer, health_of
from .backends import live
from .chores import Chores
from .conf import Bot
from .databases import KeptConnections
from .handlers import Handler, connect
from .leases import DatabaseLease, HeldElsewhereError

__all__ = ["Listener"]


@define(kw_only=True)
class Listener:
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
    waits: bool = True
    health_file: str | None = None
    health_address: tuple[str, int] | None = None
    say: Callable[[str], object]
    ready: threading.Event = field(factory=threading.Event)
    """Is set while the bot is logged in."""
    _stop: threading.Event = field(factory=threading.Event)
    _returned: threading.Event = field(factory=threading.Event)
    _is_ended: bool = False
    _chat: Chat | None = None

    def end(self) -> None:
        """Let ``run()`` log out and return; from any thread, before it or meanwhile."""
        self._is_ended = True
        self._stop.set()
        chat = self._chat
        if chat is not None and not self.ready.is_set():
            chat.logout()

    def close(self) -> None:
        """End it, and wait until ``run()`` has returned on its thread, for a moment."""
        self.end()
        self._returned.wait(self.bot.config.timeouts.logout)

    def run(self, signals: Iterable[int] = ()) -> None:
        """Listen until one of the signals arrives, ``end()`` is called, or the chat has failed for good.

        Raises:
            LeaseStoreError: Another process listens for this bot, and ``waits`` is False (the cause is a
                HeldElsewhereError); or the database of the lease cannot be used.
            ConnectyCubeError: The bot could not log in, or its chat failed for good.
        """
        try:
            while not self._is_ended:
                try:
                    self._listen(tuple(signals))
                    return
                except LeaseLostError as error:
                    self.say(f"{error}; waiting for it")
        except NotConnectedError:
            if not self._is_ended:  # end() logs out while the login stands by
                raise
        finally:
            self._returned.set()

    def _listen(self, signals: tuple[int, ...]) -> None:
        kept = KeptConnections()
        try:
            self._listen_with(kept, signals)
        finally:
            kept.close()  # the worker threads have ended with the client

    def _listen_with(self, kept: KeptConnections, signals: tuple[int, ...]) -> None:
        with ConnectyCube(config=self.bot.config) as client:
            client.login(**self.bot.credentials)
            chat = self._chat = client.chat
            handlers = connect(chat, self.bot.name, self.bot.config.handling, kept)
            chores = Chores(self.bot, client, handlers)
            chat.receiver_gave_up.connect(chores.keep, key="connectycube.django.dead_letters")
            self.backend.listen_with(self.bot.name, client, chat)
            lease = self._lease()
            health = list(self._health(chat, lease))
            try:
                for each in health:  # also while it stands by for the lease
                    each.start()
                user = self._log_in(chat, lease)
                chores.start()
                self._say_ready(handlers, user.id)
                self.ready.set()
                chat.wait(signals=signals, stop=self._stop)
            finally:
                self._chat = None
                self.ready.clear()
                for companion in (chores, *health):
                    companion.close()
                self.backend.listen_no_longer(self.bot.name)

    def _lease(self) -> DatabaseLease | None:
        if self.lease_seconds is None:
            return None
        return DatabaseLease(f"bot:{self.bot.name}", self.lease_seconds, self._held_elsewhere)

    def _log_in(self, chat: Chat, lease: DatabaseLease | None) -> User:
        if lease is None:
            return chat.login()
        return chat.login(exclusive=lease, timeout=math.inf)

    def _held_elsewhere(self, holder: str) -> None:
        text = f"{holder} listens for the bot {self.bot.name!r}"
        if not self.waits:
            raise HeldElsewhereError(text)
        self.say(f"{text}; waiting")

    def _health(
        self, chat: Chat, lease: DatabaseLease | None
    ) -> Iterator[HealthFile | HealthServer]:
        health = partial(health_of, self.bot.name, chat, lease)
        if self.health_file is not None:
            yield HealthFile(self.health_file, health)
        if self.health_address is not None:
            yield HealthServer(self.health_address, health)

    def _say_ready(self, handlers: list[Handler], user_id: int | None) -> None:
        names = ", ".join(handler.name for handler in handlers) or "none"
        self.say(f"the bot {self.bot.name!r} (user {user_id}) listens; handlers: {names}")
