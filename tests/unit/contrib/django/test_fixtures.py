"""The fixtures for pytest, in a run of their own."""

from __future__ import annotations

import pytest

from connectycube.contrib.django import fixtures, handlers
from connectycube.contrib.django.backends import get_backend
from tests.support.django_setup import BOTS, LOCMEM

cube_outbox, cube_deliver = fixtures.cube_outbox, fixtures.cube_deliver


@pytest.fixture(autouse=True)
def _live_setting(setting):
    handlers.discover("chat_handlers")
    setting({"APP_ID": 1, "AUTH_KEY": "k", "BOTS": BOTS})


def test_the_fixtures_choose_the_backend_of_tests(database, cube_deliver, cube_outbox):
    (answer,) = cube_deliver("apples")
    assert answer.body == "kept apples"
    assert cube_outbox == [answer]
    assert get_backend().settings.backend == LOCMEM


def test_the_outbox_is_empty_in_the_next_test(cube_outbox):
    assert cube_outbox == []
