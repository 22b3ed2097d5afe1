"""docs/flask.md says what the code does: its blocks make an application whose bot and tests run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectycube.contrib.flask import commands, conf
from tests.docs.test_pages import BLOCKS, DOCS, handles_signals, rows
from tests.support.paths import ROOT
from tests.support.people import logged_in
from tests.support.waiting import TIMEOUT, wait_until

PAGE = DOCS / "flask.md"
SECONDS = 120.0


def blocks(kind):
    return "\n\n".join(
        one.code for one in BLOCKS if one.page == PAGE and one.kind == f"flask {kind}"
    )


class Application:
    """The files of the page in a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "BOT_PASSWORD": "a password",
        }
        (folder / "shop.py").write_text(blocks("app") + "\n\n" + blocks("views"))
        (folder / "test_shop.py").write_text(blocks("tests"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


FLASK = ("flask", "--app", "shop", "connectycube")


@pytest.mark.time_limit(300)
def test_the_bot_of_the_page_answers_and_its_tests_pass(emulator, tmp_path, bob):
    run_folder = {"CONNECTYCUBE_RUN_FOLDER": str(tmp_path)}
    application = Application(tmp_path, {**emulator.environment(), **run_folder})
    done = application.run("pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    bot_id = emulator.add_user("shop", "a password")
    doctor = application.run(*FLASK, "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    with logged_in(bob), application.start(*FLASK, "listen") as bot:
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
    assert told == {
        value
        for name, value in vars(commands).items()
        if name in ("_FAILED", "_USAGE", "_AUTHENTICATION", "_NOT_FOUND", "_NETWORK", "_LATER")
    }


def test_the_table_of_settings_has_every_key_with_its_default():
    told = {row[0].strip("`"): row[1] for row in rows(PAGE, "Settings")}
    assert told == {f"{conf.PREFIX}{key}": str(value) for key, value in conf.DEFAULTS.items()}
