"""Names of a package whose modules are imported at their first use."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import typing
from pathlib import Path

import pytest

import connectycube
from connectycube import ConnectyCube, models
from connectycube._first_use import at_first_use

PACKAGES = [connectycube, models]
BY_NAME = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


@pytest.fixture
def garden(tmp_path, monkeypatch):
    """A package that has the names of two modules."""
    (tmp_path / "garden").mkdir()
    (tmp_path / "garden" / "__init__.py").write_text(
        "from connectycube._first_use import at_first_use\n"
        "__getattr__, __dir__ = at_first_use(__name__, {'trees': ['Oak', 'Elm'], 'weeds': ['Nettle']})\n"
    )
    (tmp_path / "garden" / "trees.py").write_text("class Oak: ...\nclass Elm: ...\nPine = 1\n")
    (tmp_path / "garden" / "weeds.py").write_text("raise RuntimeError('the bed is full')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("garden")
    for name in [name for name in sys.modules if name.partition(".")[0] == "garden"]:
        del sys.modules[name]


def test_a_module_is_imported_at_the_first_use_of_a_name(garden):
    assert "garden.trees" not in sys.modules
    oak = garden.Oak
    assert oak is sys.modules["garden.trees"].Oak
    assert vars(garden)["Oak"] is oak  # so that __getattr__ is not called for it again
    assert "garden.weeds" not in sys.modules


def test_dir_shows_each_name_before_its_first_use(garden):
    assert {"Oak", "Elm", "Nettle", "__getattr__"} <= set(dir(garden))
    assert "garden.trees" not in sys.modules


@pytest.mark.parametrize("name", ["Pine", "Rose", "trees"])
def test_a_name_that_the_package_does_not_give_is_an_attribute_error(garden, name):
    with pytest.raises(AttributeError, match=f"^module 'garden' has no attribute '{name}'$"):
        getattr(garden, name)


def test_the_error_of_a_module_is_raised_at_each_use(garden):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the bed is full"):
            _ = garden.Nettle


@BY_NAME
def test_type_checkers_lists_and_first_use_have_the_same_names(package):
    tree = ast.parse(Path(package.__file__).read_text())
    seen = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {(module, name) for module, names in package._NAMES.items() for name in names}
    assert sorted(name for _, name in seen) == package.__all__


@BY_NAME
def test_each_name_is_there_and_shown(package):
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert set(package.__all__) <= set(dir(package))


def test_the_functions_belong_to_the_package_that_asks(garden):
    getattr_, _ = at_first_use("garden", {"trees": ["Elm"]})
    assert getattr_("Elm") is garden.Elm


def test_the_type_hints_of_a_client_can_be_evaluated():
    # Not that of ``chat``: a program without a chat does not import what its hint would need.
    members = [
        member
        for name, member in vars(ConnectyCube).items()
        if not name.startswith("_") and name != "chat"
    ]
    getters = [member.fget for member in members if isinstance(member, property)]
    methods = [member for member in members if inspect.isfunction(member)]
    # Keywords that are unpacked have the type of a package that is not needed at run time.
    for function in (*getters, *methods):
        if "Unpack" not in str(function.__annotations__):
            assert "return" in typing.get_type_hints(function), function
    assert typing.get_type_hints(ConnectyCube.users.fget)["return"] is connectycube.rest.Users


def test_the_type_hints_of_each_model_can_be_evaluated():
    for name in models.__all__:
        model = getattr(models, name)
        assert typing.get_type_hints(model) is not None
        assert typing.get_type_hints(model.__init__) is not None, name
