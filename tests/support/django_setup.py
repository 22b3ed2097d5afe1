"""Django in the process of the tests: the shop of ``django_project``, with a database for the session."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core import mail

from tests.support.django_project import settings as of_project

if not settings.configured:
    values = {name: value for name, value in vars(of_project).items() if name.isupper()}
    settings.configure(**values, LOGGING_CONFIG=None)
    django.setup()


@pytest.fixture(scope="session")
def _database_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the tables in a file that threads share."""
    from django.core.management import call_command
    from django.db import connections

    path = tmp_path_factory.mktemp("django") / "shop.sqlite3"
    for holder in (settings.DATABASES["default"], connections["default"].settings_dict):
        holder["NAME"] = str(path)
    call_command("migrate", verbosity=0)
    connections.close_all()
    yield
    Path(path).unlink()


@pytest.fixture
def tables(_database_of_session: None) -> Iterator[None]:
    """The tables, empty; what the test commits is removed after it, and every thread may look."""
    from django.core.management import call_command
    from django.db import connections

    yield
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    connections.close_all()


@pytest.fixture
def database(_database_of_session: None) -> Iterator[None]:
    """The tables within a transaction that is rolled back, as in Django's TestCase."""
    from django.db import connections, transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    connections.close_all()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """``setting({…})`` is ``override_settings(CONNECTYCUBE={…})`` until the end of the test."""
    from django.test import override_settings

    active = []

    def change(value: object, **others: object) -> None:
        override = override_settings(CONNECTYCUBE=value, **others)
        override.enable()
        active.append(override)

    yield change
    for override in reversed(active):
        override.disable()


LOCMEM = "connectycube.contrib.django.backends.locmem"
BOTS = {"default": {"LOGIN": "bot", "PASSWORD": "a password"}}


@pytest.fixture
def locmem(setting, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The backend of tests, with an empty outbox, as Django's test runner makes one."""
    from connectycube.contrib.django import testing

    monkeypatch.setattr(mail, "outbox", [], raising=False)
    setting({"BACKEND": LOCMEM, "BOTS": BOTS})
    with warnings.catch_warnings():
        yield testing
    testing.outbox.clear()
