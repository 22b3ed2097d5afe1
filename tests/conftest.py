"""What every test is under, and the fixtures that any test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.emulator import Emulator
from tests.support.ports import emulator_ports

pytest_plugins = [
    "pytester",
    "tests.support.canaries",
    "tests.support.certificates",
    "tests.support.client_certificates",
    "tests.support.hanging",
    "tests.support.interrupts",
    "tests.support.leaks",
    "tests.support.lock_order",
    "tests.support.network",
    "tests.support.people",
    "tests.support.properties",
    "tests.support.referees",
    "tests.support.site",
    "tests.support.tiers",
    "tests.interop.fixtures",
]


@pytest.fixture(scope="session")
def _session_emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(_session_emulator: Emulator) -> Iterator[Emulator]:
    """A running emulator without users: one for the whole session, emptied after each test."""
    yield _session_emulator
    _session_emulator.start().reset()  # a test may have stopped it


@pytest.fixture
def own_emulator() -> Iterator[Emulator]:
    """A running emulator for this test alone: to stop, start and cut off."""
    with Emulator(**emulator_ports()) as running:
        yield running
