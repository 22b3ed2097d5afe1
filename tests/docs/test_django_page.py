"""docs/django.md says what the code does: its blocks make a project whose bot and tests run."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from connectycube.contrib.django import checks, conf
from tests.docs.test_pages import BLOCKS, DOCS, handles_signals, rows
from tests.support import django_setup  # noqa: F401 - configures Django
from tests.support.paths import ROOT
from tests.support.people import logged_in
from tests.support.waiting import TIMEOUT, wait_until

PAGE = DOCS / "django.md"
COMMANDS = {"listen", "doctor", "sync_users", "emulator"}
MODELS = """
from django.db import models


class Order(models.Model):
    message_id = models.CharField(max_length=24, unique=True)
    text = models.TextField()
    shipped = models.BooleanField(default=False)
    seen = models.BooleanField(default=False)
"""
URLS = """
from shop import views

urlpatterns += [path("ship/<int:pk>/", views.ship), path("refund/<int:pk>/", views.refund)]
urlpatterns += [path("token/", views.chat_token)]
"""
SECRET = 'PASSWORD = os.environ["BOT_PASSWORD"]'
SECONDS = 120.0


def blocks(kind):
    return "\n\n".join(
        one.code for one in BLOCKS if one.page == PAGE and one.kind == f"django {kind}"
    )


class Project:
    """A project of django-admin's template, with what the page says."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "BOT_PASSWORD": "a password",
        }

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", *words],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "django", *words],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def write(self) -> None:
        """Make the files, and put the blocks of the page into them."""
        self.run("startproject", "site_of_shop", ".")
        self.run("startapp", "shop")
        self._environment["DJANGO_SETTINGS_MODULE"] = "site_of_shop.settings"
        for name, text in {
            "site_of_shop/settings.py": f"import os\n\n{SECRET}\n{blocks('settings')}"
            'DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}\n',
            "site_of_shop/urls.py": f"{blocks('urls')}{URLS}",
            "shop/models.py": MODELS,
            "shop/chat_handlers.py": blocks("handlers"),
            "shop/views.py": blocks("views"),
            "shop/tests.py": blocks("tests"),
        }.items():
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{text}")
        self.run("makemigrations", "shop", "-v0")
        self.run("migrate", "-v0")


@pytest.fixture
def project(emulator, tmp_path):
    made = Project(tmp_path, emulator.environment())
    made.write()
    return made


@pytest.mark.time_limit(300)
def test_the_bot_of_the_page_answers_and_its_tests_pass(project, emulator, bob):
    assert "no issues" in project.run("check")
    assert "Ran 4 tests" in project.run("test")
    bot_id = emulator.add_user("shop", "a password")
    with logged_in(bob), project.start("connectycube_listen") as bot:
        try:
            wait_until(lambda: emulator.sessions(bot_id), timeout=SECONDS)
            bob.chat.send_private(bot_id, "three apples").result(TIMEOUT)
            assert bob.events.wait_for("message_received", timeout=SECONDS)[0].body == "thank you"
            wait_until(lambda: handles_signals(bot))
            bot.send_signal(signal.SIGTERM)
            output = bot.communicate(timeout=SECONDS)[0].decode()
            assert (bot.returncode, len(output.splitlines())) == (0, 1), output
        finally:
            bot.kill()
            bot.communicate()


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
