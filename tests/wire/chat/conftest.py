"""What the tests of the chat share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectycube.emulator import Emulator
from tests.support.durable_people import Bot
from tests.support.people import PASSWORD


@pytest.fixture
def make(emulator: Emulator, tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Make connections of one user, each with the durable store at ``path``."""
    name = f"bot-{os.urandom(4).hex()}"
    emulator.add_user(name, PASSWORD)
    made: list[Bot] = []

    def new(path: Path = tmp_path / "bot.db", **options: Any) -> Bot:
        made.append(Bot.with_session(emulator, name, durable=path, **options))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a test puts what a dead process left."""
    return tmp_path / "after-the-crash.db"
