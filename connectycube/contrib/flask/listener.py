"""The listener: the chat of the application's user in this process, with its handlers, until a signal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from attrs import define
from flask import Flask

from connectycube import Chat, Config, ConnectyCube, Lease, Message

from ..common.listener import BaseListener
from .clients import Clients
from .handlers import Handler, connect, context_of

__all__ = ["Listener"]


@define(kw_only=True)
class Listener(BaseListener):
    """Listens until a signal, or until the chat has failed for good.

    Args:
        app: The application, in whose contexts handlers run.
        clients: What it has in this process; it sends with the listener's chat while that is there.
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

    @property
    def name(self) -> str:
        """The application's user."""
        return self.clients.settings.user

    @property
    def config(self) -> Config:
        """The configuration of the settings, with the number of workers."""
        config = self.clients.settings.config()
        return config if self.workers is None else config.replace(workers=self.workers)

    @property
    def credentials(self) -> Mapping[str, Any]:
        """The credentials of the settings."""
        return self.clients.settings.credentials()

    def lease(self) -> Lease | None:
        """Return the lease of the settings, whose default is a file in the run folder."""
        settings = self.clients.settings
        if settings.lease in (None, True):
            settings.folder().made()
        return settings.listener_lease()

    def connect(self, client: ConnectyCube, chat: Chat, ends: ExitStack) -> list[str]:
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
        self.clients.listen_with(client, chat)
        ends.callback(self.clients.listen_no_longer)
        return [handler.name for handler in self.handlers]
