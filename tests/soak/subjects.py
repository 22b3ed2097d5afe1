"""Two clients under the same faults: ours, and slixmpp with its XEP-0198 plugin."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import itertools
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import slixmpp

from connectycube import (
    Chat,
    ChatError,
    Config,
    DialogRef,
    Limits,
    ReconnectPolicy,
    SendHandle,
)
from tests.interop.realtime.servers import APP, User
from tests.interop.slixmpp_peer import SlixmppPeer

DELAY = 2.0
"""Seconds that both wait before they connect again."""
INTERVAL, ANSWER = 30.0, 15.0
"""Seconds after which both ask a silent server for an answer, and that it has for it."""
RESOURCE = "subject"


class Subject(ABC):
    """A client with its own way to come back; ``arrived`` has what it was called with, and when."""

    version: str

    def __init__(self) -> None:
        self.arrived: list[tuple[str, float]] = []
        self._changed = threading.Condition()

    @abstractmethod
    def send(self, to: int, body: str) -> bool:
        """Send a message to a user; whether the client took it."""

    @abstractmethod
    def stop(self) -> None:
        """Log out."""

    def told(self) -> int:
        """How many messages the client has told its user of, as failed or of unknown fate."""
        return 0

    def note(self, body: str) -> None:
        """Keep what arrived."""
        with self._changed:
            self.arrived.append((body, time.monotonic()))
            self._changed.notify_all()

    def wait(self, bodies: set[str], timeout: float) -> bool:
        """Wait until all of these have arrived; whether they have."""
        with self._changed:
            return self._changed.wait_for(
                lambda: bodies <= {body for body, _ in self.arrived}, timeout
            )


class Ours(Subject):
    """connectycube."""

    version = f"connectycube {importlib.metadata.version('connectycube')}"

    def __init__(self, user: User, port: int, ca_file: str | Path, **options: Any) -> None:
        super().__init__()
        settings = {
            "reconnect": ReconnectPolicy(max_attempts=None, delay=DELAY, max_delay=DELAY),
            "limits": Limits(outbound_stanzas=5_000),
            **options,
        }
        self.chat = Chat(
            Config(
                app_id=APP,
                auth_key="unused",
                chat_host="localhost",
                chat_port=port,
                ca_file=ca_file,
                **settings,
            )
        )
        self.handles: list[SendHandle[Any]] = []
        self.chat.message_received.connect(lambda chat, message: self.note(message.body))
        self.chat.login(user.id, user.password, resource=RESOURCE)

    def send(self, to: int, body: str) -> bool:
        """Send; refused when the outbound buffer is full."""
        try:
            self.handles.append(self.chat.send_message(DialogRef.private(to), body))
        except ChatError:
            return False
        return True

    def told(self) -> int:
        """How many handles say so."""
        errors = [handle.exception(0) for handle in self.handles if handle.done()]
        return sum(error is not None for error in errors)

    def not_sent(self) -> set[str]:
        """The messages that are not known to have reached the server."""
        done = {handle for handle in self.handles if handle.done()}
        sent = {handle for handle in done if handle.exception(0) is None}
        return {handle.message.body for handle in self.handles if handle not in sent}

    def stop(self) -> None:
        """Log out."""
        self.chat.logout()


class _Peer(SlixmppPeer):
    """Connects again when it was disconnected, and pings, as slixmpp's documentation has it."""

    def __init__(self, subject: Slixmpp, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._subject = subject
        self._is_over = False

    def stop(self) -> None:
        self._is_over = True
        super().stop()

    def _make_client(self) -> None:
        super()._make_client()
        self._client.register_plugin("xep_0199")
        self._client.add_event_handler("message", self._on_message)

    def _on_ready(self, event: Any) -> None:
        super()._on_ready(event)
        keepalive = self._client.plugin["xep_0199"]
        keepalive.disable_keepalive()
        keepalive.enable_keepalive(INTERVAL, ANSWER)

    def _on_message(self, message: Any) -> None:
        if message["body"]:
            self._subject.note(message["body"])

    def _on_disconnected(self, event: Any) -> None:
        super()._on_disconnected(event)
        if not self._is_over:
            self._loop.call_later(DELAY, self._connect_again)

    def _connect_again(self) -> None:
        if not (self._is_over or self._client.is_connected()):
            self._client.connect(*self._address)


class Slixmpp(Subject):
    """slixmpp."""

    version = f"slixmpp {slixmpp.__version__}"

    def __init__(self, user: User, port: int, ca_file: str | Path) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        jid = f"{user.jid}/{RESOURCE}"
        self._peer = _Peer(self, jid, user.password, host="127.0.0.1", port=port, ca_file=ca_file)
        self._peer.start()

    def send(self, to: int, body: str) -> bool:
        """Send; refused when slixmpp raises."""
        try:
            self._peer.send_message(
                f"{to}-{APP}@localhost", body, message_id=f"{next(self._numbers):024x}"
            )
        except Exception:
            return False
        return True

    def stop(self) -> None:
        """Log out."""
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            self._peer.stop()
