"""What is published: the source distribution, the wheel, and what they are once they are installed."""

from __future__ import annotations

import configparser
import email
import email.message
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from attrs import frozen

from connectycube._checks import to_install
from tests.support.distributions import RUBBISH, Distributions, build, files_of_the_checkout
from tests.support.installed import Environment, needed_by
from tests.support.paths import ROOT

pytestmark = pytest.mark.time_limit(300)

FOR_DEVELOPERS = {"bench", "docs", "test"}
"""The extras that no module of the package asks for."""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Distributions:
    return build(tmp_path_factory.mktemp("distributions"))


@pytest.fixture(scope="module")
def metadata(distributions) -> email.message.Message:
    with zipfile.ZipFile(distributions.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def libraries() -> set[str]:
    """What the package needs without an extra."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"].split("\n")
    return needed_by(line.split()[0] for line in needed if line)


@pytest.fixture(scope="module")
def installed(distributions, libraries, tmp_path_factory) -> Environment:
    """An environment with the wheel and what it needs, without an extra."""
    environment = Environment(tmp_path_factory.mktemp("installed") / "venv", libraries)
    environment.install(distributions.wheel)
    return environment


# --- what is in them ----------------------------------------------------------------------------


def test_the_source_distribution_has_each_file_of_the_project(distributions):
    made = {"PKG-INFO"}  # by setuptools
    found = {
        name
        for name in distributions.names_in_sdist()
        if not name.startswith("connectycube.egg-info/")
    }
    assert found - made == files_of_the_checkout()
    assert {
        ".ci/install",
        "CHANGELOG.md",
        "Makefile",
        "docs/index.md",
        "tests/conftest.py",
    } <= found


def test_the_wheel_has_the_package_and_nothing_else(distributions):
    package = {name for name in files_of_the_checkout() if name.startswith("connectycube/")}
    found = distributions.names_in_wheel()
    assert {name for name in found if ".dist-info/" not in name} == package
    assert {"connectycube/py.typed", "connectycube/emulator/page/index.html"} <= found
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in found)


def test_no_distribution_has_what_commands_leave_behind(distributions):
    both = distributions.names_in_sdist() | distributions.names_in_wheel()
    assert both & set(RUBBISH) == set()
    assert [name for name in both if "__pycache__" in name or name.endswith(".pyc")] == []


def test_the_build_warns_of_nothing_that_is_deprecated(distributions):
    assert "deprecat" not in distributions.output.lower()


def test_an_index_takes_both_distributions(distributions):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "twine", "check", "--strict"),
            *(str(distributions.sdist), str(distributions.wheel)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_name_licence_and_people(metadata):
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Maintainer"] and metadata["Author"]
    assert metadata["Requires-Python"] == ">=3.10"


def test_the_description_has_no_link_that_leads_nowhere_on_an_index(metadata):
    text = metadata.get_payload()
    assert text.startswith("# connectycube\n")
    prose = "".join(text.split("```")[::2])
    assert "](docs/" not in prose and 'src="docs/' not in prose and 'srcset="docs/' not in prose


# --- the tests, from the source distribution ----------------------------------------------------


def test_the_tests_run_from_the_source_distribution(distributions, tmp_path):
    project = distributions.unpacked(tmp_path / "unpacked")
    names = [
        *("tests/unit/test_house.py", "tests/unit/test_config.py"),
        *("tests/wire/test_client.py", "tests/docs/test_dependencies.py"),
        "tests/docs/test_description.py",
    ]
    own = ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "temporary")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *own, *names],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- installed ----------------------------------------------------------------------------------


def test_the_wheel_is_imported_without_a_warning(installed):
    code = "import connectycube; print(connectycube.__file__); connectycube.ConnectyCube"
    done = installed.run("-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.folder)


def test_the_source_distribution_is_installed_as_the_wheel_is(distributions, libraries, tmp_path):
    environment = Environment(tmp_path / "venv", libraries | {"setuptools"})
    environment.install(distributions.sdist)
    done = environment.run("-W", "error", "-c", "import connectycube; connectycube.ConnectyCube")
    assert done.returncode == 0, done.stderr
    packages = next(environment.folder.rglob("connectycube/py.typed")).parents[1]
    found = {
        str(path.relative_to(packages))
        for path in (packages / "connectycube").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == {name for name in distributions.names_in_wheel() if ".dist-info/" not in name}


def test_pip_finds_nothing_missing_in_an_environment_with_the_wheel(installed):
    pip = [sys.executable, "-m", "pip", "--python", installed.python, "check"]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    assert "connectycube" not in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("by", ["command", "module"])
def test_the_command_runs_and_says_its_version(installed, metadata, by):
    done = (
        installed.command("connectycube", "--version")
        if by == "command"
        else installed.run("-m", "connectycube", "--version")
    )
    assert (done.stdout, done.stderr, done.returncode) == (
        f"connectycube {metadata['Version']}\n",
        "",
        0,
    )


def test_each_entry_point_leads_to_something(distributions, libraries, tmp_path):
    extras = needed_by(["connectycube"], ["cli", "opentelemetry"]) - {"connectycube"}
    environment = Environment(tmp_path / "venv", libraries | extras | needed_by(["pytest"]))
    environment.install(distributions.wheel)
    code = (
        "from importlib.metadata import distribution\n"
        "for one in distribution('connectycube').entry_points:\n"
        "    print(one.group, callable(one.load()) or one.load().__name__)"
    )
    done = environment.run("-W", "error", "-c", code)
    assert done.stdout.splitlines() == [
        "console_scripts True",
        "opentelemetry_instrumentor True",
        "pytest11 connectycube.testing.plugin",
    ], done.stderr


@pytest.mark.parametrize("page", ["/", "/main.js", "/page.css"])
def test_the_emulators_page_is_in_the_wheel(distributions, page):
    name = "index.html" if page == "/" else page[1:]
    assert f"connectycube/emulator/page/{name}" in distributions.names_in_wheel()


# --- what an extra brings, and what is said without it ------------------------------------------


@frozen
class Use:
    """A use of a part that needs an extra: a program, or words of the command line."""

    extra: str
    missing: str
    code: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.extra}-{' '.join(self.words) or 'import'}"


USES = [
    Use("celery", "celery", "import connectycube.contrib.celery"),
    Use("cli", "click", words=("whoami",)),
    Use("cli", "click", words=("tail",)),
    Use(
        "desktop",
        "PySide6",
        "from connectycube.contrib import desktop; desktop.qt_post()",
    ),
    Use("django", "django", "import connectycube.contrib.django"),
    Use("emulator", "trustme", "import connectycube.emulator"),
    Use("emulator", "trustme", words=("emulator",)),
    Use("emulator", "trustme", words=("demo",)),
    Use("emulator", "trustme", words=("exec", "--", "true")),
    Use("flask", "flask", "import connectycube.contrib.flask"),
    Use("opentelemetry", "opentelemetry", "import connectycube.contrib.opentelemetry"),
    Use("relay-rabbitmq", "pika", "import connectycube.contrib.relay.rabbitmq"),
    Use("relay-redis", "redis", "import connectycube.contrib.relay.redis_streams"),
    Use("sentry", "sentry_sdk", "import connectycube.contrib.sentry"),
]


@pytest.mark.parametrize("use", USES, ids=str)
def test_a_part_whose_extra_is_missing_says_how_to_install_it(installed, use):
    done = (
        installed.command("connectycube", *use.words)
        if use.words
        else installed.run("-W", "error", "-c", use.code)
    )
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.endswith(to_install(use.missing, use.extra)), done.stderr
    assert not use.words or "Traceback" not in done.stderr


def test_each_extra_of_a_user_is_asked_for_by_a_part(metadata):
    whole = {"relay"}  # two others
    extras = set(metadata.get_all("Provides-Extra", [])) - FOR_DEVELOPERS - whole
    assert extras == {use.extra for use in USES}
