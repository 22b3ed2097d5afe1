"""What the tests of the chat share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from connectycube.emulator import Emulator
from tests.chat.durable_people import Bot
from tests.chat.people import FAST, PASSWORD, Person
from tests.faults.proxy import FaultProxy


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests; each makes users of its own."""
    with Emulator() as running:
        yield running


@pytest.fixture
def alice(emulator: Emulator) -> Iterator[Person]:
    """A user with a chat connection, not logged in yet; logged out at the end."""
    person = Person(emulator)
    yield person
    person.chat.logout()


@pytest.fixture
def bob(emulator: Emulator) -> Iterator[Person]:
    """Another user."""
    person = Person(emulator)
    yield person
    person.chat.logout()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered here is left at the end of the test, the last first."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def proxy(emulator: Emulator, stack: ExitStack) -> FaultProxy:
    """A proxy in front of the emulator's chat."""
    return stack.enter_context(FaultProxy("localhost", emulator.chat_port))


@pytest.fixture
def person(emulator: Emulator, proxy: FaultProxy, stack: ExitStack) -> Callable[..., Person]:
    """Make a user whose chat connects through the proxy."""

    def make(**options: Any) -> Person:
        options.setdefault("reconnect", FAST)
        made = Person(emulator, chat_port=proxy.port, **options)
        stack.callback(made.chat.logout, timeout=0.0)
        return made

    return make


@pytest.fixture
def make(emulator: Emulator, tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Make connections of one user, each with the durable store at ``path``."""
    name = f"bot-{os.urandom(4).hex()}"
    emulator.add_user(name, PASSWORD)
    made: list[Bot] = []

    def new(path: Path = tmp_path / "bot.db", **options: Any) -> Bot:
        made.append(Bot(emulator, name, path, **options))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a test puts what a dead process left."""
    return tmp_path / "after-the-crash.db"
