from __future__ import annotations

import shutil

import pytest

from tests.processes.contrib.django.project import Elsewhere, Project
from tests.processes.programs.running import LOGIN, PASSWORD


@pytest.fixture
def bot_id(emulator):
    """The id of the project's bot."""
    return emulator.add_user(LOGIN, PASSWORD)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An SQLite database with the tables, and no rows, for the projects of the session."""
    folder = tmp_path_factory.mktemp("migrated")
    Project(Elsewhere(), folder).migrate()
    return folder / "shop.sqlite3"


@pytest.fixture
def project(emulator, bot_id, tmp_path, migrated):
    """The project with a migrated SQLite database; its bot is durable."""
    made = Project(emulator, tmp_path, SHOP_DURABLE=str(tmp_path / "bot.db"))
    shutil.copy(migrated, tmp_path)
    return made
