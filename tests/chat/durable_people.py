"""Users with a durable chat connection, and what a process that dies leaves of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from connectycube import ChatState, ConnectyCube
from connectycube.chat.durable import DurableStore
from connectycube.chat.records import Identity
from connectycube.emulator import Emulator
from tests.chat.people import FAST, PASSWORD, Events


class Bot:
    """A user of the emulator with a REST session and a durable chat connection, not logged in yet."""

    def __init__(self, emulator: Emulator, login: str, path: Path, **options: Any) -> None:
        options.setdefault("reconnect", FAST)
        self.path = path
        self.cube = ConnectyCube(config=emulator.config(durable=path, **options))
        self.id = self.cube.login(login=login, password=PASSWORD).id
        self.chat = self.cube.chat
        self.events = Events(*self.chat._signals())

    @property
    def bodies(self) -> list[str]:
        """The bodies of the messages received so far."""
        return [message.body for message in self.events.of("message_received")]

    def wait_for_state(self, state: ChatState) -> Any:
        """Wait until the state was entered; return the change."""
        return self.events.wait(
            lambda events: [e for e in events.of("state_changed") if e.state is state]
        )[-1]

    def left(self) -> DurableStore:
        """The bot's store, opened while the bot is logged out."""
        config = self.cube.config
        return DurableStore(str(self.path), Identity(config.app_id, self.id, config.chat_host))


def as_after_a_crash(path: Path, copy: Path) -> Path:
    """Copy a store that is in use: what its process would leave if it were killed now."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


def contents(store: DurableStore) -> tuple[list[str], list[str], list[str]]:
    """The bodies in the inbox and in the outbox, and the ids of what was sent."""
    inbox = [entry.message.body or "" for entry in store.inbox()]
    outbox = [entry.message.body or "" for entry in store.outbox()]
    return inbox, outbox, [entry[0] for entry in store.sent()]


def failing(store: DurableStore, name: str, error: Exception) -> None:
    """Make a method of a store raise."""

    def fail(*args: Any, **options: Any) -> Any:
        raise error

    setattr(store, name, fail)
