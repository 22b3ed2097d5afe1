"""The files about the project agree with each other: setup.cfg, CHANGELOG, Makefile, and those for a host."""

from __future__ import annotations

import configparser
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.docs.test_pages import DOCS, rows
from tests.support.paths import ROOT

HOST = ROOT / ".github"
WORKFLOWS = sorted((HOST / "workflows").glob("*.yml"))
FORMS = sorted(
    set((HOST / "ISSUE_TEMPLATE").glob("*.yml")) - {HOST / "ISSUE_TEMPLATE" / "config.yml"}
)
_HEADING = re.compile(r"^## (\d+\.\d+\.\d+), (not released yet|\d{4}-\d\d-\d\d)$")
_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_table_of_extras_has_all_that_users_install(setup):
    told = {
        name
        for row in rows(DOCS / "index.md", "Extras")
        for name in re.findall(r"`([\w-]+)`", row[0])
    }
    told |= {"relay-redis", "relay-rabbitmq"}  # the parts of one of them
    assert told == set(setup["options.extras_require"]) - {"bench", "docs", "test"}


@pytest.fixture(scope="module")
def changelog() -> list[str]:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


def test_the_first_heading_of_the_changelog_is_the_version(setup, changelog):
    headings = [line for line in changelog if line.startswith("## ")]
    assert [line for line in headings if not _HEADING.match(line)] == []
    assert headings[0].startswith(f"## {setup['metadata']['version']}, ")


def test_the_changelog_has_the_kinds_of_its_format_once_a_release(changelog):
    release: list[str] = []
    for line in changelog:
        if line.startswith("## "):
            release = []
        elif line.startswith("### "):
            assert line[4:] in _KINDS - set(release)
            release.append(line[4:])


def test_only_the_newest_release_is_not_released_yet(changelog):
    open_ones = [line for line in changelog if line.endswith(", not released yet")]
    headings = [line for line in changelog if line.startswith("## ")]
    assert open_ones == headings[: len(open_ones)] and len(open_ones) <= 1


def test_the_classifiers_name_each_python_from_the_oldest_on(setup):
    prefix = "Programming Language :: Python :: 3."
    named = [
        line for line in setup["metadata"]["classifiers"].split("\n") if line.startswith(prefix)
    ]
    minors = [int(line.removeprefix(prefix)) for line in named]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert setup["options"]["python_requires"] == f">=3.{minors[0]}"
    first, newest = re.findall(
        r"^(?:first|newest)=(\d+)", (ROOT / ".ci/versions").read_text(), re.M
    )
    assert int(first) == minors[0] and minors[-1] <= int(newest)


def test_a_python_that_is_named_and_missing_is_an_error():
    command = [str(ROOT / ".ci" / "versions"), "3.99"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Python 3.99 is not to be had here.\n"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_there_is(path):
    workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert lines
    for line in lines:
        word, *others = line.split()
        if word == "make":
            assert others[0] in targets
        elif word != "python":
            assert (ROOT / word).is_file()
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_for_an_issue_is_whole(path):
    form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert all(field["attributes"].get("label") for field in form["body"] if "id" in field)
