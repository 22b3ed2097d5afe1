"""Who may know whom: the layout's rules, read from the source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from attrs import frozen

import connectycube
from tests.support.libraries import ONLY_IN
from tests.support.paths import ROOT

PACKAGE = Path(connectycube.__file__).parent
MOST_LINES = 900
TESTS = ROOT / "tests"
LONGEST_NAME = 70

BASE = {"errors", "_checks", "_containers", "_secrets"}
TOOLS = {
    *("_backoff", "_deadline", "_dial", "_expat", "_first_use", "_forks", "_hosts", "_network"),
    "_not_copied",
    *("_os_errors", "_proxy", "_proxy_handshake", "_redact", "_threads", "_tls"),
    *("_tls_tunnel", "_transient"),
    "_xml",
}
VALUES = BASE | TOOLS | {"config", "models", "observer"}
PUBLIC = {
    *("connectycube", "connectycube._checks", "connectycube._containers", "connectycube.emulator"),
    *("connectycube.errors", "connectycube.testing", "connectycube.typing"),
}

# The parts of the package, and which others each may import. What is not named here may import none.
MAY_KNOW: dict[str, set[str]] = {
    "errors": set(),
    "_checks": {"errors", "_containers"},
    "_containers": set(),
    "_secrets": {"_checks"},
    "_redact": {"_containers", "_secrets"},
    "_backoff": {"config"},
    "_deadline": BASE,
    "_dial": {
        "_secrets",
        "_network",
        "_os_errors",
        "_proxy",
        "_proxy_handshake",
        "_tls",
        "_tls_tunnel",
    },
    "_expat": set(),
    "_first_use": set(),
    "_forks": set(),
    "_not_copied": {"errors"},
    "_hosts": set(),
    "_network": {"_secrets", "_proxy", "_tls", "config"},
    "_os_errors": set(),
    "_proxy": {"_hosts", "_secrets", "errors"},
    "_proxy_handshake": {"_proxy"},
    "_threads": set(),
    "_tls": BASE | {"_os_errors"},
    "_tls_tunnel": set(),
    "_transient": {"errors"},
    "_xml": {"errors"},
    "config": BASE | {"_hosts", "_proxy", "_transient", "observer"},
    "models": BASE | {"_first_use", "_xml"},
    "observer": BASE | {"models"},
    "rest": VALUES,
    "chat": VALUES,
    "client": VALUES | {"rest", "chat"},
    "fleet": VALUES | {"rest", "chat", "client"},
    "typing": VALUES | {"rest", "client"},
    "emulator": BASE | {"config"},
    "__init__": VALUES | {"rest", "chat", "client", "fleet"},
}
# The folders of the emulator, and which others each may import; its own modules on top know all of them.
EMULATOR_MAY_KNOW: dict[str, set[str]] = {
    "db": set(),
    "domain": {"db"},
    "control": {"db", "domain"},
    "net": {"db", "domain", "control"},
    "storage": {"db", "domain", "control", "net"},
    "remote": {"db", "domain", "control", "net"},
    "api": {"db", "domain", "control", "net", "storage"},
    "xmpp": {"db", "domain", "control", "net"},
}
# Parts that use what the package shows to everybody, as an application would, and its checks of arguments.
OUTSIDERS = {"cli", "contrib", "testing", "__main__"}
# What the command line shares with the integrations.
SHARED = "connectycube.contrib.common."
# The integration that is the business of a library, which no other part imports.
OF_INTEGRATION = {
    "celery": "celery",
    "django": "django",
    "flask": "flask",
    "opentelemetry": "opentelemetry",
    "pika": "relay",
    "redis": "relay",
    "sentry_sdk": "sentry",
}
# What the core without I/O must be handed.
OUTSIDE_WORLD = {
    *(
        "asyncio",
        "concurrent",
        "logging",
        "multiprocessing",
        "os",
        "queue",
        "random",
        "sched",
        "secrets",
    ),
    *(
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
    ),
    *("time", "uuid"),
}
CLOCKS = {"now", "utcnow", "today"}


@frozen
class Import:
    """One imported module, with the file and line that import it."""

    where: str
    part: str
    module: str

    @property
    def top(self) -> str:
        """The name of the package on top of it."""
        return self.module.partition(".")[0]

    @property
    def part_of_ours(self) -> str | None:
        """The part of connectycube that is imported; None for other packages."""
        if self.top != "connectycube":
            return None
        return [*self.module.split("."), "__init__"][1]


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[Import]:
    """All imports of a file, those inside functions and for the type checker included."""
    package = ["connectycube", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            modules = [_module(base, alias.name) for alias in node.names]
        else:
            continue
        where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
        yield from (Import(where, part_of(path), module) for module in modules)


def _module(base: str, name: str) -> str:
    """``from base import name`` imports a module if there is one of that name in our package."""
    folder = PACKAGE.parent.joinpath(*base.split("."))
    is_module = (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
    return f"{base}.{name}" if is_module else base


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [entry for path in sources() for entry in imports_of(path)]


def test_relative_nested_and_absolute_imports_are_all_seen(imports):
    seen = {(entry.part, entry.module) for entry in imports}
    assert ("client", "connectycube.rest._api") in seen  # from .rest._api import …
    assert ("config", "connectycube._checks") in seen  # from . import checks
    assert ("emulator", "connectycube.config") in seen  # inside a function
    assert ("chat", "xmpp.simplexml") in seen


def test_every_part_of_the_package_has_its_rule():
    assert {part_of(path) for path in sources()} <= MAY_KNOW.keys() | OUTSIDERS


def test_each_part_imports_only_what_it_may_know(imports):
    strangers = [
        f"{entry.where} imports {entry.module}"
        for entry in imports
        if entry.part in MAY_KNOW
        and entry.part_of_ours not in {None, entry.part, *MAY_KNOW[entry.part]}
    ]
    assert strangers == []


def test_each_folder_of_the_emulator_imports_only_what_it_may_know(imports):
    found = [
        (entry, entry.where.split("/")[1], entry.module.split(".")[2])
        for entry in imports
        if entry.where.count("/") == 2 and entry.module.startswith("connectycube.emulator.")
    ]
    strangers = [
        f"{entry.where} imports {entry.module}"
        for entry, folder, other in found
        if folder in EMULATOR_MAY_KNOW
        and other not in {folder, "settings", *EMULATOR_MAY_KNOW[folder]}
    ]
    assert {folder for _, folder, _ in found} >= EMULATOR_MAY_KNOW.keys() - {"db"}
    assert strangers == []


def test_modules_import_each_other_in_no_circle():
    graph = {
        name_of(path): {entry.module for entry in imports_of(path)} - {name_of(path)}
        for path in sources()
    }
    # For type checkers alone: a receiver is called with the chat, whose signals are among its parts.
    graph["connectycube.chat.signals"].remove("connectycube.chat.chat")
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the circle


def test_command_line_plugins_and_integrations_use_public_modules_only(imports):
    private = [
        f"{entry.where} imports {entry.module}"
        for entry in imports
        if entry.part in OUTSIDERS
        and entry.part_of_ours not in (None, entry.part)
        and entry.module not in PUBLIC
        and not (entry.part == "cli" and entry.module.startswith(SHARED))
        and not (entry.part == "__main__" and entry.module == "connectycube.cli")
        and not (entry.part == "cli" and entry.module == "connectycube.contrib.relay")
    ]
    assert private == []


def test_each_library_stays_in_the_part_whose_business_it_is(imports):
    elsewhere = [
        f"{entry.where} imports {entry.module}"
        for entry in imports
        if entry.top in ONLY_IN
        and not entry.where.startswith(f"{ONLY_IN[entry.top]}/")
        and entry.part not in OUTSIDERS
    ]
    assert elsewhere == []


def test_each_framework_stays_in_its_integration(imports):
    elsewhere = [
        f"{entry.where} imports {entry.module}"
        for entry in imports
        if entry.top in OF_INTEGRATION
        and not entry.where.startswith(f"contrib/{OF_INTEGRATION[entry.top]}/")
    ]
    assert elsewhere == []
    assert {entry.top for entry in imports} >= OF_INTEGRATION.keys()


def test_errors_and_checks_need_the_standard_library_only(imports):
    others = [
        entry
        for entry in imports
        if entry.part in BASE and entry.top not in {*sys.stdlib_module_names, "connectycube"}
    ]
    assert others == []


def test_the_core_without_io_imports_nothing_of_the_outside_world(imports):
    outside = [
        f"{entry.where} imports {entry.module}"
        for entry in imports
        if entry.where.startswith("chat/protocol/") and entry.top in OUTSIDE_WORLD
    ]
    assert outside == []


def test_the_core_without_io_reads_no_clock():
    readings = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted((PACKAGE / "chat" / "protocol").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    ]
    assert readings == []


def test_every_module_can_be_read_in_one_go():
    sizes = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in sources()
    }
    assert {name for name, size in sizes.items() if size > MOST_LINES} == set()


def test_no_class_is_cut_in_halves():
    text = "\n".join(path.read_text() for path in sources())
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    bases = [ast.unparse(base).partition("[")[0] for node in classes for base in node.bases]
    halves = [
        node.name
        for node in classes
        if bases.count(node.name) == 1
        and f"{node.name}(" not in text.replace(f"class {node.name}(", "")
        and borrowed_attributes(node)
    ]
    assert [name for name in halves if name not in vars(connectycube.errors)] == []


def borrowed_attributes(node: ast.ClassDef) -> set[str]:
    """The attributes of self that a class uses and does not make: a subclass has to."""
    of_self = [
        each
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "self"
    ]
    made = {each.attr for each in of_self if isinstance(each.ctx, ast.Store)}
    made |= {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    made |= {
        ast.unparse(name)
        for each in node.body
        if isinstance(each, ast.Assign)
        for name in each.targets
    }
    return {each.attr for each in of_self} - made


@pytest.mark.parametrize(
    ("source", "borrowed"),
    [
        ("class Whole:\n def __init__(self):\n  self.a = 1\n def b(self):\n  return self.a", set()),
        ("class Half:\n a: int\n def b(self):\n  return self.a", {"a"}),
        ("class Half:\n def b(self):\n  return self.c()", {"c"}),
    ],
)
def test_a_half_uses_what_it_does_not_make(source, borrowed):
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert borrowed_attributes(node) == borrowed


# --- the mutex of the connection --------------------------------------------------------------------

WITH_THE_MUTEX = {"driver": "Driver", "sender": "Sender"}
"""The classes whose methods take the mutex, by the module of the chat."""
ASSERTION = "assert self._mutex.locked()"


def methods_of(module: str) -> dict[str, ast.FunctionDef]:
    path = PACKAGE / "chat" / f"{module}.py"
    (found,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == WITH_THE_MUTEX[module]
    )
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


def calls_without_mutex(node: ast.AST) -> Iterator[str]:
    """The methods that are called on self outside of ``with self._mutex``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and any(
            ast.unparse(item.context_expr) == "self._mutex" for item in child.items
        ):
            continue
        if isinstance(child, ast.Call) and ast.unparse(child.func).startswith("self."):
            yield ast.unparse(child.func).removeprefix("self.")
        yield from calls_without_mutex(child)


NEEDING = {
    "driver": {"after_command", "_hand_over", "_write", "_read", "_tick", "_wait", "_end_if_lost"},
    "sender": {"wait_for_room"},
}


@pytest.mark.parametrize("module", WITH_THE_MUTEX)
def test_a_method_that_needs_the_mutex_is_called_with_it(module):
    methods = methods_of(module)
    needing = {
        name
        for name, method in methods.items()
        if ASSERTION in [ast.unparse(statement) for statement in method.body[:2]]
    }
    assert needing >= NEEDING[module]
    unguarded = [
        f"{name} calls {called}"
        for name, method in methods.items()
        if name not in needing
        for called in calls_without_mutex(method)
        if called in needing
    ]
    assert unguarded == []


def test_the_core_is_touched_with_the_mutex_held():
    changing = {
        "core.login",
        "core.close",
        "core.receive",
        "core.tick",
        "core.link_up",
        "core.abort",
    }
    methods = methods_of("driver")
    touching = [
        f"{name} calls {called}"
        for name, method in methods.items()
        if ASSERTION not in [ast.unparse(statement) for statement in method.body[:2]]
        for called in calls_without_mutex(method)
        if called in changing
    ]
    assert touching == []


# --- the public names -------------------------------------------------------------------------------


def test_the_public_names_are_sorted_without_repetition():
    assert connectycube.__all__ == sorted(set(connectycube.__all__))


# --- the tests themselves ---------------------------------------------------------------------------


def test_tests_reach_inside_through_one_file_only():
    inside = re.compile(r"(?<!self)(?<!rest)\._(driver|api|signals)\b|emulator\._call\b")
    reaching = [
        f"{path.relative_to(TESTS)}:{number}"
        for path in TESTS.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if inside.search(line) and path != TESTS / "support" / "inside.py"
    ]
    assert reaching == []


def test_no_test_has_a_name_that_tells_a_story():
    names = [
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    ]
    assert [name for name in names if len(name) > LONGEST_NAME] == []
