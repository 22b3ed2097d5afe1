"""Nothing that the official JavaScript SDK can do is left out unnoticed."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.interop import javascript_surface as surface
from tests.interop.javascript_peer import CURRENT
from tests.interop.javascript_people import peer_on

pytestmark = pytest.mark.referee("javascript")

HERE = Path(__file__).parent
TYPES = CURRENT.cache / "node_modules" / "connectycube" / "dist" / "node" / "types"


@pytest.fixture(scope="module")
def functions(service):
    """Every function that the SDK has: all paths of it."""
    with peer_on(service) as peer:
        return [set(paths) for paths in peer.call("surface")]


def names_in(file):
    """The names of the tests of a file; those of a class after the class."""
    for node in ast.parse((HERE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef)
            )
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


def declarations(pattern):
    """What a pattern finds in the SDK's own types."""
    texts = (file.read_text(encoding="utf-8") for file in TYPES.rglob("*.d.ts"))
    return {found for text in texts for found in re.findall(pattern, text)}


def test_each_function_is_called_by_a_test_or_it_is_said_why_not(functions):
    named = {*surface.all_promised(), *surface.all_excused()}
    services = {name.removesuffix("*") for name in named if name.endswith(".*")}

    def is_named(path):
        return path in named or path.partition(".")[0] + "." in services

    assert [paths for paths in functions if not any(map(is_named, paths))] == []
    assert len(functions) > 150


def test_no_function_is_named_twice_or_without_being_there(functions):
    there = {path for paths in functions for path in paths}
    there |= {f"{path.partition('.')[0]}.*" for path in there}
    named = Counter([*surface.all_promised(), *surface.all_excused()])
    assert [path for path, times in named.items() if times > 1] == []
    assert [path for path in named if path not in there] == []


def test_each_test_that_is_named_exists():
    for file, tests in surface.CALLED_BY.items():
        assert tests.keys() <= set(names_in(file)), file


def test_what_is_said_to_be_private_is_private_in_the_types_of_the_sdk(functions):
    private = declarations(r"(?:private|protected) (\w+)")
    said = surface.CALLED_BY_NONE[surface.PRIVATE].split()
    assert [path for path in said if path.rpartition(".")[2] not in private] == []


def test_every_listener_of_the_sdk_is_set_here(functions):
    listeners = declarations(r"\b(on\w+): Chat\.On\w+;")
    assert "onMessageListener" in listeners
    assert {f"chat.{name}" for name in listeners} <= {path for paths in functions for path in paths}


def test_a_test_that_is_named_is_asked_for_its_calls():
    name = "test_javascript_connection.py::test_a_ping_is_answered"
    assert surface.promised(name) == {"chat.connect", "chat.ping", "chat.pingWithTimeout"}
    assert surface.promised("test_javascript_connection.py::test_of_another_kind") == set()
    assert surface.promised("test_prosody.py::test_a_ping_is_answered") == set()


def test_each_test_of_the_table_of_features_exists():
    named = re.findall(r"`(\w+)::(test_\w+)`", (HERE / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    absent = [
        (file, test) for file, test in named if test not in names_in(f"test_javascript_{file}.py")
    ]
    assert absent == []
