"""The keyword arguments that type checkers know are those that the package takes at run time."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectycube import Message
from connectycube.contrib.common.offline import MessageFields
from connectycube.contrib.relay.engines import EngineOptions
from connectycube.contrib.relay.rabbitmq import RabbitEngine
from connectycube.contrib.relay.redis_streams import RedisEngine
from connectycube.emulator.control import faults
from connectycube.emulator.control.seeder import USER_FIELDS, UserFields
from connectycube.emulator.settings import SWITCHES, Settings, SwitchValues


def methods_for_type_checkers(module: Path, name: str) -> dict[str, ast.FunctionDef]:
    """Return the methods of a class that are there for type checkers alone."""
    (found,) = [
        node
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return {
        method.name: method
        for block in found.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for method in block.body
        if isinstance(method, ast.FunctionDef)
    }


def test_the_switches_have_the_types_of_the_settings():
    declared = Settings.__annotations__
    assert SwitchValues.__annotations__.keys() == SWITCHES.keys()
    for name, kind in SwitchValues.__annotations__.items():
        assert kind.__forward_arg__ == declared[name], name


def test_a_user_of_the_emulator_has_the_fields_of_a_sign_up():
    assert UserFields.__annotations__.keys() == USER_FIELDS - {"login", "password"}


def test_a_message_that_is_delivered_has_the_fields_of_a_message():
    fields = {entry.name for entry in attrs.fields(Message) if entry.init}
    assert MessageFields.__annotations__.keys() == fields - {"body", "dialog"}


def test_the_options_of_an_engine_are_its_arguments():
    taken = [inspect.signature(engine).parameters for engine in (RedisEngine, RabbitEngine)]
    assert EngineOptions.__annotations__.keys() == {*taken[0], *taken[1]} - {"url", "prefix"}


def test_each_fault_of_the_table_has_a_method_with_its_parameters():
    methods = methods_for_type_checkers(Path(faults.__file__), "Faults")
    assert methods.keys() == faults.FAULTS.keys()
    for name, method in methods.items():
        parameters = faults.FAULTS[name].parameters
        named, defaults = method.args.kwonlyargs, method.args.kw_defaults
        assert [each.arg for each in named] == list(parameters)
        for each, default in zip(named, defaults, strict=True):
            parameter = parameters[each.arg]
            assert parameter.required is (default is None), (name, each.arg)
            if default is not None:
                assert ast.literal_eval(default) == parameter.default, (name, each.arg)


PACKAGES = (
    *("connectycube", "connectycube.emulator", "connectycube.testing"),
    *(f"connectycube.contrib.{name}" for name in ("celery", "desktop", "flask", "relay", "sentry")),
)


def _is_function(member: object) -> bool:
    return inspect.isfunction(member) or inspect.ismethod(member)


def public_functions(package: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the public functions of a package, and the methods of its classes, with their names."""
    module = importlib.import_module(package)
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found):
            for method, function in inspect.getmembers(found, _is_function):
                is_ours = str(getattr(function, "__module__", "")).startswith("connectycube")
                if is_ours and (method == "__init__" or not method.startswith("_")):
                    yield f"{name}.{method}", function
        elif inspect.isfunction(found):
            yield name, found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_front_door_takes_keywords_of_any_kind(package):
    """A keyword that does not exist is a mistake that a type checker has to find."""
    open_to_all = [
        name
        for name, function in public_functions(package)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD and parameter.annotation in ("Any", Any)
    ]
    assert open_to_all == []
