from __future__ import annotations

import pytest

from tests.wire.emulator.api.people import People, make_group


@pytest.fixture
def people(emulator, rest):
    return People(emulator, rest)


@pytest.fixture
def group(people):
    """A group of alice (owner), bob (admin), carol and dave."""
    return make_group(people)["_id"]
