"""The listener of ``connectycube relay``: one bot's chat in this process, attached to a relay."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from attrs import define

from connectycube import Chat, Config, ConnectyCube, ConnectyCubeError, Lease

from ..common.listener import BaseListener
from .away import away_seconds
from .errors import EngineUnavailableError
from .relay import Relay

__all__ = ["RelayListener"]


@define(kw_only=True)
class RelayListener(BaseListener):
    """Hands the events of a bot over until a signal, or until the chat has failed for good.

    While the engine is away at the beginning, it waits for it, as a worker does.

    Args:
        relay: The relay.
        client_config: The configuration of the bot's client.
        login: The arguments of ``client.login()``.
        signals: The names of the signals whose events are handed over.
        lease_of_bot: The lease without which it does not log in to the chat, or None.
        waits: Whether it waits while another process has the lease, and ends otherwise.
        health_file: A file that says whether it works; None: no file.
        health_address: Host and port of a page that says whether it works; None: no page.
        say: Called with a sentence for people.

    Example:
        >>> from connectycube.contrib.relay import Relay, RelayListener
        >>> listener = RelayListener(
        ...     relay=Relay("redis://localhost/0"),
        ...     client_config=cube.config,
        ...     login={"login": "bot", "password": "a password"},
        ...     say=print,
        ... )
        >>> listener.name
        'bot'
    """

    relay: Relay
    client_config: Config
    login: Mapping[str, Any]
    signals: tuple[str, ...] = ("message_received",)
    lease_of_bot: Lease | None = None

    @property
    def name(self) -> str:
        """The login of the bot, or its address."""
        return str(self.login.get("login") or self.login.get("email"))

    @property
    def config(self) -> Config:
        """The configuration of the bot's client."""
        return self.client_config

    @property
    def credentials(self) -> Mapping[str, Any]:
        """The arguments of ``client.login()``."""
        return self.login

    def lease(self) -> Lease | None:
        """Return the lease of the bot.

        Returns:
            The lease; None: the listener logs in without one.
        """
        return self.lease_of_bot

    def connect(self, client: ConnectyCube, chat: Chat, ends: ExitStack) -> list[str]:
        """Attach the relay to the chat of the bot; ``run()`` calls it.

        Args:
            client: The client of the bot.
            chat: Its chat, which is not logged in yet.
            ends: Gets the steps to be made after the logout.

        Returns:
            The names of the handlers, for people.
        """
        self.relay.attach(chat, self.signals)
        return [f"the relay of {', '.join(self.signals)}"]

    def _listen(self, signals: tuple[int, ...]) -> None:
        while not self._is_ended:
            try:
                self.relay.blocked()  # asks the engine, before a REST session is made for nothing
                super()._listen(signals)
                return
            except ConnectyCubeError as error:
                # The login loads the position from the engine; its error has that of the engine as cause.
                causes = (error, error.__cause__)
                if not any(isinstance(each, EngineUnavailableError) for each in causes):
                    raise
                self.say(f"{error}; trying again")
            self._stop.wait(away_seconds())
