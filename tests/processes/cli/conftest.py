from __future__ import annotations

import os
import stat
import sys

import pytest

from tests.support.paths import ROOT

PASSWORD = "a very secret password"


@pytest.fixture
def program(tmp_path):
    """A folder with the program ``connectycube``, as an installation has it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "connectycube"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m connectycube "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def environment(program, tmp_path, emulator):
    """The variables of a shell with the program, the emulator, and no profiles."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CONNECTYCUBE_") and name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    return {
        **kept,
        **emulator.environment(),
        "PATH": f"{program}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "XDG_DATA_HOME": str(tmp_path / "xdg"),
        "TERM": "xterm",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "CONNECTYCUBE_CONFIG_DIR": str(tmp_path / "config"),
    }


@pytest.fixture
def as_alice(environment, emulator):
    """These variables, and those of a user."""
    emulator.add_user("alice", PASSWORD)
    return {**environment, "CONNECTYCUBE_LOGIN": "alice", "CONNECTYCUBE_PASSWORD": PASSWORD}
