"""The tutorial of the shell runs as it is written, from its first line to its last, on an emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

_BLOCK = re.compile(r"^<!-- (?P<kind>\w+) -->\n```sh\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120.0


def blocks(kind: str) -> list[str]:
    text = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
    return [found["code"] for found in _BLOCK.finditer(text) if found["kind"] == kind]


@pytest.fixture
def shell(tmp_path, emulator):
    """``shell("…")`` runs lines in bash, with the program and the emulator of the tests."""
    program = tmp_path / "bin" / "connectycube"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m connectycube "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        **emulator.environment(),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "CONNECTYCUBE_CONFIG_DIR": str(tmp_path / "config"),
        "CONNECTYCUBE_CONTROL_URL": emulator.control_url,
        "CONNECTYCUBE_CONTROL_TOKEN": emulator.control_token,
    }

    def run(code: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.time_limit(300)  # many commands, over a minute beside much other work
def test_the_tutorial_runs_as_it_is_written(shell, tmp_path):
    parts = blocks("shell")
    assert len(parts) == 4
    said = shell("\n".join(parts))
    assert "alice (user 1)" in said
    assert "Sunday at eight?" in said
    assert "Sunday at eight?" in (tmp_path / "hikers.html").read_text()
    assert len((tmp_path / "hikers.jsonl").read_text().splitlines()) == 2


def test_the_lines_of_the_administration_run(shell, tmp_path, emulator):
    alice, bob = (emulator.add_user(name, "a password") for name in ("alice", "bob"))
    hikers = emulator.add_dialog("group", alice, [bob], name="Hikers")
    emulator.send_message(hikers, alice, "Sunday at eight?")
    (code,) = blocks("admin")
    assert "Sunday at eight?" in shell(f"hikers={hikers}\n{code}")
    assert len((tmp_path / "everything.jsonl").read_text().splitlines()) == 1
    assert [user["login"] for user in emulator.users()] == ["alice"]


def test_the_line_for_the_completion_is_taken_by_the_shell(shell):
    (code,) = blocks("completion")
    assert "connectycube" in shell(f"{code}\ncomplete -p connectycube")
