"""The dependencies that docs/security.md explains are those of setup.cfg, with the same releases."""

from __future__ import annotations

import configparser
import re

from tests.support.paths import ROOT

_ROW = re.compile(r"^\| `(?P<name>[\w-]+)` \| (?P<least>[\d.]+) \|", re.MULTILINE)
_REQUIREMENT = re.compile(r"^(?P<name>[\w-]+) >= (?P<least>[\d.]+)(?P<most>, < \d+)?$")
_LEAST_SAFE = {"requests": (2, 32, 4), "urllib3": (2, 6), "aiohttp": (3, 12, 14)}
"""The first releases without the weaknesses that the page names."""


def release(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def requirements() -> dict[str, str]:
    """What the package and its emulator need, with the oldest release."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"]["emulator"]
    found = [_REQUIREMENT.match(line) for line in lines.split("\n") if line]
    return {match["name"]: match["least"] for match in found if match is not None}


def test_the_page_names_each_dependency_with_its_oldest_release():
    table = dict(_ROW.findall((ROOT / "docs" / "security.md").read_text()))
    assert table == requirements()


def test_no_release_with_a_weakness_that_the_page_names_is_let_in():
    least = {name: release(text) for name, text in requirements().items()}
    assert {name: least[name] for name in _LEAST_SAFE if least[name] < _LEAST_SAFE[name]} == {}
