"""Two type checkers, mypy and pyright, on the built wheel: what each says of a file, by line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import components

ROOT = Path(__file__).parents[3]
PYRIGHT = ROOT / ".cache" / "pyright" / "node_modules" / "pyright" / "index.js"
_OF_WHEEL = ("connectycube", "setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in")
_OF_WHEEL += ("README.md", "LICENSE")
_MYPY_LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)")

Complaints = dict[int, str]
"""The texts of the errors, by line."""


def run(
    command: Sequence[object], cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with the output as text."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
    )


def build_wheel(folder: Path) -> Path:
    """Build the wheel of a copy of this tree, as a build in the tree itself leaves files behind."""
    source = folder / "source"
    source.mkdir()
    for name in _OF_WHEEL:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    options = ["--use-pep517", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    built = run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, "."], source)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("connectycube-*.whl")
    return wheel


class Checkers:
    """mypy and pyright, which find the package where its wheel is installed, and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.wheel = build_wheel(folder)
        self.folder = folder / "programs"
        self.folder.mkdir()
        environment = folder / "environment"
        made = run([sys.executable, "-m", "venv", "--without-pip", environment], folder)
        assert made.returncode == 0, made.stderr
        self.python = environment / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        installed = run([*pip, "--no-index", "--no-deps", self.wheel], folder)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        # The libraries are those of the tests. Files .pth beside them are not read: the tree is not found.
        others = {sysconfig.get_path("purelib"), *_site_packages()}
        packages = next((environment / "lib").glob("python*/site-packages"))
        (packages / "others.pth").write_text("".join(f"{each}\n" for each in sorted(others)))
        self.package = packages / "connectycube"

    def mypy(self, name: str, text: str) -> Complaints:
        """Return what mypy says of a program: strict, without configuration."""
        (self.folder / name).write_text(text)
        options = ["--strict", "--no-error-summary", "--config-file=", "--hide-error-codes"]
        found = ["--python-executable", self.python, "--cache-dir", self.folder / ".mypy_cache"]
        checked = run([sys.executable, "-m", "mypy", *options, *found, name], self.folder)
        assert checked.returncode in (0, 1), checked.stdout + checked.stderr
        complaints: Complaints = {}
        for line in checked.stdout.splitlines():
            error = _MYPY_LINE.match(line)
            if error is not None:
                assert error["file"] == name, line
                _add(complaints, int(error["line"]), error["text"])
        return complaints

    def pyright(self, name: str, text: str) -> Complaints:
        """Return what pyright says of a program: strict; each text begins with the rule."""
        (self.folder / name).write_text(text)
        (self.folder / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
        complaints: Complaints = {}
        for error in self.run_pyright("--outputjson", name)["generalDiagnostics"]:
            assert Path(error["file"]).name == name, error
            words = f"{error.get('rule', 'syntax')}: {error['message']}"
            _add(complaints, error["range"]["start"]["line"] + 1, words)
        return complaints

    def run_pyright(self, *words: object, folder: Path | None = None) -> Any:
        """Return the JSON that pyright writes."""
        node = shutil.which("node")
        if node is None or not PYRIGHT.exists():
            components.missing("pyright", "make referees, with Node.js 18 or newer and npm")
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        checked = run([node, PYRIGHT, *words], folder or self.folder, PATH=path)
        assert checked.returncode in (0, 1), checked.stdout + checked.stderr
        return json.loads(checked.stdout)


def _site_packages() -> set[str]:
    return {path for path in sys.path if path.endswith("site-packages") and path.startswith("/")}


def _add(complaints: Complaints, line: int, text: str) -> None:
    complaints[line] = f"{complaints.get(line, '')}{text}\n"
