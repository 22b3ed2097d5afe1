"""Lines and tables for people, JSON for programs; nothing of others steers the terminal."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from connectycube import User
from connectycube.cli.output import Output
from connectycube.cli.printable import json_line, one_line, printable

ROWS = [
    (User(id=1, login="alice"), (1, "alice", "Alice of the long name")),
    (User(id=22, login="bob\x1b[31m"), (22, "bob\x1b[31m", None)),
]
COLUMNS = ("id", "login", "name")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Standard output is a terminal of so many columns."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def make(columns):
        stream = Terminal()
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        return stream

    return make


def test_a_table_in_a_pipe_has_tabs_and_no_head(capsys):
    assert Output().table(COLUMNS, ROWS) == 2
    assert capsys.readouterr().out == "1\talice\tAlice of the long name\n22\tbob\\x1b[31m\t\n"


def test_json_is_one_object_a_line_with_the_names_of_to_dict(capsys):
    assert Output(as_json=True).table(COLUMNS, ROWS) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [user.to_dict() for user, _ in ROWS]


def test_a_table_on_a_terminal_has_a_head(terminal):
    stream = terminal(80)
    Output(color="never").table(COLUMNS, ROWS)
    head, rule, first, second, *_ = stream.getvalue().splitlines()[0:4]
    assert head.split() == list(COLUMNS)
    assert (first.split()[1], second.split()[1]) == ("alice", "bob\\x1b[31m")
    assert set(rule.strip()) == {"─"}


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_has_a_line_for_each_cell(terminal, columns):
    stream = terminal(columns)
    Output(color="never").table(COLUMNS, ROWS)
    assert stream.getvalue().splitlines() == [
        "id     1",
        "login  alice",
        "name   Alice of the long name",
        "",
        "id     22",
        "login  bob\\x1b[31m",
    ]


@pytest.mark.parametrize(
    ("color", "variables", "colored"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("auto", {"TERM": "dumb"}, False),
        ("never", {}, False),
        ("always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(terminal, monkeypatch, color, variables, colored):
    terminal(80)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    output = Output(color=color)
    assert output.colored == colored
    assert ("\x1b[" in output.styled("x", "good")) == colored
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.colored == (color == "always")


def test_a_character_that_the_terminal_lacks_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", newline=""))
    Output().line("für \N{PILE OF POO}")
    assert raw.getvalue() == b"f\\xfcr \\U0001f4a9\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;owned\x07", "a\\x1b]0;owned\\x07"),
        ("two\nlines", "two\\nlines"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("👩\u200d🚀 नमस्ते می\u200cخواهم", "👩\u200d🚀 नमस्ते می\u200cخواهم"),
    ],
)
def test_texts_of_others_do_not_steer_the_terminal(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text", ["a\x85b", "a\u2028b", "\x9b31m", "\u202egnp", "\ud800", "Ж 👩\u200d🚀"]
)
def test_json_stays_on_one_line_and_steers_nothing(text):
    line = json_line({"body": text})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"body": text}
    line.encode()
    assert all(each.isprintable() or each == "\u200d" for each in line)


def test_a_long_text_is_cut_to_one_line():
    assert one_line("a  b\nc") == "a b c"
    assert one_line("x" * 600, 10) == "x" * 9 + "…"


def test_standard_output_is_flushed_with_each_line():
    reader, writer = os.pipe()
    before, sys.stdout = sys.stdout, open(writer, "w", closefd=False)  # noqa: SIM115
    try:
        Output().line("now")
        assert os.read(reader, 100) == b"now\n"
    finally:
        sys.stdout.close()
        sys.stdout = before
        os.close(reader)
        os.close(writer)
