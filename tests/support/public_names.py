"""The public names of the package with their docstrings, read from the source: no framework is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

from tests.support.paths import ROOT

PACKAGE = ROOT / "connectycube"

PUBLIC_PACKAGES = (
    *("connectycube", "connectycube.chat", "connectycube.models", "connectycube.rest"),
    *("connectycube.emulator", "connectycube.testing"),
    *(f"connectycube.contrib.{name}" for name in ("celery", "desktop", "django", "flask")),
    *(f"connectycube.contrib.{name}" for name in ("opentelemetry", "relay", "sentry")),
    *("connectycube.contrib.django.backends", "connectycube.contrib.django.testing"),
)
"""The packages and modules of which ``__all__`` is for everybody."""

REACHED = (
    "connectycube.rest.sessions.Sessions",
    "connectycube.rest.admin.AdminUsers",
    "connectycube.rest.admin_dialogs.AdminDialogs",
    "connectycube.rest.admin_messages.AdminMessages",
    "connectycube.rest.admin_statistics.AdminStatistics",
    "connectycube.rest.meetings.AdminMeetings",
    "connectycube.chat.contacts.Contacts",
    "connectycube.chat.privacy.Privacy",
    "connectycube.chat.chat_signals.ChatSignals",
)
"""The classes that no package exports: properties of public classes return their objects."""

FOR_THE_PACKAGE_ALONE = {
    *("DeadLetters.add", "DeadLetters.has", "DeadLetters.marked", "DeadLetters.remove"),
    *("Dialogs.changed", "Messages.changed", "Messages.stored_ids"),
    *("DialogStream.begin", "DialogStream.put", "EventStream.end", "EventStream.put"),
    *("EmulatorClock.move", "Exchanges.add", "Exchanges.unwatch", "Exchanges.watch"),
    *("Fault.use", "Faults.concerns", "Faults.end", "Faults.find", "Faults.remove", "Faults.take"),
    *("HttpIdentityProvider.identity", "HttpIdentityProvider.question", "Switch.from_text"),
    *("SendHandle.run", "SendHandle.settle", "SendHandle.settle_in_child"),
    *("Signal.connect_via", "Signal.connections_for", "Signal.disconnect_sender", "Signal.names"),
}
"""Methods without an underscore that other modules of the package call, and no user."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class PublicName:
    """A class, a function, a property or a field, with its docstring and the place of its definition."""

    path: Path
    name: str
    node: ast.ClassDef | Function
    owner: ast.ClassDef | None = None

    @property
    def docstring(self) -> str:
        """The docstring without its indentation; empty if there is none."""
        return ast.get_docstring(self.node) or ""

    @property
    def place(self) -> str:
        """File, line and name."""
        return f"{self.path.relative_to(ROOT)}:{self.node.lineno} {self.name}"

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def decorators(self) -> set[str]:
        """The names of its decorators, without their arguments."""
        return {
            ast.unparse(one.func if isinstance(one, ast.Call) else one)
            for one in self.node.decorator_list
        }

    @property
    def is_property(self) -> bool:
        """Whether it is read without a call."""
        return bool(self.decorators & {"property", "cached_property", "functools.cached_property"})


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def path_of(module: str) -> Path | None:
    """The file of a module of the package; None if there is none."""
    folder = ROOT.joinpath(*module.split("."))
    for path in (folder.with_suffix(".py"), folder / "__init__.py"):
        if path.exists():
            return path
    return None


def exported(module: str) -> list[str]:
    """The names in ``__all__`` of a module."""
    for node in ast.walk(tree_of(_existing(module))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [
                ast.literal_eval(one) for one in node.value.elts if isinstance(one, ast.Constant)
            ]  # type: ignore[attr-defined]
    return []


def definition(module: str, name: str) -> tuple[Path, ast.ClassDef | Function] | None:
    """Where a name of a module is defined, through the imports between; None for a value or a module."""
    path = _existing(module)
    body = [*tree_of(path).body]
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            body += node.body
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == name and not _is_overload(node):
                return path, node
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    origin = _origin(module, path, node)
                    if (
                        origin.startswith("connectycube")
                        and path_of(f"{origin}.{alias.name}") is None
                    ):
                        return definition(origin, alias.name)
    if module == "connectycube":
        return definition("connectycube.errors", name)
    return None


def _existing(module: str) -> Path:
    path = path_of(module)
    assert path is not None, module
    return path


def _origin(module: str, path: Path, node: ast.ImportFrom) -> str:
    parts = module.split(".")
    if node.level:
        above = len(parts) - node.level + (path.name == "__init__.py")
        parts = parts[:above]
    else:
        parts = []
    return ".".join([*parts, *([node.module] if node.module else [])])


def _is_overload(node: ast.ClassDef | Function) -> bool:
    return any(ast.unparse(one).endswith("overload") for one in node.decorator_list)


def module_of(path: Path) -> str:
    """The name of the module in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def bases_of(path: Path, node: ast.ClassDef) -> Iterator[tuple[Path, ast.ClassDef]]:
    """The classes of the package that a class inherits from."""
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0]
        if "." in name:
            continue
        found = definition(module_of(path), name)
        if found is not None and isinstance(found[1], ast.ClassDef):
            yield found[0], found[1]
            yield from bases_of(found[0], found[1])


def public_names() -> Iterator[PublicName]:
    """All public classes and functions, and the public methods and properties of these classes."""
    seen: set[tuple[Path, int]] = set()
    wanted = [(module, name) for module in PUBLIC_PACKAGES for name in exported(module)]
    wanted += [tuple(one.rsplit(".", 1)) for one in REACHED]  # type: ignore[misc]
    for module, name in wanted:
        found = definition(module, name)
        if found is None:
            continue
        path, node = found
        if isinstance(node, ast.ClassDef):
            classes = [(path, node), *bases_of(path, node)]
        else:
            classes = []
            if (path, node.lineno) not in seen:
                seen.add((path, node.lineno))
                yield PublicName(path, name, node)
        for where, cls in classes:
            if cls.name == "NotCopied" or (where, cls.lineno) in seen:
                continue
            seen.add((where, cls.lineno))
            yield PublicName(where, cls.name, cls)
            for member in cls.body:
                if (
                    isinstance(member, _FUNCTIONS)
                    and not member.name.startswith("_")
                    and not _is_overload(member)
                    and not any(
                        ast.unparse(one).endswith(".setter") for one in member.decorator_list
                    )
                    and f"{cls.name}.{member.name}" not in FOR_THE_PACKAGE_ALONE
                ):
                    yield PublicName(where, f"{cls.name}.{member.name}", member, cls)


def fields_of(node: ast.ClassDef) -> list[str]:
    """The names of the public fields of an attrs class that can be given to its constructor."""
    if not any(
        ast.unparse(one).partition("(")[0] in ("frozen", "define") for one in node.decorator_list
    ):
        return []
    return [
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and not each.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(each.annotation)
    ]


def has_docstring_below(node: ast.ClassDef, field: str) -> bool:
    """Whether a string explains a field, right below it."""
    for each, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and each.target.id == field
        ):
            return isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return False
