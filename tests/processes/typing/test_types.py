"""What a type checker says of programs that use the package: mypy, strict."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)")


def complaints_of(name: str, cache: Path) -> dict[int, str]:
    """mypy's errors in a file, by line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    # The package itself is checked elsewhere: where it is found as source, its errors would come along.
    options = ["--config-file=", "--follow-imports=silent", f"--cache-dir={cache}"]
    words = [*command, *options, "--hide-error-codes", str(HERE / name)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found: dict[int, str] = {}
    for line in run.stdout.splitlines():
        error = _ERROR.match(line)
        if error is not None:
            assert error["file"].endswith(name), line
            number = int(error["line"])
            found[number] = f"{found.get(number, '')}{error['text']}\n"
    return found


def test_right_lines_pass_and_each_wrong_line_is_refused(tmp_path):
    assert complaints_of("right.py", tmp_path) == {}
    found = complaints_of("wrong.py", tmp_path)
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {
        number: line.partition("# error: ")[2]
        for number, line in enumerate(lines, 1)
        if "# error: " in line
    }
    assert found.keys() == expected.keys()
    for number, words in expected.items():
        assert words in found[number], (number, found[number])
