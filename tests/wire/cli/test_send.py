"""send: a text, files, or the lines of a pipe, to a dialog or a user."""

from __future__ import annotations

import json

import pytest

from connectycube import ConnectyCube
from tests.support.waiting import TIMEOUT
from tests.wire.cli.conftest import PASSWORD


@pytest.fixture
def heard(bob, alice):
    """The stream of what the other user receives."""
    bob.chat.login()
    with bob.chat.events(bob.chat.message_received) as events:
        yield events


def test_a_text_goes_to_a_user_a_login_and_a_dialog(run, bob, alice, heard):
    dialog = bob.dialogs.create_private(alice)
    for to in (bob.user.id, "@bob", dialog.id):
        done = run("send", to, "hello")
        message = heard.next(TIMEOUT)
        assert (done.status, done.out, done.err) == (0, f"{message.id}\n", "")
        assert message.body == "hello"


def test_each_line_of_a_pipe_is_a_message(run, heard):
    done = run("send", "@bob", stdin="one\n\n  two\r\n")
    assert (done.status, len(done.lines)) == (0, 2)
    assert [heard.next(TIMEOUT).body for _ in range(2)] == ["one", "  two"]


def test_json_is_the_message_as_it_was_stored(run, bob, heard):
    found = json.loads(run("send", "@bob", "hi", "--json", "--param", "colour=blue=1").out)
    assert (found["model"], found["body"], found["custom"]) == (
        "Message",
        "hi",
        {"colour": "blue=1"},
    )
    assert heard.next(TIMEOUT).custom == {"colour": "blue=1"}


def test_files_are_attached_with_a_text_or_without(run, bob, heard, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    files = ("--attach", tmp_path / "a.txt", "--attach", tmp_path / "b.txt")
    for words in ((), ("look",)):
        assert run("send", "@bob", *words, *files, stdin="not read").status == 0
        message = heard.next(TIMEOUT)
        assert (message.body or "", len(message.attachments)) == ("".join(words), 2)
        content = bob.files.download(message.attachments[0].uid)
        assert content == b"a.txt"


def test_files_of_a_message_that_is_not_sent_are_deleted(run, alice, emulator, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    assert run("send", "5" * 24, "--attach", path).status == 5
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="alice", password=PASSWORD)
        assert len(client.files.list()) == 0


def test_an_error_in_the_middle_says_how_many_were_sent(run, bob, alice, heard):
    done = run("send", "@bob", stdin="one\ntwo\nthr\x01ee\nfour\n")
    assert (done.status, len(done.lines)) == (2, 2)
    assert "2 messages were sent before" in done.err


@pytest.mark.parametrize(
    ("words", "stdin", "status", "sentence"),
    [
        (("@nobody", "hi"), "", 5, "there is no user @nobody"),
        (("5" * 24, "hi"), "", 5, "NotFoundError"),
        (("99999999999999999999", "hi"), "", 5, "NotFoundError"),
        (("@", "hi"), "", 2, "a user is written as an id or as @LOGIN"),
        (("@bob", ""), "", 2, "body must not be empty"),
        (("@bob",), "\n \n", 2, "standard input has no lines"),
        (("@bob", "x", "--param", "colour"), "", 2, "--param must be NAME=VALUE"),
        (("@bob", "x", "--param", "message=x"), "", 2, "message"),
        (("@bob", "--attach", "/nothing"), "", 2, "Invalid value for '--attach'"),
        ((), "", 2, "Missing argument 'TO'"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, bob, words, stdin, status, sentence):
    done = run("send", *words, stdin=stdin)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err
