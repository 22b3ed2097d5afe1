"""The listener: the chat of the application's user in this process, with its handlers, until a signal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from attrs import define
from flask import Flask

from connectycube import Chat, ConnectyCube, Lease, LeaseLostError, Message

from ..common.health import HealthFile, HealthServer, health_of
from .clients import Clients
from .handlers import Handler, connect, context_of

__all__ = ["HeldElsewhereError", "Listener"]


class HeldElsewhereError(Exception):
    """Another process listens, and this one is not to wait."""


@define(kw_only=True)
class Listener:
    """Listens until a signal, or until the chat has failed for good.

    Args:
        app: The application, in whose contexts handlers run.
        clients: What it has in this process; it sends with the listener's chat meanwhile.
        handlers: What is called.
        workers: Threads that call handlers, instead of WORKERS; None: as the settings say.
        waits: Whether it waits while another process listens, and ends otherwise.
        health_file: A file that says whether it works; None: no file.
        health_address: Host and port of a page that says whether it works; None: no page.
        say: Called with a sentence for people.
    """

    app: Flask
    clients: Clients
    handlers: list[Handler]
    workers: int | None = None
    waits: bool = True
    health_file: str | None = None
    health_address: tuple[str, int] | None = None
    say: Callable[[str], object]

    def run(self, signals: Iterable[int] = ()) -> None:
        """Listen.

        Raises:
            LeaseStoreError: Another process listens, and ``waits`` is False (the cause is a
                HeldElsewhereError); or the file or database of the lease cannot be used.
            ConnectyCubeError: The user could not log in, or the chat failed for good.
            OSError: The run folder or the health file cannot be written.
        """
        chosen = tuple(signals)
        while True:
            try:
                self._listen(chosen)
                return
            except LeaseLostError as error:
                self.say(f"{error}; waiting for it")

    def _listen(self, signals: tuple[int, ...]) -> None:
        settings = self.clients.settings
        config = settings.config()
        if self.workers is not None:
            config = config.replace(workers=self.workers)
        with ConnectyCube(config=config) as client:
            client.login(**settings.credentials())
            chat = client.chat
            self._connect(chat)
            self.clients.listen_with(client, chat)
            lease = self._lease()
            companions = list(self._health(chat, lease))
            try:
                for companion in companions:
                    companion.start()  # before the login: one that stands by is healthy, too
                user = self._log_in(chat, lease)
                names = ", ".join(handler.name for handler in self.handlers) or "none"
                self.say(f"user {user.id} listens; handlers: {names}")
                chat.wait(signals=signals)
            finally:
                for companion in companions:
                    companion.close()
                self.clients.listen_no_longer()

    def _connect(self, chat: Chat) -> None:
        """Connect the bell first, so that pages do not wait for a handler, and then the handlers."""
        bell = self.clients.bell

        def ring(chat: Chat, message: Message) -> None:
            bell.ring(message.dialog_id or (message.dialog.id if message.dialog else None))

        def ring_sent(chat: Chat, sent: Any) -> None:
            bell.ring(sent.dialog.id)

        chat.message_received.connect(ring, key="connectycube.flask.bell")
        chat.own_message_received.connect(ring, key="connectycube.flask.bell")
        chat.message_sent.connect(ring_sent, key="connectycube.flask.bell")
        chat.around(context_of(self.app))
        for handler in self.handlers:
            connect(chat, handler)

    def _lease(self) -> _Announced | None:
        settings = self.clients.settings
        lease = settings.listener_lease()
        if lease is None:
            return None
        if settings.lease in (None, True):
            settings.folder().made()
        return _Announced(lease, self._held_elsewhere)

    def _log_in(self, chat: Chat, lease: _Announced | None) -> Any:
        if lease is None:
            return chat.login()
        return chat.login(exclusive=lease, timeout=math.inf)

    def _held_elsewhere(self, holder: str | None) -> None:
        text = f"{holder or 'another process'} listens"
        if not self.waits:
            raise HeldElsewhereError(text)
        self.say(f"{text}; waiting")

    def _health(self, chat: Chat, lease: _Announced | None) -> Iterator[HealthFile | HealthServer]:
        health = partial(health_of, self.clients.settings.user, chat, lease)
        if self.health_file is not None:
            yield HealthFile(self.health_file, health)
        if self.health_address is not None:
            yield HealthServer(self.health_address, health)


class _Announced:
    """A lease that tells, once, that another process has it."""

    def __init__(self, lease: Lease, on_held: Callable[[str | None], object]) -> None:
        self._lease = lease
        self._on_held: Callable[[str | None], object] | None = on_held
        self.is_awaited = False
        """Whether another holder had it when it was last asked for."""

    @property
    def name(self) -> str:
        return self._lease.name

    @property
    def seconds(self) -> float | None:
        return self._lease.seconds

    @property
    def held_by(self) -> str | None:
        return self._lease.held_by

    def acquire(self, holder: str) -> int | None:
        number = self._lease.acquire(holder)
        self.is_awaited = number is None
        if number is None and self._on_held is not None:
            tell, self._on_held = self._on_held, None
            tell(self._lease.held_by)
        return number

    def renew(self, holder: str) -> bool:
        return self._lease.renew(holder)

    def release(self, holder: str) -> None:
        self._lease.release(holder)
