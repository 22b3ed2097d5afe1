"""docs/flask.md says what the code does: its blocks make an application whose bot and tests run."""

from __future__ import annotations

import re

import pytest

from connectycube.contrib.common import exit_status
from connectycube.contrib.flask import commands, conf
from tests.docs.page_folder import PageFolder, blocks
from tests.docs.test_pages import DOCS, rows

PAGE = DOCS / "flask.md"


FLASK = ("flask", "--app", "shop", "connectycube")


@pytest.mark.time_limit(300)
def test_the_bot_of_the_page_answers_and_its_tests_pass(emulator, tmp_path, bob):
    run_folder = {"CONNECTYCUBE_RUN_FOLDER": str(tmp_path)}
    application = PageFolder(tmp_path, {**emulator.environment(), **run_folder})
    (tmp_path / "shop.py").write_text(
        f"{blocks(PAGE, 'flask app')}\n\n{blocks(PAGE, 'flask views')}"
    )
    (tmp_path / "test_shop.py").write_text(blocks(PAGE, "flask tests"))
    assert "4 passed" in application.run("pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
    bot_id = emulator.add_user("shop", "a password")
    application.run(*FLASK, "doctor")
    application.check_bot(emulator, bot_id, bob, *FLASK, "listen")


# --- tables ---


def options():
    return sorted(
        (option, name)
        for name, command in commands.group.commands.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    )


def test_the_tables_of_commands_name_all_of_them_with_their_options():
    names = [f"flask connectycube {name}" for name in commands.group.commands]
    assert sorted(row[0].strip("`") for row in rows(PAGE, "Commands")) == sorted(names)
    section = PAGE.read_text(encoding="utf-8").split("| option |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"^\| `(--[\w-]+)` \| `(\w+)` \|", section, re.MULTILINE)) == options()


def test_the_table_of_statuses_has_every_one():
    section = PAGE.read_text(encoding="utf-8").split("| status |")[1]
    told = {int(number) for number in re.findall(r"^\| (\d) \|", section, re.MULTILINE)}
    assert told == {status for status in exit_status.MEANINGS if 0 < status < 128}


def test_the_table_of_settings_has_every_key_with_its_default():
    told = {row[0].strip("`"): row[1] for row in rows(PAGE, "Settings")}
    assert told == {f"{conf.PREFIX}{key}": str(value) for key, value in conf.DEFAULTS.items()}
