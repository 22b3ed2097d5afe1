"""users: find, show and create them, and list those that are online."""

from __future__ import annotations

import json

import pytest

from connectycube import ConnectyCube
from tests.wire.cli.conftest import PASSWORD


def test_users_are_found_by_what_is_given(run, alice, bob, emulator):
    eve = emulator.add_user("eve", PASSWORD, email="eve@example.com", full_name="Everybody")
    assert run("users", "list", "--login", "alice", "--login", "bob").out.count("\n") == 2
    for words in (("--email", "eve@example.com"), ("--id", eve), ("--name", "Ever")):
        (line,) = run("users", "list", *words).lines
        assert line.split("\t")[:3] == [str(eve), "eve", "Everybody"]
    found = json.loads(run("users", "list", "--login", "eve", "--json").out)
    assert (found["model"], found["id"]) == ("User", eve)
    assert run("users", "list", "--login", "nobody").err == "no users\n"


def test_a_user_is_shown(run, alice, bob):
    for name in ("@bob", bob.user.id):
        assert "Bob" in run("users", "show", name).out
    assert json.loads(run("users", "show", "@bob", "--json").out)["login"] == "bob"


def test_a_user_is_created_with_a_password_from_standard_input(run, alice, emulator):
    words = (
        "users",
        "create",
        "eve",
        "--name",
        "Eve",
        "--tag",
        "a",
        "--tag",
        "b",
        "--password-stdin",
    )
    done = run(*words, stdin="another password\n")
    assert done.status == 0
    with ConnectyCube(config=emulator.config()) as client:
        user = client.login(login="eve", password="another password")
        assert (user.id, user.full_name, user.tags) == (int(done.out), "Eve", ("a", "b"))
    done = run(*words, stdin="another password\n")
    assert (done.status, "ValidationError" in done.err) == (1, True)


def test_who_is_online_is_listed_and_counted(run, alice, bob):
    assert run("users", "online", "--count").out == "0\n"
    bob.chat.login()
    assert run("users", "online", "--count").out == "1\n"
    (line,) = run("users", "online").lines
    assert line.split("\t")[1] == "bob"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("list",), 2, "give --login, --email, --tag, --id or --name"),
        (("list", "--name", "ab"), 2, "full_name"),
        (("show", "@nobody"), 5, "there is no user @nobody"),
        (("show", "bob"), 2, "an id or as @LOGIN"),
        (("show", "999999"), 5, "NotFoundError"),
        (("create", "eve"), 2, "use --password-stdin"),
        (("create", "eve", "--password-stdin"), 2, "no password on standard input"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, words, status, sentence):
    done = run("users", *words)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err
