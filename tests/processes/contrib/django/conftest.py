from __future__ import annotations

import pytest

from tests.processes.contrib.django.project import Project
from tests.processes.programs.running import LOGIN, PASSWORD


@pytest.fixture
def bot_id(emulator):
    """The id of the project's bot."""
    return emulator.add_user(LOGIN, PASSWORD)


@pytest.fixture
def project(emulator, bot_id, tmp_path):
    """The project with a migrated SQLite database; its bot is durable."""
    made = Project(emulator, tmp_path, SHOP_DURABLE=str(tmp_path / "bot.db"))
    made.migrate()
    return made
