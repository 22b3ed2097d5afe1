"""The fixtures, as pytest finds them. Importing this module imports neither the client nor the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from connectycube import Config
    from connectycube.emulator import Emulator, EmulatorClock, Faults

    from .people import People

__all__ = [
    "cube_clock",
    "cube_config",
    "cube_emulator",
    "cube_emulator_options",
    "cube_faults",
    "cube_user",
]

# Tests that cut a link do not want to wait for the first attempt to come back.
_RECONNECT_SECONDS = 0.05


@pytest.fixture(scope="session")
def cube_emulator_options() -> dict[str, Any]:
    """Keyword arguments of the Emulator; override this fixture in a conftest.py to change them."""
    return {}


@pytest.fixture(scope="session")
def _cube_server(cube_emulator_options: dict[str, Any]) -> Iterator[Emulator]:
    try:
        from connectycube.emulator import Emulator
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "trustme"):
            raise
        pytest.fail(f"{error.name} is missing: pip install 'connectycube[emulator]'", pytrace=False)
    with Emulator(**cube_emulator_options) as emulator:
        yield emulator


@pytest.fixture
def cube_emulator(_cube_server: Emulator) -> Iterator[Emulator]:
    """A running emulator without users: one for the whole run, on free ports, emptied after each test."""
    yield _cube_server
    _cube_server.start().reset()  # a test may have stopped it


@pytest.fixture
def cube_config(cube_emulator: Emulator) -> Config:
    """A Config that points to the emulator; a client that lost its link is back at once."""
    from connectycube import ReconnectPolicy

    return cube_emulator.config(reconnect=ReconnectPolicy(delay=_RECONNECT_SECONDS))


@pytest.fixture
def cube_user(cube_emulator: Emulator, cube_config: Config) -> Iterator[People]:
    """``cube_user("alice")`` makes a user with a client that is logged in: a CubeUser, closed at the end."""
    from .people import People

    people = People(cube_emulator, cube_config)
    yield people
    people.close()


@pytest.fixture
def cube_clock(cube_emulator: Emulator) -> EmulatorClock:
    """The emulator's clock: ``cube_clock.advance(7200)``; it shows real time again after each test."""
    return cube_emulator.clock


@pytest.fixture
def cube_faults(cube_emulator: Emulator) -> Faults:
    """What goes wrong: ``cube_faults.rate_limit(times=2)`` and others; over after each test."""
    return cube_emulator.faults
