"""docs/django.md says what the code does: its blocks make a project whose bot and tests run."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from connectycube.contrib.django import checks, conf
from tests.docs.page_folder import PageFolder, blocks
from tests.docs.test_pages import BLOCKS, DOCS, rows
from tests.support import django_setup  # noqa: F401 - configures Django

PAGE = DOCS / "django.md"
COMMANDS = {"listen", "doctor", "sync_users", "emulator"}
URLS = """
urlpatterns += [path("refund/<int:pk>/", views.refund), path("token/", views.chat_token)]
"""
SECRET = 'PASSWORD = os.environ["BOT_PASSWORD"]'


class Project(PageFolder):
    """A project of django-admin's template, with what the page says."""

    def manage(self, *words: str) -> str:
        return self.run("django", *words)

    def write(self) -> None:
        """Make the files, and put the blocks of the page into them."""
        self.manage("startproject", "site_of_shop", ".")
        self.manage("startapp", "shop")
        self.environment["DJANGO_SETTINGS_MODULE"] = "site_of_shop.settings"
        for name, text in {
            "site_of_shop/settings.py": f"import os\n\n{SECRET}\n{blocks(PAGE, 'django settings')}"
            'DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}\n',
            "site_of_shop/urls.py": f"{blocks(PAGE, 'django urls')}{URLS}",
            "shop/models.py": blocks(PAGE, "django models"),
            "shop/chat_handlers.py": blocks(PAGE, "django handlers"),
            "shop/views.py": blocks(PAGE, "django views"),
            "shop/tests.py": blocks(PAGE, "django tests"),
        }.items():
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{text}")
        self.manage("makemigrations", "shop", "-v0")
        self.manage("migrate", "-v0")


@pytest.fixture
def project(emulator, tmp_path):
    made = Project(tmp_path, emulator.environment())
    made.write()
    return made


@pytest.mark.time_limit(300)
def test_the_bot_of_the_page_answers_and_its_tests_pass(project, emulator, bob):
    assert "no issues" in project.manage("check")
    assert "Ran 4 tests" in project.manage("test")
    bot_id = emulator.add_user("shop", "a password")
    project.check_bot(emulator, bot_id, bob, "django", "connectycube_listen")


def lines_of(code):
    """The lines that say something: no empty one, and none that belongs to the one before."""
    return [line for line in code.splitlines() if line.strip()]


def test_the_bot_of_the_page_has_the_lines_that_it_says():
    settings = next(one.code for one in BLOCKS if one.kind == "django settings")
    handlers = next(one.code for one in BLOCKS if one.kind == "django handlers")
    written = [line for line in lines_of(handlers) if "shop.models" not in line]
    assert len(lines_of(settings)) + len(written) == 7


# --- tables ---


def options_of(name):
    parser = load_command_class("connectycube.contrib.django", name).create_parser(
        "manage.py", name
    )
    common = BaseCommand().create_parser("manage.py", "any")
    known = {option for action in common._actions for option in action.option_strings}
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option not in known
    }


def test_the_tables_of_commands_name_all_of_them_with_their_options():
    names = {f"connectycube_{name}" for name in COMMANDS}
    assert {row[0].strip("`") for row in rows(PAGE, "Commands")} == names
    section = PAGE.read_text(encoding="utf-8").split("| option |")[1].split("\n\n")[0]
    told = re.findall(r"^\| `(--[\w-]+)` \| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(told) == sorted((option, name) for name in names for option in options_of(name))


def test_there_is_no_other_command():
    folder = Path(importlib.import_module("connectycube.contrib.django").__file__).parent
    found = {path.stem for path in (folder / "management" / "commands").glob("connectycube_*.py")}
    assert found == {f"connectycube_{name}" for name in COMMANDS}


def test_the_table_of_checks_has_every_id():
    told = [row[0].strip("`").removeprefix("connectycube.") for row in rows(PAGE, "Checks")]
    assert told == list(checks._HINTS)


def test_the_table_of_settings_has_every_key():
    told = {row[0].strip("`") for row in rows(PAGE, "Settings")}
    assert told == set(conf._OWN_KEYS)
