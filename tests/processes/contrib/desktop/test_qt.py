"""A program of Qt: its receivers run on the GUI thread, and its end waits for nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.screen import qt  # noqa: F401

PROGRAM = Path(__file__).parent / "qt_program.py"


@pytest.mark.referee("qt")
def test_receivers_run_on_the_gui_thread_until_the_window_is_destroyed(qt):  # noqa: F811
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stderr.splitlines() if "abandoned: " not in line] == []
    result = json.loads(done.stdout)
    words = ["make a QApplication first", "window must be a QObject, not str", "on the GUI thread"]
    for error, expected in zip(result["errors"], words, strict=True):
        assert expected in error
    assert result["in order"]
    assert (result["threads"], result["found"]) == (["MainThread"], [1])
    assert (result["closed"], result["shown later"]) == (True, 0)
    assert result["seconds"] < 3.0  # a logout that waits takes 5
