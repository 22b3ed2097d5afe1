"""The unit of docs/how-to/service.md is read by systemd's own checker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from tests.docs.test_guides import text_of
from tests.docs.test_pages import missing


def test_the_unit_is_without_fault_for_systemd(tmp_path):
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    unit = text_of("service.md", "unit")
    (program,) = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    path = tmp_path / "bot.service"
    path.write_text(unit.replace(program, sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
