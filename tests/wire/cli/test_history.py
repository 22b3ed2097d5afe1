"""history: the newest messages on the terminal, all of them in a file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from connectycube import Message


@pytest.fixture
def dialog(emulator, alice, bob):
    """A private dialog with 250 messages, a minute apart."""
    dialog_id = emulator.add_dialog("group", alice, [bob.user.id], name="Hikers")
    begin = datetime.now(timezone.utc) - timedelta(minutes=300)
    emulator.add_messages(
        dialog_id,
        [
            {
                "sender_id": bob.user.id if number % 2 else alice,
                "message": f"message {number}",
                "date_sent": int((begin + timedelta(minutes=number)).timestamp()),
            }
            for number in range(250)
        ],
    )
    return dialog_id


def bodies(lines):
    return [Message.from_dict(json.loads(line)).body for line in lines]


def numbered(*numbers):
    return [f"message {number}" for number in range(*numbers)]


def test_the_newest_are_shown_the_oldest_of_them_first(run, dialog):
    assert bodies(run("history", dialog, "--json").lines) == numbered(230, 250)
    assert bodies(run("history", dialog, "--json", "--limit", "120").lines) == numbered(130, 250)
    lines = run("history", dialog, "--limit", "2").lines
    assert [line.partition(" ")[2].partition(" ")[2] for line in lines] == [
        "alice: message 248",
        "bob: message 249",
    ]


def test_since_names_the_first(run, dialog):
    assert bodies(run("history", dialog, "--json", "--since", "90m").lines) in (
        numbered(210, 250),
        numbered(211, 250),
    )
    assert run("history", dialog, "--since", "2999-01-01").out == ""
    assert bodies(
        run("history", dialog, "--json", "--since", "2d", "--limit", "1").lines
    ) == numbered(249, 250)


def test_all_are_exported_and_none_is_marked_as_read(run, dialog, alice, bob, tmp_path, emulator):
    path = tmp_path / "all.jsonl"
    done = run("history", dialog, "--export", "jsonl", "-o", path)
    assert (done.status, done.out) == (0, "")
    assert done.err == f"250 messages are in {path}\n"
    assert bodies(path.read_text().splitlines()) == numbered(250)
    unread = [
        each for each in bob.messages.list(dialog, mark_as_read=False) if alice in each.read_ids
    ]
    assert all(each.sender_id == alice for each in unread)


@pytest.mark.parametrize("form", ["jsonl", "csv", "html"])
def test_an_export_without_a_file_is_on_standard_output(run, dialog, tmp_path, form):
    path = tmp_path / "all"
    run("history", dialog, "--export", form, "-o", path)
    assert run("history", dialog, "--export", form).out == path.read_text()


def test_an_export_that_failed_in_the_middle_goes_on(run, dialog, tmp_path, emulator):
    whole, part = tmp_path / "whole", tmp_path / "part"
    words = ("history", dialog, "--export", "csv", "-o")
    run(*words, whole)
    with emulator.faults.server_error(status=500) as fault:
        del fault
        assert run(*words, part).status == 7
    done = run(*words, part, "--resume")
    assert (done.status, part.read_bytes()) == (0, whole.read_bytes())


def test_what_comes_later_is_added(run, dialog, tmp_path, emulator, alice):
    path = tmp_path / "all.jsonl"
    words = ("history", dialog, "--export", "jsonl", "-o", path, "--resume")
    assert run(*words).status == 0
    emulator.add_messages(dialog, [{"sender_id": alice, "message": "message 250"}])
    assert run(*words).err == f"251 messages are in {path}\n"
    assert bodies(path.read_text().splitlines()) == numbered(251)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("nothing",), 5, "NotFoundError"),
        (("@bob",), 2, "'@bob' is not the id of a dialog. 'connectycube dialogs' lists the ids"),
        (("x", "-o", "f"), 2, "need --export"),
        (("x", "--export", "jsonl", "--limit", "5"), 2, "use --since"),
        (("x", "--export", "jsonl", "--resume"), 2, "need -o FILE"),
        (("x", "--export", "pdf"), 2, "Invalid value for '--export'"),
        (("x", "--since", "yesterday"), 2, "is no date like 2026-11-30"),
        (("x", "--since", "999999w"), 2, "is no date like 2026-11-30"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, words, status, sentence):
    done = run("history", *words)
    assert (done.status, sentence in done.err) == (status, True), done.err


def test_a_file_that_cannot_be_written_is_named(run, dialog):
    done = run("history", dialog, "--export", "csv", "-o", "/proc/nothing/x")
    assert (done.status, "/proc/nothing/x" in done.err) == (1, True)
