"""Empty virtual environments, in which a distribution is installed without the internet.

The libraries are those of the environment of the tests: each environment has links to the ones that its test
names, and to no others, so that pip finds there what a distribution needs, or says what is missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_SECONDS = 120.0


def needed_by(names: Iterable[str], extras: Iterable[str] = ()) -> set[str]:
    """Return the names of distributions and of all that they need, as they are installed here."""
    found: set[str] = set()
    pending = [(name, frozenset(extras)) for name in names]
    seen = set(pending)
    while pending:
        name, of_name = pending.pop()
        found.add(canonicalize_name(name))
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": each}) for each in ("", *of_name)):
                entry = (requirement.name, frozenset(requirement.extras))
                if entry not in seen:
                    seen.add(entry)
                    pending.append(entry)
    return found


def _link(name: str, folder: Path) -> None:
    """Link the files of a distribution into a folder, each by itself: several may share a folder."""
    one = distribution(name)
    for file in one.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(one.locate_file(file))))


class Environment:
    """A virtual environment without pip.

    Args:
        folder: Where it is made.
        libraries: The distributions that it has beside what is installed into it.
    """

    def __init__(self, folder: Path, libraries: Iterable[str] = ()) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
        self.folder = folder
        self.bin = bin_folder
        self.python = str(bin_folder / "python")
        links = folder / "libraries"
        links.mkdir()
        for name in libraries:
            _link(name, links)
        packages = Path(
            self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        )
        (packages / "libraries.pth").write_text(f"{links}\n")

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python, away from the checkout; return what was printed, and the status."""
        return self._run([self.python, *words], cwd)

    def command(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command that an installation has brought."""
        return self._run([str(self.bin / name), *words], None)

    def install(self, path: Path | str) -> None:
        """Install a distribution or a folder. What it needs must be there: nothing is downloaded."""
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check"]
        done = self._run(
            [*pip, "install", "--quiet", "--no-index", "--no-build-isolation", str(path)], None
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _run(self, words: list[str], cwd: Path | None) -> subprocess.CompletedProcess[str]:
        unset = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "COVERAGE_PROCESS_START")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment["PATH"] = f"{self.bin}{os.pathsep}{environment.get('PATH', '')}"
        environment["PIP_ROOT_USER_ACTION"] = "ignore"
        return subprocess.run(
            words,
            cwd=cwd or self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
