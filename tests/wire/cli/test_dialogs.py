"""dialogs and dialog: list, show, create, update and delete, as the user may."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def group(bob, alice):
    """A group of the two users, which the other one owns."""
    return bob.dialogs.create_group("Hikers", [alice]).id


@pytest.fixture
def own(run, alice, bob):
    """A group of the two users, which the user of the commands owns."""
    return run("dialog", "create", "Climbers", "--user", "@bob").out.strip()


def test_dialogs_are_listed_by_type_and_name(run, group, own, bob, alice):
    bob.dialogs.create_private(alice)
    rows = [line.split("\t") for line in run("dialogs").lines]
    assert {(row[1], row[2]) for row in rows} == {
        ("group", "Hikers"),
        ("group", "Climbers"),
        ("private", "Bob"),
    }
    found = [json.loads(line)["id"] for line in run("dialogs", "--json", "--name", "Hik").lines]
    assert found == [group]
    assert len(run("dialogs", "--type", "private").lines) == 1
    assert len(run("dialogs", "--limit", "2").lines) == 2


def test_no_dialogs_are_no_lines_and_a_word(run, alice):
    done = run("dialogs")
    assert (done.status, done.out, done.err) == (0, "", "no dialogs\n")


def test_a_dialog_is_shown_with_its_users(run, group, bob):
    bob.messages.create(group, "see you\x85on Sunday")
    shown = run("dialog", "show", group).out
    assert "Hikers" in shown
    assert "bob, alice" in shown or "alice, bob" in shown
    assert json.loads(run("dialog", "show", group, "--json").out)["id"] == group


def test_each_type_is_created(run, alice, bob):
    private = run("dialog", "create", "--user", bob.user.id, "--json")
    assert json.loads(private.out)["type"] == 3
    public = json.loads(run("dialog", "create", "News", "--public", "--json").out)
    assert (public["type"], public["name"]) == (4, "News")


def test_a_dialog_is_changed(run, own, bob):
    done = run("dialog", "update", own, "--name", "Runners", "--description", "Mondays", "--json")
    found = json.loads(done.out)
    assert (found["name"], found["description"]) == ("Runners", "Mondays")
    found = json.loads(run("dialog", "update", own, "--remove-user", "@bob", "--json").out)
    assert bob.user.id not in found["occupants_ids"]
    found = json.loads(
        run("dialog", "update", own, "--add-user", "@bob", "--description", "", "--json").out
    )
    assert bob.user.id in found["occupants_ids"]
    assert not found.get("description")


def test_dialogs_are_deleted_for_the_user_or_for_all(run, own, group, bob):
    assert run("dialog", "delete", group, "--yes").status == 0
    assert bob.dialogs.get(group).id == group
    assert run("dialog", "delete", own, "--for-all", "--yes").status == 0
    assert own not in {each.id for each in bob.dialogs.iter()}


def test_what_was_not_deleted_is_named(run, own, alice):
    done = run("dialog", "delete", own, "5" * 24, "--yes")
    assert (done.status, f"{'5' * 24}: not there" in done.err) == (5, True)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("dialog", "show", "nothing"), 5, "NotFoundError"),
        (("dialog", "show"), 2, "Missing argument 'DIALOG'"),
        (("dialog", "show", "@bob"), 2, "prints that of the dialog with a user"),
        (("dialog", "delete", "5" * 24, "a b", "--yes"), 2, "'a b' is not the id of a dialog"),
        (("dialog", "create"), 2, "a private dialog has one --user"),
        (("dialog", "create", "Hikers"), 2, "a group has at least one --user"),
        (("dialog", "create", "N", "--public", "--user", "@bob"), 2, "leave out --user"),
        (("dialog", "create", "Hikers", "--user", "@nobody"), 5, "there is no user @nobody"),
        (("dialog", "create", "Hikers", "--user", "bob"), 2, "an id or as @LOGIN"),
        (("dialog", "update", "x"), 2, "there is nothing to change"),
        (("dialog", "delete", "x"), 2, "give --yes"),
        (("dialog", "delete", "5" * 24, "--yes"), 5, "NotFoundError"),
        (("dialogs", "--type", "big"), 2, "Invalid value for '--type'"),
        (("dialog", "shw", "x"), 2, "did you mean show?"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, bob, words, status, sentence):
    done = run(*words)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err
