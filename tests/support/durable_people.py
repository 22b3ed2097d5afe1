"""Users with a durable chat connection, and what a process that dies leaves of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from connectycube.chat.durable.records import Identity
from connectycube.chat.durable.store import DurableStore
from tests.support.inside import signals_of
from tests.support.people import Events, Person


class Bot(Person):
    """A user of the emulator with a REST session and a durable chat, which is not logged in yet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert self.config.durable is not None
        self.path = Path(self.config.durable)

    def with_new_receivers(self) -> Bot:
        """Record events with receivers of other names: those of a dead process may have returned."""
        self.events = Events(*signals_of(self.chat))
        return self

    def left(self) -> DurableStore:
        """The bot's store, opened while the bot is logged out."""
        identity = Identity(self.config.app_id, self.id, self.config.chat_host)
        return DurableStore(str(self.path), identity)


def as_after_a_crash(path: Path, copy: Path) -> Path:
    """Copy a store that is in use: what its process would leave if it were killed now."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


def contents(store: DurableStore) -> tuple[list[str], list[str], list[str]]:
    """The bodies in the inbox and in the outbox, and the ids of what was sent."""
    inbox = [entry.event.body or "" for entry in store.inbox()]
    outbox = [entry.message.body or "" for entry in store.outbox()]
    return inbox, outbox, [entry[0] for entry in store.sent()]


def failing(store: DurableStore, name: str, error: Exception) -> None:
    """Make a method of a store raise."""

    def fail(*args: Any, **options: Any) -> Any:
        raise error

    setattr(store, name, fail)
