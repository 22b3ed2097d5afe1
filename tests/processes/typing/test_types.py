"""What type checkers say of programs that use the package, installed from its wheel, and of the package."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .checkers import ROOT, Checkers, Complaints

HERE = Path(__file__).parent
RIGHT = (HERE / "right.py").read_text()
WRONG = (HERE / "wrong.py").read_text()


@pytest.fixture(scope="module")
def checkers(tmp_path_factory: pytest.TempPathFactory) -> Checkers:
    return Checkers(tmp_path_factory.mktemp("typing"))


CHECKER = pytest.mark.parametrize(
    ("place", "check"),
    [
        pytest.param(0, Checkers.mypy, id="mypy"),
        pytest.param(1, Checkers.pyright, id="pyright", marks=pytest.mark.referee("pyright")),
    ],
)


def expected_complaints(place: int) -> Complaints:
    """Return what the checker at ``place`` says in ``wrong.py``, by line: the comments before the lines."""
    lines = enumerate(WRONG.splitlines(), 1)
    comments = {number: line.partition("# error: ")[2] for number, line in lines}
    return {
        number + 1: words.rsplit(" | ", 1)[place] for number, words in comments.items() if words
    }


@CHECKER
def test_right_lines_pass(
    checkers: Checkers, place: int, check: Callable[[Checkers, str, str], Complaints]
):
    assert check(checkers, "right.py", RIGHT) == {}


@CHECKER
def test_each_wrong_line_is_refused_with_its_words(
    checkers: Checkers, place: int, check: Callable[[Checkers, str, str], Complaints]
):
    found, expected = check(checkers, "wrong.py", WRONG), expected_complaints(place)
    assert found.keys() == expected.keys(), {
        number: found.get(number, "accepted") for number in found.keys() ^ expected.keys()
    }
    for number, words in expected.items():
        assert words in found[number], (number, found[number])


def test_the_wheel_says_that_it_has_types(checkers):
    assert "connectycube/py.typed" in zipfile.ZipFile(checkers.wheel).namelist()


@pytest.mark.referee("pyright")
@pytest.mark.time_limit(300)
def test_the_type_of_each_public_name_is_known(checkers):
    report = checkers.run_pyright(
        "--verifytypes", "connectycube", "--ignoreexternal", "--outputjson"
    )["typeCompleteness"]
    incomplete = [
        f"{symbol['name']}: {[each['message'] for each in symbol['diagnostics']]}"
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    assert incomplete == []
    assert report["completenessScore"] == 1


@pytest.mark.referee("pyright")
@pytest.mark.time_limit(600)
def test_the_package_passes_pyright(checkers):
    """The rules are in ``pyrightconfig.json``, with the reason for each that is off."""
    options = ("--outputjson", "--pythonpath", sys.executable, "--project", ROOT)
    found = [
        f"{error['file']}:{error['range']['start']['line'] + 1}: {error['message']}"
        for error in checkers.run_pyright(*options)["generalDiagnostics"]
    ]
    assert found == []
