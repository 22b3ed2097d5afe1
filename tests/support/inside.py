"""The only way of the tests into what the package keeps to itself: what no public name shows.

A test of one class may reach into an object that it made; everything else goes through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from connectycube import Chat, ConnectyCube, Signal, _forks
from connectycube.chat.driver import Driver
from connectycube.chat.durable.store import DurableStore
from connectycube.chat.lease.hold import Hold
from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.session import Session
from connectycube.emulator import Emulator
from connectycube.emulator.remote.feed import Feed
from connectycube.rest._api import Api


def driver_of(chat: Chat) -> Driver:
    """Return the driver of a chat: its threads, links and timers."""
    return chat._driver


def signals_of(chat: Chat) -> tuple[Signal, ...]:
    """Return all signals of a chat."""
    return tuple(chat._all_signals())


def session_of(core: Core) -> Session:
    """Return the session that a core has with its server."""
    return core.session


def store_of(chat: Chat) -> DurableStore:
    """Return the store of a durable chat that is logged in."""
    store = chat._driver._durability._store
    assert store is not None
    return store


def api_of(cube: ConnectyCube) -> Api:
    """Return what sends a client's REST calls."""
    return cube._api


def feed_of(emulator: Emulator) -> Feed:
    """The feed of a running emulator."""
    feed: Feed = on_emulator(emulator, lambda service: service.feed)
    return feed


def on_emulator(emulator: Emulator, work: Callable[[Any], Any]) -> Any:
    """Call ``work(service)`` on the emulator's own thread; return what it returns."""
    return emulator._call(work)


@contextmanager
def without_fork_hook() -> Iterator[None]:
    """Fork inside this ``with`` statement, and the package's fork hooks do nothing."""
    with (
        mock.patch.object(_forks, "_tell_parents", lambda: None),
        mock.patch.object(_forks, "_replace_inherited", lambda: None),
    ):
        yield


def hold_of(chat: Chat) -> Hold:
    """Return how long a chat may act as the holder of its lease; ``now`` is its clock."""
    hold = chat._driver.exclusive.hold
    assert hold is not None
    return hold


def stands_by(chat: Chat) -> bool:
    """Whether a call of login waits for the lease."""
    return any(keeper._wakers for keeper in chat._driver.exclusive._keepers)
