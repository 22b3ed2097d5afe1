"""What every test is under, and what any test may ask for."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.hanging",
    "tests.support.leaks",
    "tests.support.network",
    "tests.support.referees",
    "tests.support.certificates",
]
