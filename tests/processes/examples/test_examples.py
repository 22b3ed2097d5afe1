"""What holds for each example of the pages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.processes.examples.running import EXAMPLES, SECONDS, copy_of

NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "index.md").exists())


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_a_command_and_a_test(name):
    run = EXAMPLES / name / "run"
    assert run.read_text().startswith("#!/bin/sh\n# ")
    assert os.access(run, os.X_OK)
    assert Path(__file__).with_name(f"test_{name}.py").exists()


@pytest.mark.parametrize(
    "name", ["django_desk", "flask_live", "notebook", "prometheus", "qt_chat", "tk_chat"]
)
def test_its_command_says_which_other_package_is_missing(name, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for program, text in {
        **dict.fromkeys(("connectycube", "gunicorn"), "echo started"),
        "python": "exit 1",  # each import fails
    }.items():
        (programs / program).write_text(f"#!/bin/sh\n{text}\n")
        (programs / program).chmod(0o755)
    done = subprocess.run(
        [copy_of(name, tmp_path) / "run"],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (127, "")
    assert " is missing: " in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_its_command_says_what_to_install_where_nothing_is(name, tmp_path):
    done = subprocess.run(
        [copy_of(name, tmp_path) / "run"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (127, "")
    assert "missing: pip install '.[" in done.stderr
