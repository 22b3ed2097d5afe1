"""Fixtures for pytest: ``pytest_plugins = ["connectycube.contrib.django.fixtures"]`` in a conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .backends.locmem import Outbox

__all__ = ["cube_deliver", "cube_outbox"]


@pytest.fixture
def cube_outbox() -> Iterator[Outbox]:
    """What the test sends: a list of ``OutboxMessage``, empty at the beginning; nothing is connected."""
    from django.conf import settings
    from django.test import override_settings

    from .backends.locmem import outbox
    from .conf import LOCMEM

    given = getattr(settings, "CONNECTYCUBE", {})
    with override_settings(CONNECTYCUBE={**given, "BACKEND": LOCMEM}):
        box = outbox()
        box.clear()
        yield box
        box.clear()


@pytest.fixture
def cube_deliver(cube_outbox: Outbox) -> Callable[..., Any]:
    """``cube_deliver("hi")`` calls the handlers for a message, as ``testing.deliver()`` does."""
    from .testing import deliver

    return deliver
