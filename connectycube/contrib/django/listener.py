"""The listener: one bot's chat in this process, with its handlers, its lease and its chores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field
from django.db import DatabaseError, InterfaceError, close_old_connections

from connectycube import Chat, ConnectyCube

from .backends import live
from .chores import Chores
from .conf import Bot
from .handlers import Handler, connect
from .health import HealthFile, HealthServer
from .leases import DatabaseLease, LeaseKeeper, new_holder, one_line

__all__ = ["LeaseHeldError", "Listener"]

_ASK_AGAIN = 5.0  # seconds at most before a listener that waits asks for the lease again


class LeaseHeldError(Exception):
    """Another process listens for this bot."""


@define(kw_only=True)
class Listener:
    """Listens for one bot until a signal, or until another thread calls ``end()``.

    Args:
        bot: The bot.
        backend: The backend of this process, which then sends over the bot's chat.
        lease_seconds: The seconds of the lease; None: no lease.
        waits: Whether it waits while another process has the lease, and raises LeaseHeldError otherwise.
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

    def end(self) -> None:
        """Let ``run()`` log out and return; from any thread, before it or meanwhile."""
        self._is_ended = True
        self._stop.set()

    def close(self) -> None:
        """End it, and wait until ``run()`` has returned on its thread, for a moment."""
        self.end()
        self._returned.wait(self.bot.config.timeouts.logout)

    def run(self, signals: Iterable[int] = ()) -> None:
        """Listen until one of the signals arrives, ``end()`` is called, or the chat has failed for good.

        Raises:
            LeaseHeldError: Another process listens for this bot, and ``waits`` is False.
            ConnectyCubeError: The bot could not log in, or its chat failed for good.
        """
        try:
            if self.lease_seconds is None:
                self._listen(tuple(signals))
            else:
                self._listen_with_lease(tuple(signals), self.lease_seconds)
        finally:
            self._returned.set()

    def _listen_with_lease(self, signals: tuple[int, ...], seconds: float) -> None:
        lease, holder = DatabaseLease(f"bot:{self.bot.name}", seconds), new_holder()
        was_held = False
        while self._acquire(lease, holder, is_patient=was_held):
            was_held = True
            keeper = LeaseKeeper(lease, holder, self._stop)
            keeper.start()
            try:
                self._listen(signals)
            finally:
                keeper.close()
            if not keeper.is_lost:
                return
            self.say(f"the lease of the bot {self.bot.name!r} was lost")
            self._stop.clear()

    def _acquire(self, lease: DatabaseLease, holder: str, *, is_patient: bool) -> bool:
        """Wait for the lease; False if ``end()`` was called first.

        ``is_patient``: wait for the database as well, which has answered before.
        """
        has_told = False
        while not self._is_ended:
            try:
                close_old_connections()
                if lease.acquire(holder) is not None:
                    return True
                reason = f"{lease.held_by} listens for the bot {self.bot.name!r}"
            except (DatabaseError, InterfaceError) as error:
                if not is_patient:
                    raise
                reason = f"the database does not answer: {one_line(error)}"
            else:
                if not self.waits:
                    raise LeaseHeldError(reason)
            if not has_told:
                self.say(f"{reason}; waiting")
                has_told = True
            self._stop.wait(min(_ASK_AGAIN, lease.seconds / 3))
        return False

    def _listen(self, signals: tuple[int, ...]) -> None:
        with ConnectyCube(config=self.bot.config) as client:
            client.login(**self.bot.credentials)
            chat = client.chat
            handlers = connect(chat, self.bot.name, self.bot.config.handling)
            chores = Chores(self.bot, client, handlers)
            chat.receiver_gave_up.connect(chores.keep, key="connectycube.django.dead_letters")
            self.backend.listen_with(self.bot.name, client, chat)
            companions: list[Any] = [chores, *self._health(chat)]
            try:
                user = chat.login()
                for companion in companions:
                    companion.start()
                self._say_ready(handlers, user.id)
                self.ready.set()
                chat.wait(signals=signals, stop=self._stop)
            finally:
                self.ready.clear()
                for companion in companions:
                    companion.close()
                self.backend.listen_no_longer(self.bot.name)

    def _health(self, chat: Chat) -> Iterator[HealthFile | HealthServer]:
        if self.health_file is not None:
            yield HealthFile(self.health_file, lambda: chat.is_ready)
        if self.health_address is not None:
            yield HealthServer(self.health_address, lambda: _state_of(chat))

    def _say_ready(self, handlers: list[Handler], user_id: int | None) -> None:
        names = ", ".join(handler.name for handler in handlers) or "none"
        self.say(f"the bot {self.bot.name!r} (user {user_id}) listens; handlers: {names}")


def _state_of(chat: Chat) -> dict[str, Any]:
    """Return what the health page shows."""
    return {"ready": chat.is_ready, "state": chat.state.name}
