"""Each docstring of a public name says all that a caller needs, by itself: an editor shows one at a time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.public_names import (
    Function,
    PublicName,
    exported,
    fields_of,
    has_docstring_below,
    public_names,
)

NAMES = list(public_names())
CALLS = [one for one in NAMES if not one.is_class and not one.is_property]
CLASSES = [one for one in NAMES if one.is_class]
ERRORS = {*exported("connectycube.errors"), *exported("connectycube.contrib.relay.errors")}

# Objects of these classes are made by the package: their constructors are for nobody else.
MADE_BY_THE_PACKAGE = {
    *("AddressBook", "Chat", "ChatSignals", "Contacts", "CustomObjects", "DialogStream", "Dialogs"),
    *("Admin", "AdminDialogs", "AdminMeetings", "AdminMessages", "AdminStatistics", "AdminUsers"),
    *("Calls", "Meetings"),
    *("EmulatorClock", "EventStream", "Fault", "Faults", "Files", "Messages", "Privacy", "Push"),
    *("CommandNotRunError", "SendHandle", "Sessions", "Signal", "Users"),
}
# Classes whose objects only other classes use, which have an example.
WITHOUT_EXAMPLE = {"BaseListener", "Engine", "History"}
# Calls of the network that raise nothing.
RAISE_NOTHING = {
    *("ConnectyCube.close", "Chat.logout", "Chat.destroy", "Chat.statistics", "EventStream.close"),
    *("Fleet.close", "Fleet.statistics"),
}
# Of these classes nearly every method waits for the service, so its errors are part of what it does.
OF_THE_NETWORK = {
    *("AddressBook", "Chat", "ConnectyCube", "Contacts", "CustomObjects", "Dialogs", "EventStream"),
    *("Files", "Fleet", "Messages", "Privacy", "Push", "Sessions", "Users"),
    *("AdminDialogs", "AdminMeetings", "AdminMessages", "AdminStatistics", "AdminUsers"),
    *("Calls", "Meetings"),
}

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):$")
_ENTRY = re.compile(r"^    ([*\w.]+(?:, [*\w.]+)*): \S")


def sections_of(docstring: str) -> dict[str, list[str]]:
    """The lines of a docstring by section; those before the first one under an empty name."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for line in docstring.splitlines():
        heading = _SECTION.match(line)
        if heading:
            current = heading[1]
            found[current] = []
        else:
            found[current].append(line)
    return found


def entries_of(docstring: str, section: str) -> list[str]:
    """The names that a section explains, in its order."""
    lines = sections_of(docstring).get(section, [])
    names = [found[1].split(", ") for line in lines if (found := _ENTRY.match(line))]
    return [name.lstrip("*") for group in names for name in group]


def parameters_of(node: Function, *, is_method: bool) -> list[str]:
    """The names of a function's public parameters, without self and cls."""
    arguments = node.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    if is_method and "staticmethod" not in {ast.unparse(one) for one in node.decorator_list}:
        names = names[1:]
    names += [one.arg for one in arguments.kwonlyargs]
    names += [one.arg for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [name for name in names if not name.startswith("_")]


def prose_of(docstring: str) -> str:
    """A docstring without its examples and without what is code."""
    parts = sections_of(docstring)
    lines = [line for name, part in parts.items() if name != "Example" for line in part]
    lines = [re.sub(r"^    [*\w., ]+: ", "", line) for line in lines]
    text = re.sub(r"``.*?``|`[^`]*`|\"[^\"]*\"", "CODE", "\n".join(lines), flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


# --- arguments, results, errors ---------------------------------------------------------------------


def test_the_first_line_of_each_docstring_is_a_sentence():
    # Most editors show it alone in lists of names.
    wrong = [one.place for one in NAMES if one.docstring.partition("\n")[0][-1:] not in (".", ")")]
    assert wrong == []


def test_each_argument_is_explained_and_no_other():
    wrong = []
    for one in CALLS:
        assert not isinstance(one.node, ast.ClassDef)
        wanted = parameters_of(one.node, is_method=one.owner is not None)
        explained = entries_of(one.docstring, "Args")
        if sorted(wanted) != sorted(explained):
            wrong.append(f"{one.place}: {wanted} and not {explained}")
    assert wrong == []


def test_each_argument_of_a_constructor_is_explained():
    silent = []
    for one in CLASSES:
        if one.name in MADE_BY_THE_PACKAGE or not isinstance(one.node, ast.ClassDef):
            continue
        for member in one.node.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                text = f"{one.docstring}\n\n{ast.get_docstring(member) or ''}"
                explained = entries_of(text, "Args")
                missing = [
                    name for name in parameters_of(member, is_method=True) if name not in explained
                ]
                silent += [f"{one.place}: {name}" for name in missing]
    assert silent == []


def test_each_field_of_a_model_is_explained():
    silent = [
        f"{one.place}: {field}"
        for one in CLASSES
        if isinstance(one.node, ast.ClassDef)
        for field in fields_of(one.node)
        if field not in entries_of(one.docstring, "Args") + entries_of(one.docstring, "Attributes")
        and not has_docstring_below(one.node, field)
    ]
    assert silent == []


def test_each_result_is_explained():
    silent = []
    for one in CALLS:
        assert not isinstance(one.node, ast.ClassDef)
        result = "None" if one.node.returns is None else ast.unparse(one.node.returns)
        has_section = "Returns" in sections_of(one.docstring)
        if has_section != (result not in ("None", "NoReturn")):
            silent.append(f"{one.place}: {result}")
    assert silent == []


def raised_by(node: Function, errors_of: dict[str, list[str]]) -> Iterator[set[str]]:
    """The errors that a function raises itself: of each set one must be explained.

    Those are the errors in its ``raise`` statements, those of checks of arguments, and those of the public
    methods that it calls on self.
    """
    for each in ast.walk(node):
        if isinstance(each, ast.Raise) and each.exc is not None:
            name = ast.unparse(each.exc.func if isinstance(each.exc, ast.Call) else each.exc)
            if name in ERRORS or name in ("RuntimeError", "TimeoutError", "ValueError"):
                yield {name}
        elif isinstance(each, ast.Call):
            called = ast.unparse(each.func)
            name = called.rpartition(".")[2]
            if name.startswith("check_") and name not in ("check_fork", "check_open"):
                yield {"ArgumentTypeError", "ArgumentValueError"}
            elif called.startswith("self.") and errors_of.get(called.removeprefix("self.")):
                yield set(errors_of[called.removeprefix("self.")])


def test_each_error_that_a_call_raises_is_explained():
    by_class: dict[str, dict[str, list[str]]] = {}
    for one in CALLS:
        if one.owner is not None:
            method = one.name.partition(".")[2]
            by_class.setdefault(one.owner.name, {})[method] = entries_of(one.docstring, "Raises")
    silent = []
    for one in CALLS:
        assert not isinstance(one.node, ast.ClassDef)
        explained = set(entries_of(one.docstring, "Raises"))
        errors_of = by_class.get(one.owner.name, {}) if one.owner is not None else {}
        silent += [
            f"{one.place}: {sorted(errors)}"
            for errors in raised_by(one.node, errors_of)
            if not errors & explained
        ]
    assert silent == []


def test_each_call_of_the_network_explains_its_errors():
    silent = [
        one.place
        for one in CALLS
        if one.owner is not None
        and one.owner.name in OF_THE_NETWORK
        and one.name not in RAISE_NOTHING
        and not entries_of(one.docstring, "Raises")
    ]
    assert silent == []


# --- examples ---------------------------------------------------------------------------------------


def needs_example(one: PublicName) -> bool:
    """Whether a class is to be shown at work.

    Errors that add nothing to the class above them are not, nor are the names of keyword arguments.
    """
    if not isinstance(one.node, ast.ClassDef) or one.name in WITHOUT_EXAMPLE:
        return False
    if "TypedDict" in map(ast.unparse, one.node.bases):
        return False
    is_leaf = not any(
        one.name == ast.unparse(base)
        for other in CLASSES
        if isinstance(other.node, ast.ClassDef)
        for base in other.node.bases
    )
    adds_nothing = all(isinstance(each, ast.Expr) for each in one.node.body)
    return not (one.name.endswith("Error") and is_leaf and adds_nothing)


def test_each_class_has_an_example():
    assert [one.place for one in CLASSES if needs_example(one) and ">>>" not in one.docstring] == []


# --- words ------------------------------------------------------------------------------------------

# Free relative clauses lack the noun that they are about: "what came", "who waits", "which of them".
_WITHOUT_NOUN = re.compile(
    r"\b(?:what|whatever|whoever)\b(?! to do)|(?:^|[.;:(] |\b(?:and|or|but|than) )(?:who|whom)\b",
    re.IGNORECASE,
)
_DIALECT = re.compile(
    r"\b(?:anew|meanwhile|fleeting|overheard|taken over|hole|as those of|as that of|who waits|"
    r"nobody's|somebody's)\b|\bas for (?:the class\b|:|CODE|\w+\.)",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "public", [one for one in NAMES if one.docstring], ids=lambda one: one.name
)
def test_a_docstring_has_plain_words_and_stands_on_its_own(public):
    text = prose_of(public.docstring)
    found = [text[max(0, m.start() - 30) : m.end() + 30] for m in _WITHOUT_NOUN.finditer(text)]
    found += [text[max(0, m.start() - 30) : m.end() + 30] for m in _DIALECT.finditer(text)]
    assert found == [], public.place


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Tell who waits.", False),
        ("Wake the threads and who waits.", True),
        ("What came is kept.", True),
        ("The user who logged in.", False),
        ("The error says what to do.", False),
    ],
)
def test_a_clause_without_its_noun_is_found(text, is_found):
    assert bool(_WITHOUT_NOUN.search(text)) == is_found
