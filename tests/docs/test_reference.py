"""The reference: it has every public name, and what a reader sees of each can be read."""

from __future__ import annotations

import ast
import builtins
import html
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Iterator

import attrs
import pytest

import connectycube
from connectycube import ConnectyCube
from connectycube.chat.chat_signals import ChatSignals
from tests.support.inside import signals_of
from tests.support.paths import ROOT
from tests.support.public_names import FOR_THE_PACKAGE_ALONE

DOCS = ROOT / "docs"
MODULES = (
    *("connectycube", "connectycube.emulator", "connectycube.testing"),
    *(
        f"connectycube.contrib.{name}"
        for name in (
            *("celery", "desktop", "django", "django.backends", "django.testing", "flask"),
            *("opentelemetry", "relay", "sentry"),
        )
    ),
)
ELSEWHERE = {
    "connectycube.emulator": {"SWITCHES"},  # a table in the guide
    "connectycube.testing": {"Request", "Response"},  # of connectycube
    "connectycube.contrib.desktop": {"Post"},  # a type, told in words
    "connectycube.contrib.django": {"signals", "testing"},  # modules
    "connectycube.contrib.django.testing": {"OutboxMessage"},  # of connectycube.contrib.flask, too
}
"""Public names that have no entry."""


@pytest.fixture(scope="module")
def entries():
    before = set(sys.modules)
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("entries")
    sys.path.remove(str(DOCS))
    for name in ("entries", "docstrings", "generate"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def extension(entries):
    yield importlib.import_module("extension")
    sys.modules.pop("extension", None)


@pytest.fixture(scope="module")
def docstrings(entries):
    return sys.modules["docstrings"]


def public_names(module: str) -> set[str]:
    """What a module says in ``__all__``, read without importing what it needs."""
    source = ROOT / module.replace(".", "/")
    file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return set(ast.literal_eval(statement.value))
    raise AssertionError(f"{module} has no __all__")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_one_entry(entries, module):
    listed = {name for name, home in entries.listed().items() if home == module}
    assert listed == public_names(module) - ELSEWHERE.get(module, set())


@pytest.mark.parametrize("part", ["chat", "models", "rest"])
def test_the_names_of_a_part_have_entries_too(entries, part):
    types_alone = {"History"}  # the two functions that a Chat without a client is given
    assert public_names(f"connectycube.{part}") - types_alone <= entries.listed().keys()


def test_every_resource_of_a_client_has_an_entry(entries):
    with ConnectyCube(app_id=1, auth_key="key") as cube:
        for resource in (
            *(cube.sessions, cube.users, cube.dialogs, cube.messages),
            *(cube.files, cube.push, cube.address_book, cube.custom_objects),
            *(cube.chat.contacts, cube.chat.privacy),
        ):
            assert type(resource).__name__ in entries.listed()


def test_a_name_on_two_pages_is_refused(entries, tmp_path, monkeypatch):
    for page in ("one", "two"):
        (tmp_path / f"{page}.md").write_text("```{reference} connectycube\nConfig\n```\n")
    monkeypatch.setattr(entries, "FOLDER", tmp_path)
    entries.listed.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"two\.md lists Config"):
            entries.listed()
    finally:
        entries.listed.cache_clear()


# --- what a reader sees ---------------------------------------------------------------------------


def text_of(entries, module: str, names: str) -> str:
    return entries.block(module, names)


def test_a_signature_shows_names_and_defaults(entries):
    text = text_of(entries, "connectycube", "DialogRef")
    assert ".. py:method:: room(dialog_id, type=DialogType.GROUP) -> connectycube.DialogRef" in text


def rows_of(text: str) -> set[tuple[str, ...]]:
    """The rows of the tables of parameters, each with the first line of its cells."""
    rows = re.findall(r"^ +\* - (.*)\n((?: +- .*\n|(?! +\* -) {10,}.*\n)*)", text, re.MULTILINE)
    return {
        (name, *(line.strip()[2:] for line in cells.splitlines() if re.match(" +- ", line)))
        for name, cells in rows
    }


def test_a_parameter_is_a_row_with_type_default_and_text(entries):
    rows = rows_of(text_of(entries, "connectycube", "Chat"))
    assert ("name", "type", "default", "meaning") in rows
    found = [row for row in rows if row[:3] == ("``timeout``", "float \\| None", "``None``")]
    assert any(row[3].startswith("Seconds until the connection is READY") for row in found)


def test_a_table_without_defaults_has_no_column_for_them(docstrings):
    doc = docstrings.read("Do it.\n\nArgs:\n    one: The first,\n        in two lines.\n")
    assert list(docstrings.parameters(doc, {"one": "int", "**more": ""}, {})) == [
        ":Parameters:",
        "   .. list-table::",
        "      :class: parameters",
        "      :header-rows: 1",
        "",
        "      * - name",
        "        - type",
        "        - meaning",
        "      * - ``one``",
        "        - int",
        "        - The first,",
        "          in two lines.",
        "      * - ``**more``",
        "        -",
        "        -",
        "",
    ]


def test_a_type_of_the_reference_is_a_link(entries):
    text = text_of(entries, "connectycube", "Chat")
    assert "- int \\| \\ :py:class:`~connectycube.User`\\  \\| None\n" in text


def test_each_error_of_raises_is_a_link(entries):
    text = text_of(entries, "connectycube", "Chat")
    both = ":py:exc:`~connectycube.ArgumentTypeError`, :py:exc:`~connectycube.ArgumentValueError` –"
    assert both in text
    raised = re.findall(
        r"^\s+\* (.*) – ", "\n".join(re.findall(r":Raises:\n(?:.*\n)+?\n", text)), re.M
    )
    assert all(
        re.fullmatch(r":py:exc:`[^`]+`|``(?:Exception|BaseException)``", each)
        for line in raised
        for each in line.split(", ")
    )


@pytest.mark.parametrize(
    "name", ["Timeouts", "ReconnectPolicy", "Message", "Dialog", "StateChange"]
)
def test_each_field_of_a_model_has_its_type_and_default(entries, name):
    text = text_of(entries, "connectycube", name)
    for entry in attrs.fields(getattr(connectycube, name)):
        found = re.search(rf"^   \.\. py:attribute:: {entry.name}\n((?:      :.*\n)*)", text, re.M)
        assert ":type: " in found[1], entry.name
        assert (":value: " in found[1]) == (entry.default is not attrs.NOTHING), entry.name


@pytest.mark.parametrize("name", ["ChatState", "DialogType"])
def test_each_member_of_an_enumeration_has_its_text(entries, name):
    text = text_of(entries, "connectycube", name)
    for member in getattr(connectycube, name):
        assert re.search(rf":: {member.name}\n +:value: {member.value!r}\n\n +\S", text), member


def test_the_attributes_of_a_handle_have_entries(entries):
    text = text_of(entries, "connectycube", "SendHandle")
    assert all(f".. py:attribute:: {name}\n" in text for name in ("id", "message", "server_copy"))


def test_each_signal_is_an_attribute_with_its_event_and_text(entries):
    text = entries.signals()
    for signal in signals_of(ChatSignals()):
        head = f".. py:attribute:: Chat.{signal.name}\n   :type: connectycube.Signal[connectycube."
        assert f"{head}{signal.event.__name__}]\n\n   {signal.__doc__}" in text
    assert "Fleet.member_failed\n   :type: connectycube.Signal[connectycube.MemberFailure]" in text


def test_each_command_has_its_options(entries):
    from connectycube.cli.commands import COMMANDS

    found = entries.commands()
    assert list(found) == list(COMMANDS)
    for name, text in found.items():
        assert text.startswith(f".. program:: connectycube {name}\n")
    assert ".. option:: --storage-https-port N" in found["emulator"]
    assert ".. option:: --password-stdin" in found["login"]


@pytest.mark.parametrize(
    "text",
    ["Example:\n    x = 1\n", "Example:\n    ::\n\n        x = 1\n", "Example::\n\n    x = 1\n"],
)
def test_an_example_is_a_block_of_code_with_a_title(docstrings, text):
    lines = list(docstrings.example(docstrings.read(f"Do it.\n\n{text}")))
    assert lines[0] == ".. rubric:: Example"
    assert any("::" in line for line in lines[1:])
    assert re.fullmatch(r" +x = 1", lines[-1])


def test_an_example_with_a_prompt_is_a_session(docstrings):
    lines = list(docstrings.example(docstrings.read("Do it.\n\nExample:\n    >>> 1 + 1\n    2\n")))
    assert lines[2:] == [".. code-block:: pycon", "", "   >>> 1 + 1", "   2"]


def test_a_constant_of_a_class_has_its_value(entries):
    text = text_of(entries, "connectycube", "AttachmentType")
    assert ".. py:attribute:: IMAGE\n      :value: 'image'\n" in text


def test_a_docstring_is_read_in_its_parts(docstrings):
    doc = docstrings.read(
        """Do it.

        More.

        Args:
            one: The first,
                in two lines: with a colon.
            two, three: Both.
            **rest: Others.

        Returns:
            A number.

        Raises:
            OSError, ValueError: It is wrong.
        """
    )
    assert doc.prose == ["Do it.", "", "More.", ""]
    assert doc.fields == {
        "one": ["The first,", "in two lines: with a colon."],
        "two": ["Both."],
        "three": ["Both."],
        "rest": ["Others."],
    }
    assert doc.texts == {"Returns": ["A number."]}
    assert doc.items["Raises"] == [("OSError, ValueError", ["It is wrong."])]


# --- the built pages ------------------------------------------------------------------------------


def signatures(site) -> Iterator[str]:
    for page in (site / "reference").glob("*.html"):
        for found in re.findall(r'<dt class="sig[^>]*>(.*?)</dt>', page.read_text(), re.DOTALL):
            yield html.unescape(re.sub(r"<[^>]+>", "", found))


@pytest.mark.time_limit(330)
def test_no_signature_shows_what_only_a_program_can_read(site):
    found = list(signatures(site))
    assert len(found) > 1000
    for text in found:
        assert not re.search(r"attr_dict|NOTHING|<|0x[0-9a-f]{6}|\bconnectycube\.(?!com)", text), (
            text
        )


@pytest.mark.time_limit(330)
def test_a_long_signature_has_a_parameter_a_line(site):
    text = (site / "reference" / "chat.html").read_text()
    login = re.search(r'id="connectycube.Chat.login">(.*?)</dt>', text, re.DOTALL)[1]
    assert login.count("<dd>") == 7


@pytest.mark.time_limit(330)
def test_code_that_names_an_entry_leads_to_it(site):
    page = "".join(one.read_text() for one in (site / "chat").glob("*.html"))
    for code, anchor in (
        ("chat.login()", "../reference/chat.html#connectycube.Chat.login"),
        ("Handling", "../reference/states.html#connectycube.Handling"),
        ("message_received", "../reference/signals.html#connectycube.Chat.message_received"),
    ):
        assert re.search(
            rf'href="{re.escape(anchor)}"[^>]*><code[^>]*>(<span[^>]*>)?{re.escape(code)}', page
        )


@pytest.mark.time_limit(330)
@pytest.mark.parametrize(
    ("page", "code", "anchor"),
    [
        ("chat/closing", "logout()", "chat.html#connectycube.Chat.logout"),
        ("rest", "update_admins(", "rest.html#connectycube.rest.Dialogs.update_admins"),
        ("rest", "mark_all_read(", "rest.html#connectycube.rest.Messages.mark_all_read"),
        ("emulator/python", "add_user(", "emulator.html#connectycube.emulator.Emulator.add_user"),
    ],
)
def test_a_call_without_an_object_leads_to_the_method(site, page, code, anchor):
    text = (site / f"{page}.html").read_text()
    link = rf'href="(?:\.\./)?reference/{re.escape(anchor)}"[^>]*><code[^>]*><span[^>]*>{re.escape(code)}'
    assert re.search(link, text)


@pytest.mark.time_limit(330)
def test_each_error_of_the_tree_leads_to_its_entry(site):
    page = (site / "reference" / "errors.html").read_text()
    tree = page.partition('<section id="errors">')[2].partition("<section")[0]
    links = set(re.findall(r'<a class="[^"]*" href="#(connectycube\.\w+)"', tree))
    assert links == {f"connectycube.{name}" for name in public_names("connectycube.errors")}


OF_PYTHON = {*dir(typing), *dir(builtins), "Future", "PathLike", "Self", "AbstractContextManager"}
OF_FRAMEWORKS = {"Flask", "Task"}
VARIABLES_OF_TYPES = {"Event", "Function", "Handler", "Item", "Result", "Sent"}
EXPLAINED_BESIDE = {"Clock", "Secret", "Settings"}
"""Classes without an entry; the meaning of the parameter says what they are."""


@pytest.mark.time_limit(330)
def test_a_type_of_a_parameter_names_what_a_reader_can_find(site):
    unknown = set()
    for page in (site / "reference").glob("*.html"):
        row = r"<tr[^>]*><td[^>]*>(?:(?!</td>).)*</td>\s*<td data-head=\"type\">(.*?)</td>"
        for cell in re.findall(row, page.read_text(), re.DOTALL):
            text = re.sub(r"<a .*?</a>|<[^>]+>", "", cell, flags=re.DOTALL)
            unknown |= set(re.findall(r"(?<![\w.'])[A-Z]\w+", html.unescape(text)))
    assert unknown <= OF_PYTHON | OF_FRAMEWORKS | VARIABLES_OF_TYPES | EXPLAINED_BESIDE


@pytest.mark.time_limit(330)
def test_a_table_of_parameters_has_its_class(site):
    page = (site / "reference" / "chat.html").read_text()
    assert page.count('<table class="parameters docutils') > 30


@pytest.mark.parametrize("name", sorted(FOR_THE_PACKAGE_ALONE))
def test_a_method_for_the_package_alone_has_no_entry(entries, name):
    owner, _, member = name.partition(".")
    for page in entries.FOLDER.glob("*.md"):
        for block in entries.BLOCK.finditer(page.read_text()):
            for listed, without in entries.rows_of(block["names"]):
                assert listed != owner or member in without


def test_a_field_of_a_base_has_the_text_of_the_base(entries):
    text = text_of(entries, "connectycube.testing", "CubeUser")
    assert re.search(r":: full_name\n(?: +:.*\n)+\n +\S", text)


OF_NO_ENTRY = {"cube.stream", "message.to_dict()"}
"""Code that looks like a member of a variable: FlaskCube's on the first page, and one of all models."""


@pytest.mark.time_limit(330)
def test_code_names_no_member_that_has_no_entry(site, extension):
    anchors = {
        found
        for page in (site / "reference").glob("*.html")
        for found in re.findall(r'id="(connectycube\.[\w.]+)"', page.read_text())
    }
    assert len(anchors) > 1000
    for page in DOCS.rglob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose):
            owner, _, member = code.partition("(")[0].rpartition(".")
            is_member = member.isidentifier() and member != "py"  # which is a file
            if owner in extension.VARIABLES and is_member and code not in OF_NO_ENTRY:
                assert extension.target_of(code, name) in anchors, (name, code)


def test_the_page_of_a_class_without_arguments_shows_no_brackets(entries):
    assert inspect.isclass(connectycube.Signal)
    assert ".. py:class:: Signal\n" in text_of(entries, "connectycube", "Signal")
