"""A project that differs from Django's template wherever it may: checks, migrations, its tests, its bot."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.processes.contrib.django.project import STRANGE, Project
from tests.support.people import logged_in

pytestmark = pytest.mark.time_limit(300)


@pytest.fixture
def strange(emulator, bot_id, tmp_path):
    """The project, whose tables are in two databases; it is started in another folder."""
    made = Project(emulator, tmp_path / "data")
    made.command = STRANGE
    made.starts_in = tmp_path / "elsewhere"
    for folder in (made.folder, made.starts_in):
        folder.mkdir()
    return made


def test_a_project_that_chose_otherwise_passes_its_checks_and_tests(strange):
    for arguments in (
        ["check"],
        ["makemigrations", "--check", "--dry-run"],
        ["test", "tests.support.strange_project.people.tests"],
    ):
        done = strange.manage(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "Ran 7 tests" in done.stderr


def rows(strange, name, query):
    with closing(sqlite3.connect(strange.folder / f"{name}.sqlite3")) as database:
        return database.execute(query).fetchall()


def test_a_bot_has_its_lease_in_the_database_that_the_router_says(strange, bot_id, bob):
    refused = strange.manage("connectycube_listen")
    assert (
        "the database 'chats' has no table connectycube_listener: run manage.py" in refused.stderr
    )
    assert "migrate cube" in refused.stderr
    for name in ("default", "chats"):
        strange.manage("migrate", "-v0", "--database", name)
    with logged_in(bob), strange.listening() as bot:
        assert rows(strange, "chats", "SELECT name, fencing FROM connectycube_listener") == [
            ("bot:default", 1)
        ]
        bob.chat.send_private(bot_id, "apples")
        assert bob.events.wait_for("message_received")[0].body == "kept apples"
        assert bot.ends() == 0
        assert "Traceback" not in bot.words
    assert rows(strange, "default", "SELECT text FROM people_note") == [("apples",)]
    assert sorted(path.name for path in strange.starts_in.iterdir()) == ["program1.log"]
