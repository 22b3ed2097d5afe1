"""Real programs and texts that tests use: present, or skipped here and failed in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def missing(what: str, remedy: str) -> NoReturn:
    """Skip the calling test or fixture, saying how to get ``what``; with CI=true fail instead."""
    if IN_CI:
        pytest.fail(f"{what} is missing, and CI=true forbids to skip: {remedy}", pytrace=False)
    pytest.skip(f"{what} is missing: {remedy}")
