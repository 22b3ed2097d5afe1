"""Writes the entries of the reference from signatures and docstrings, as reStructuredText.

A page in docs/reference has blocks of names, one a line; ``{reference} MODULE`` says where they are::

    ```{reference} connectycube
    Config
    Timeouts -member -other
    ```

Behind a name stand the members that are none of an application's concern. An entry of a class has its
fields and members, with types, defaults and descriptions. Members of a base that has an entry of its own are
described there. This module knows nothing of Sphinx's builder; extension.py puts the text where the blocks
are.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
from docstrings import (
    Docstring,
    annotation_text,
    example,
    indent,
    linked,
    outcomes,
    parameters,
    read,
    types_of,
)
from sphinx.pycode import ModuleAnalyzer

FOLDER = Path(__file__).parent / "reference"
BLOCK = re.compile(
    r"^```\{reference\} (?P<module>[\w.]+)\n(?P<names>.*?)^```$", re.MULTILINE | re.DOTALL
)

ALIASES = {
    "Answer": "Response | Exception | type[Exception] | Callable[[Request], Response]",
    "ConfigFields": "Config",
    "Unpack[ConfigFields]": "fields of :py:class:`~connectycube.Config`",
    **{
        f"Unpack[{name}]": "Any"
        for name in (
            *("AdminDialogLookups", "AdminMessageLookups", "DialogLookups", "MeetingLookups"),
            *("MessageLookups", "UserLookups"),
        )
    },
    "State": "str",
    "Unpack[ClientCredentials]": "as for :py:meth:`~connectycube.ConnectyCube.login`",
    "Unpack[Credentials]": "as for :py:meth:`~connectycube.ConnectyCube.login`",
    "Unpack[EngineOptions]": "float",
    "Unpack[MessageFields]": "fields of :py:class:`~connectycube.Message`",
    "Unpack[SwitchValues]": "fields of :py:class:`~connectycube.emulator.SwitchValues`",
    "Unpack[UserFields]": "fields of :py:class:`~connectycube.emulator.UserFields`",
    "Unpack[UserKey]": "str",
    "Handler | None": "Callable[[Request], Response] | None",
    "RecordLookup": "str | float | bool | datetime | Iterable[str | float | bool | datetime]",
    "SomeAttendees": "int | User | str | Attendee | Iterable[int | User | str | Attendee]",
    "SomeTime": "datetime | float",
    "SomeTypes": "int | DialogType | Iterable[int | DialogType]",
    "DialogLookups": "Any",
    "MessageLookups": "Any",
    "UserKey": "str",
    "UserLookups": "Any",
    "Destination": "DialogRef | Message",
    "DoneCallback": "Callable[[SendHandle], object]",
    "Credentials": "Mapping[str, Any]",
    "Deadline": "CallDeadline",
    "Event_co": "Event",
    "Outbox": "list[OutboxMessage]",
    "Parameter": "str | int | float | bool | Mapping[str, Any]",
    "Post": "Callable[[Callable[[], object]], object]",
    "Progress": "Callable[[int, int | None], None]",
    "RenewSession": (
        "Callable[[Session], Session | str | None]"
        " | Callable[[Session, ConnectyCube], Session | str | None]"
    ),
    "SomeMessages": "str | Message | Iterable[str | Message]",
    "SomeUsers": "int | User | Iterable[int | User]",
    "Manager": "Callable[[Chat, str | None, object, str], AbstractContextManager]",
    "_Model": "Self",
    "IdentityProvider": "Callable[[str], Mapping[str, Any] | None]",
    "SocialIdentity": "Callable[[str, Mapping[str, str]], Mapping[str, Any] | None]",
}
"""What stands for a name of an annotation that only the package's own code knows."""


@functools.cache
def listed() -> dict[str, str]:
    """Return the names that the pages of the reference list, and the module of each."""
    found: dict[str, str] = {}
    for page in sorted(FOLDER.glob("*.md")):
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            for name, _ in rows_of(block["names"]):
                if name in found:
                    raise ValueError(f"{page.name} lists {name}, which another page has, too")
                found[name] = block["module"]
    return found


def rows_of(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the names of a block, each with the members that its entry leaves out."""
    for line in text.splitlines():
        name, *without = line.split()
        yield name, frozenset(word.removeprefix("-") for word in without)


def known() -> dict[str, str]:
    """Return the full name of each entry by its short name."""
    return {name: f"{module}.{name}" for name, module in listed().items()}


def block(module: str, text: str) -> str:
    """Return the entries of a block."""
    _set_up_django(module)
    home = importlib.import_module(module)
    lines = [f".. py:currentmodule:: {module}", ""]
    for name, without in rows_of(text):
        lines += [*entry(home, name, without), ""]
    return "\n".join(lines)


def _set_up_django(module: str) -> None:
    """Let modules be imported that want a project of Django."""
    if not module.startswith("connectycube.contrib.django"):
        return
    import django
    from django.conf import settings

    if not settings.configured:
        apps = ("django.contrib.contenttypes", "django.contrib.auth", "connectycube.contrib.django")
        settings.configure(
            INSTALLED_APPS=apps,
            SECRET_KEY="a key",
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        )
        django.setup()


def entry(module: ModuleType, name: str, without: frozenset[str] = frozenset()) -> list[str]:
    """Return the entry of a class, an error, a function, a type or a value of a module."""
    value = getattr(module, name)
    if inspect.isclass(value):
        return _class(name, value, without)
    if inspect.isroutine(value):
        return _function("function", name, value)
    source = _analyzer(module.__name__)
    text = indent(linked(source.attr_docs.get(("", name), [""]), known()))
    if source.annotations.get(("", name)) == "TypeAlias":
        return [f".. py:type:: {name}", f"   :canonical: {_qualified(value)}", "", *text]
    return [f".. py:data:: {name}", "", *text]


# --- classes ----------------------------------------------------------------------------------------


def _class(name: str, cls: type[Any], without: frozenset[str]) -> list[str]:
    doc = read(_own_doc(cls))
    is_error = issubclass(cls, BaseException)
    is_made = "Args" in doc.items and not attrs.has(cls) and not is_error
    head = f"{name}{_signature(cls)}" if is_made else name
    lines = [f".. py:{'exception' if is_error else 'class'}:: {head}"]
    if (home := f"{cls.__module__}.{cls.__qualname__}") != known()[name]:
        lines.append(f"   :canonical: {home}")
    body = [*_bases(cls), *linked(doc.prose, known()), ""]
    if is_made:
        body += _parameters(doc, cls)
    body += [*outcomes(doc, _error_link), "", *example(doc), ""]
    for member, lines_of in (*_fields(cls, {} if is_made else _described(cls)), *_members(cls)):
        if member not in without:
            body += [*lines_of, ""]
    return [*lines, "", *indent(linked(body, known()))]


def _described(cls: type[Any]) -> dict[str, list[str]]:
    """Return what a class and its bases say of their fields."""
    found: dict[str, list[str]] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.startswith("connectycube"):
            found.update(read(_own_doc(each)).fields)
    return found


def _own_doc(cls: type[Any]) -> str | None:
    return cls.__doc__ if not (cls.__doc__ or "").startswith(f"{cls.__name__}(") else None


def _bases(cls: type[Any]) -> list[str]:
    """Return a line with the bases that have entries, and with the errors of Python."""
    bases = [
        f":py:class:`~{known()[base.__name__]}`"
        if base.__name__ in known()
        else f"``{base.__name__}``"
        for base in cls.__bases__
        if base.__name__ in known()
        or (issubclass(base, Exception) and base.__module__ == "builtins")
    ]
    return [f"Bases: {', '.join(bases)}", ""] if bases else []


def _is_ours(cls: type[Any]) -> bool:
    """Whether the members of a base are described with the class, as nobody else describes them."""
    return cls.__module__.startswith("connectycube") and cls.__name__ not in known()


def _sources(cls: type[Any]) -> list[type[Any]]:
    return [cls, *(base for base in cls.__mro__[1:] if _is_ours(base))]


@functools.cache
def _analyzer(module: str) -> ModuleAnalyzer:
    analyzer = ModuleAnalyzer.for_module(module)
    analyzer.analyze()
    return analyzer


def _fields(cls: type[Any], described: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the entries of an enumeration's members, of a class's fields, and of its plain attributes."""
    if issubclass(cls, enum.Enum):
        yield from _enum_members(cls)
        return
    texts, kinds = dict[str, list[str]](), dict[str, str]()
    for source in reversed(_sources_with_fields(cls)):
        analyzer = _analyzer(source.__module__)
        for (owner, name), text in analyzer.attr_docs.items():
            if owner == source.__qualname__ and not name.startswith("_"):
                texts[name] = text
        kinds.update(
            (name, kind)
            for (owner, name), kind in analyzer.annotations.items()
            if owner == source.__qualname__
        )
    texts.update(described)
    values = {name: repr(value) for name, value in vars(cls).items() if name.isupper()}
    slots = [name for name in vars(cls).get("__slots__", ()) if not name.startswith("_")]
    keys = cls.__annotations__ if hasattr(cls, "__total__") else ()  # of a TypedDict
    texts.update({name: texts.get(name, []) for name in (*values, *slots, *keys)})
    order = dict.fromkeys(texts)
    if attrs.has(cls):
        entries = [each for each in attrs.fields(cls) if not each.name.startswith("_")]
        order = dict.fromkeys((*(each.name for each in entries), *texts))
        for each in entries:
            kinds[each.name] = annotation_text(each.type)
            values[each.name] = _default(each.default)
    for name in order:
        if not _is_member(cls, name):
            yield (
                name,
                _attribute(name, kinds.get(name, ""), values.get(name, ""), texts.get(name, [])),
            )


def _sources_with_fields(cls: type[Any]) -> list[type[Any]]:
    """Return the classes whose attributes a class has; those of an attrs class have them all."""
    found = [base for base in cls.__mro__ if base.__module__.startswith("connectycube")]
    return found if attrs.has(cls) or issubclass(cls, BaseException) else _sources(cls)


def _is_member(cls: type[Any], name: str) -> bool:
    value = inspect.getattr_static(cls, name, None)
    return isinstance(value, (property, functools.cached_property)) or inspect.isroutine(value)


def _meanings() -> dict[enum.Enum, str]:
    """Return the texts of members that have none in the source."""
    from generate import MEANINGS

    from connectycube import DialogType

    return {
        **MEANINGS,
        DialogType.BROADCAST: "For reading; ordinary users cannot write. It is made in the admin panel.",
        DialogType.GROUP: "Several users, whom the owner and the admins add.",
        DialogType.PRIVATE: "Two users.",
        DialogType.PUBLIC: "Any user of the application can subscribe to it.",
        DialogType.MEETING: "The chat of a meeting, which newer SDKs make.",
    }


def _enum_members(cls: type[enum.Enum]) -> Iterator[tuple[str, list[str]]]:
    meanings = _meanings()
    texts = _analyzer(cls.__module__).attr_docs
    for member in cls:
        text = texts.get((cls.__qualname__, member.name)) or [meanings.get(member, "")]  # type: ignore[call-overload]
        yield (
            member.name,
            _attribute(
                member.name, "", repr(member.value), [re.sub(r"`+", "``", line) for line in text]
            ),
        )


def _attribute(name: str, kind: str, value: str, text: Sequence[str]) -> list[str]:
    lines = [f".. py:attribute:: {name}"]
    if kind:
        lines.append(f"   :type: {_qualified(kind)}")
    if value:
        lines.append(f"   :value: {value}")
    return [*lines, "", *indent(text)]


def _members(cls: type[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the entries of properties and methods, in the order of the source."""
    seen: set[str] = set()
    for source in _sources(cls):
        for name, value in vars(source).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(value, (property, functools.cached_property)):
                yield name, _property(name, value)
            elif isinstance(value, (classmethod, staticmethod)):
                kind = "classmethod" if isinstance(value, classmethod) else "staticmethod"
                yield name, _function("method", name, getattr(source, name), f":{kind}:")
            elif inspect.isfunction(value) and inspect.getdoc(value):
                yield name, _function("method", name, value)


def _property(name: str, value: Any) -> list[str]:
    getter = value.fget if isinstance(value, property) else value.func
    doc = read(getter.__doc__)
    kind = _qualified(annotation_text(inspect.signature(getter).return_annotation))
    lines = [f".. py:property:: {name}", *([f"   :type: {kind}"] if kind else []), ""]
    return [*lines, *indent([*doc.prose, "", *outcomes(doc, _error_link), "", *example(doc)])]


def _function(kind: str, name: str, value: Callable[..., Any], option: str = "") -> list[str]:
    doc = read(inspect.getdoc(value))
    lines = [f".. py:{kind}:: {name}{_signature(value)}"]
    if option:
        lines.append(f"   {option}")
    if inspect.iscoroutinefunction(value):
        lines.append("   :async:")
    body = [
        *doc.prose,
        "",
        *_parameters(doc, value),
        *outcomes(doc, _error_link),
        "",
        *example(doc),
    ]
    return [*lines, "", *indent(linked(body, known()))]


# --- signatures -------------------------------------------------------------------------------------


class _Shown:
    """A default as the reference shows it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _default(value: object) -> str:
    """Return a default as a reader would write it; empty for an argument that must be given."""
    if value is attrs.NOTHING or value is inspect.Parameter.empty:
        return ""
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        made = None if value.takes_self else value.factory()
        if isinstance(made, (dict, list, tuple, set)):
            return repr(made)
        return _name_of(value.factory, "()")
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if callable(value):
        return _name_of(value)
    text = f"{value:_}" if type(value) is int and value >= 10_000 else repr(value)
    return "…" if text.startswith("<") else text


def _name_of(value: Any, brackets: str = "") -> str:
    name: str = value.__name__
    return "…" if name.startswith("<") else f"{name}{brackets}"


def _parameters_of(value: Callable[..., Any]) -> list[inspect.Parameter]:
    found = list(inspect.signature(value).parameters.values())
    return found[1:] if found and found[0].name in ("self", "cls") else found


def _signature(value: Callable[..., Any]) -> str:
    """Return a signature: names and defaults, and what is returned; the types are in the list below it."""
    shown = [
        each.replace(
            annotation=inspect.Parameter.empty,
            default=_Shown(_default(each.default))
            if each.default is not inspect.Parameter.empty
            else inspect.Parameter.empty,
        )
        for each in _parameters_of(value)
        if not each.name.startswith("_")
    ]
    text = str(inspect.Signature(shown))
    kind = (
        ""
        if inspect.isclass(value)
        else annotation_text(inspect.signature(value).return_annotation)
    )
    return text if kind in ("", "None") else f"{text} -> {_qualified(kind)}"


_STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def _parameters(doc: Docstring, value: Callable[..., Any]) -> list[str]:
    found = [each for each in _parameters_of(value) if not each.name.startswith("_")]
    types = {
        _STARS.get(each.kind, "") + each.name: types_of(each.annotation, known(), ALIASES)
        for each in found
    }
    defaults = {
        each.name: _default(each.default)
        for each in found
        if each.default is not inspect.Parameter.empty
    }
    return list(parameters(doc, types, defaults))


def _qualified(kind: str) -> str:
    """Return an annotation in which the classes of the reference have their full names."""
    names = known()

    def full(found: re.Match[str]) -> str:
        name = ALIASES.get(found[0], found[0])
        if name == "type":  # Sphinx would take it for any attribute of that name
            return "builtins.type"
        return names.get(name.rpartition(".")[2], name)

    return re.sub(r"(?<!['\w.])[A-Za-z_][\w.]*(?!['\w])", full, ALIASES.get(kind, kind))


def _error_link(name: str) -> str:
    full = known().get(name.rpartition(".")[2])
    return f":py:exc:`~{full}`" if full else f"``{name}``"


# --- signals ----------------------------------------------------------------------------------------


def _signals_of(owner: Any) -> list[Any]:
    """Return the signals of a chat or a fleet, in the order of the source."""
    from connectycube.chat.chat_signals import SignalOf

    return [
        getattr(owner, name)
        for cls in reversed(type(owner).__mro__)
        for name, value in vars(cls).items()
        if isinstance(value, SignalOf)
    ]


def signals() -> str:
    """Return the signals as attributes of Chat and Fleet: each with the class of its events, and when."""
    from connectycube import ConnectyCube, Fleet
    from connectycube.chat.chat_signals import ChatSignals

    of_chat = _signals_of(ChatSignals())
    names = {each.name for each in of_chat}
    with ConnectyCube(app_id=1, auth_key="key") as cube:
        of_fleet = [each for each in _signals_of(Fleet(cube)) if each.name not in names]
    lines = [".. py:currentmodule:: connectycube", ""]
    for owner, found in (("Chat", of_chat), ("Fleet", of_fleet)):
        for signal in found:
            kind = _qualified(f"Signal[{signal.event.__name__}]")
            lines += [f".. py:attribute:: {owner}.{signal.name}", f"   :type: {kind}", ""]
            lines += indent([signal.__doc__ or "", ""])
    return "\n".join(lines)


# --- the command line -------------------------------------------------------------------------------


def commands() -> dict[str, str]:
    """Return, for each command, what it does, its arguments and its options."""
    from connectycube.cli.commands import COMMANDS

    return {
        name: "\n".join(_of_click(name) if row.place else _plain(name))
        for name, row in COMMANDS.items()
    }


def _option(name: str, words: str, text: str) -> list[str]:
    return [f".. option:: {words}", "", *indent([text]), ""]


def help_text(text: str) -> Iterator[str]:
    """Yield what a command says of itself: its prose, and as it stands what has lines that are indented."""
    for part in re.split(r"\n\s*\n", inspect.cleandoc(re.sub(r"[ \t]*\x08\n", "", text))):
        first, *rest = part.splitlines() or [""]
        if not re.search("^ ", part, re.MULTILINE):
            yield from re.sub("`+", "``", part).splitlines()
        else:
            if first.endswith(":"):
                yield from (first, "")
                first, *rest = rest
            shown = inspect.cleandoc("\n" + "\n".join([first, *rest])).splitlines()
            yield from (".. code-block:: text", "", *indent(shown))
        yield ""


def _of_click(name: str) -> list[str]:
    import click

    from connectycube.cli.shell import root

    with click.Context(root, info_name="connectycube") as context:
        command = root.get_command(context, name)
        assert command is not None
        return list(_click_command(command, f"connectycube {name}", context))


def _click_command(command: Any, path: str, parent: Any) -> Iterator[str]:
    import click

    context = click.Context(command, parent=parent, info_name=path.rpartition(" ")[2])
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield from (f".. program:: {path}", "", ".. code-block:: text", "", f"   {usage}", "")
    yield from help_text(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and "--help" not in record[0]:
            yield from _option(path, record[0].replace("; ", ", "), record[1])
    for name, child in getattr(command, "commands", {}).items():
        yield from _click_command(child, f"{path} {name}", context)


def _plain(name: str) -> list[str]:
    import argparse

    from connectycube.cli.commands import plain_parser

    _, parser = plain_parser(name)
    path = f"connectycube {name}"
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    lines = [f".. program:: {path}", "", ".. code-block:: text", "", f"   {usage}", ""]
    lines += help_text(parser.description or "")
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
        if action.option_strings:
            words = ", ".join(f"{word} {value}".strip() for word in action.option_strings)
        else:
            words = str(value or action.dest)
        lines += _option(path, words, action.help or "")
    return lines
