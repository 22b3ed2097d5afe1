"""The fixtures, as pytest finds them. Importing this module imports neither the client nor the emulator.

A test that uses the emulator fails if a receiver or done-callback raised during it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from connectycube import Config
    from connectycube.emulator import Emulator, EmulatorClock, Faults

    from .callback_errors import CallbackErrors
    from .people import People

__all__ = [
    "cube_clock",
    "cube_config",
    "cube_emulator",
    "cube_emulator_options",
    "cube_faults",
    "cube_user",
]

_ALLOW_CALLBACK_ERRORS = "cube_allow_callback_errors"

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
        pytest.fail(str(error), pytrace=False)
    with Emulator(**cube_emulator_options) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def _cube_callback_errors() -> CallbackErrors:
    from .callback_errors import CallbackErrors

    return CallbackErrors()


@pytest.fixture
def cube_emulator(
    request: pytest.FixtureRequest, _cube_server: Emulator, _cube_callback_errors: CallbackErrors
) -> Iterator[Emulator]:
    """A running emulator without users: one for the whole run, on free ports, emptied after each test."""
    request.node.stash[_callback_errors] = _cube_callback_errors
    with _cube_callback_errors.watching():
        yield _cube_server
        _cube_callback_errors.log_out()
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


# --- errors of callbacks ---

_callback_errors: pytest.StashKey[CallbackErrors] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_ALLOW_CALLBACK_ERRORS}: the test passes although a receiver or done-callback of a"
        " ConnectyCube chat raised.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test if a callback raised in it; if the test has failed by itself, show that error too."""
    return (yield from _failing_for_callbacks(item, "call"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the teardown if a callback raised in it, such as one that ran when its client was closed."""
    errors = item.stash.get(_callback_errors, None)
    if errors is not None:
        errors.end_test()
    return (yield from _failing_for_callbacks(item, "teardown"))


def _failing_for_callbacks(item: pytest.Item, when: str) -> Generator[None, object, object]:
    try:
        result = yield
    except (
        Exception,
        pytest.fail.Exception,
    ):  # not pytest.skip: the teardown tells what was raised
        text = _callback_failures(item, when)
        if text:
            item.add_report_section(when, "callbacks", text)
        raise
    text = _callback_failures(item, when)
    if text:
        pytest.fail(text, pytrace=False)
    return result


def _callback_failures(item: pytest.Item, when: str) -> str:
    """Return the text of what callbacks raised since the last call; empty if nothing or if it is allowed."""
    errors = item.stash.get(_callback_errors, None)
    if errors is None:
        return ""
    if when == "call":
        errors.settle()
    failures = errors.take()
    if not failures or item.get_closest_marker(_ALLOW_CALLBACK_ERRORS):
        return ""
    from .callback_errors import describe

    return describe(item, failures)
