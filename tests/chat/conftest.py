"""What the tests of the chat share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.emulator import Emulator
from tests.chat.people import Person


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
