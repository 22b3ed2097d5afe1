"""The source distribution and the wheel, built of a copy of the checkout by the ordinary tools."""

from __future__ import annotations

import fnmatch
import functools
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from .paths import ROOT

_SECONDS = 300.0
RUBBISH = (
    "connectycube/__pycache__/client.cpython-311.pyc",
    "connectycube/emulator/page/__pycache__/stray.pyc",
    "docs/_build/html/index.html",
    "docs/examples/bot/bot.db",
    "docs/examples/bot/bot.db-wal",
    "docs/examples/cron_export/archive/history.jsonl",
    "tests/__pycache__/conftest.cpython-311.pyc",
    ".cache/fuzz/input",
    ".venv/bin/python",
    "build/demo/ready",
)
"""What commands leave in a checkout, and no distribution may have."""


def _ignored() -> list[str]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [line.rstrip("/") for line in lines if line]


@functools.cache
def files_of_the_checkout() -> frozenset[str]:
    """Return the paths of all files of the project: those that git has, or that .gitignore does not name."""
    if (ROOT / ".git").exists() and shutil.which("git") is not None:
        command = ["git", "ls-files", "-z"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return frozenset(name for name in done.stdout.split("\0") if (ROOT / name).is_file())
    return frozenset(_files(ROOT, ""))


def _files(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        patterns = [*_ignored(), ".git", "PKG-INFO"]
        if any(fnmatch.fnmatch(name if "/" in each else path.name, each) for each in patterns):
            continue
        if path.is_dir():
            yield from _files(path, f"{name}/")
        else:
            yield name


@frozen
class Distributions:
    """Both distributions of a checkout in which commands have left their files."""

    sdist: Path
    wheel: Path
    output: str
    """What the tools printed."""

    def names_in_sdist(self) -> set[str]:
        """Return the paths in the source distribution, without the folder that holds them all."""
        with tarfile.open(self.sdist) as archive:
            return {
                member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()
            }

    def names_in_wheel(self) -> set[str]:
        """Return the paths in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def unpacked(self, folder: Path) -> Path:
        """Unpack the source distribution; return the folder of the project in it."""
        shutil.unpack_archive(self.sdist, folder, filter="data")
        (project,) = folder.iterdir()
        return project


def build(folder: Path) -> Distributions:
    """Build the source distribution, and the wheel of it, in a folder."""
    checkout = folder / "checkout"
    for name in files_of_the_checkout():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    for name in RUBBISH:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(b"left by a command")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist")],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Distributions(sdist, wheel, done.stdout)
