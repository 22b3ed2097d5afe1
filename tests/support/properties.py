"""Property tests: which examples hypothesis chooses.

By default each test has its own fixed examples, so that a run repeats the one before it. With
``--hypothesis-seed=N`` the examples follow from that number, as many as the environment says in ``EXAMPLES``:
``make properties`` draws a fresh seed, and many examples.
A failure prints the blob for ``@reproduce_failure``; what was found becomes an ``@example`` of the test.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No test is a race against the clock: a slow machine is no failure.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("fixed", _UNTIMED, derandomize=True)
settings.register_profile(
    "seeded",
    _UNTIMED,
    derandomize=False,  # CI=true changes the default
    max_examples=int(os.environ.get("EXAMPLES") or _UNTIMED.max_examples),
)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the examples."""
    settings.load_profile("fixed" if _seed(config) is None else "seeded")


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed, so that the run can be repeated."""
    seed = _seed(config)
    return f"property tests: {'fixed examples' if seed is None else f'--hypothesis-seed={seed}'}"


def _seed(config: pytest.Config) -> str | None:
    return config.getoption("--hypothesis-seed", default=None)
