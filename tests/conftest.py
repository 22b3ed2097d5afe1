"""What every test is under, and what any test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from connectycube.emulator import Emulator

# No test is a race against the clock: a slow machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

pytest_plugins = [
    "pytester",
    "tests.support.hanging",
    "tests.support.leaks",
    "tests.support.network",
    "tests.support.referees",
    "tests.support.certificates",
    "tests.interop.fixtures",
]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A running emulator for this test alone, without users."""
    with Emulator() as running:
        yield running
