"""The tutorial is true: its files are written, its commands run, and its bot is killed and answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.page_folder import blocks
from tests.docs.test_pages import DOCS
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

PAGE = DOCS / "tutorial.md"
SECONDS = 120.0
_SHELL = re.compile(
    r"^<!-- tutorial (?P<kind>\w+) -->\n```sh\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def commands(kind: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return [found["code"] for found in _SHELL.finditer(text) if found["kind"] == kind]


def emulator_command() -> str:
    """The command of the page; the port of its page is a free one."""
    (line,) = re.findall(r"^connectycube emulator --data .*$", PAGE.read_text(), re.MULTILINE)
    return line.replace("4100", "0")


class Folder:
    """The reader's folder, with the programs ``python`` and ``connectycube`` of this environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder.parent / "programs"
        programs.mkdir()
        for name, words in {"python": "", "connectycube": "-m connectycube"}.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error {words} "$@"\n')
            program.chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder.parent),
            "CONNECTYCUBE_CONFIG_DIR": str(folder.parent / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def write(self, name: str, kind: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(blocks(PAGE, kind), encoding="utf-8")

    def run(self, code: str) -> str:
        done = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                f"test ! -e emulator.env || . ./emulator.env\n{code}",
            ],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def running(self, code: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program in the background; its output goes to a file."""
        with (
            (self.folder / log).open("w") as output,
            subprocess.Popen(
                ["bash", "-euc", code],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait(SECONDS)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def wait_for(self, name: str, words: str) -> None:
        wait_until(lambda: words in self.read(name), f"{words} in {name}", timeout=SECONDS)


@pytest.fixture
def folder(tmp_path) -> Folder:
    (tmp_path / "tutorial").mkdir()
    made = Folder(tmp_path / "tutorial")
    for name, kind in {"bot.py": "bot", "friend.py": "friend", "test_bot.py": "tests"}.items():
        made.write(name, f"tutorial {kind}")
    return made


@pytest.mark.time_limit(600)
@pytest.mark.skipif(os.name != "posix", reason="this is for a POSIX shell")
def test_the_tutorial_runs_from_the_emulator_to_the_killed_bot(folder):
    (start,) = commands("shell")
    with folder.running(f"exec {emulator_command()}", "emulator.log"):
        folder.wait_for("emulator.log", "ready\n")
        with folder.running(start, "bot.log"):
            folder.wait_for("bot.log", ": authenticated -> ready")
            for code in commands("talk"):
                told = re.findall(r"# (you said .*)$", code, re.MULTILINE)
                said = folder.run(code)
                assert all(f"{line}\n" in said for line in told), said
                assert "pytest" not in code or "2 passed" in said
            folder.wait_for("bot.log", "-> resumed")
        kill_in_the_middle(folder, start)


def kill_in_the_middle(folder: Folder, start: str) -> None:
    """End the slow bot during its work; the next one answers, once."""
    quick = blocks(PAGE, "tutorial bot")
    function = re.search(r"^def answer.*?\n\n\n", quick, re.MULTILINE | re.DOTALL)[0]
    slow = quick.replace(function, f"{blocks(PAGE, 'tutorial slow')}\n\n")
    (folder.folder / "bot.py").write_text(
        slow.replace("time.sleep(10)", "open('began', 'w').close()\n    time.sleep(3600)")
    )
    with folder.running('. ./emulator.env; python friend.py "five plums"', "friend.log") as friend:
        with folder.running(start, "bot.log") as bot:
            wait_until((folder.folder / "began").exists, timeout=SECONDS)
            os.killpg(bot.pid, signal.SIGQUIT)
            bot.wait(SECONDS)
        assert "you said" not in folder.read("friend.log")
        (folder.folder / "bot.py").write_text(slow.replace("10", "0.1"))
        with folder.running(start, "bot.log"):
            assert friend.wait(SECONDS) == 0
    assert folder.read("friend.log") == "you said five plums\n"


@pytest.mark.time_limit(600)
def test_the_django_view_of_the_tutorial_is_tested(folder):
    make, check = commands("django")
    folder.environment |= {"CONNECTYCUBE_APP_ID": "1", "CONNECTYCUBE_AUTH_KEY": "key"}
    folder.run(make)
    with (folder.folder / "mysite" / "settings.py").open("a") as settings:
        settings.write(f"\n{blocks(PAGE, 'tutorial settings')}")
    for name, kind in {
        "shop/views.py": "views",
        "mysite/urls.py": "urls",
        "shop/tests.py": "django tests",
    }.items():
        folder.write(name, f"tutorial {kind}")
    said = folder.run(check)
    assert "Ran 2 tests" in said
    assert "OK" in said
