"""admin: what all users have, with a key that is never an argument."""

from __future__ import annotations

import json
import stat

import pytest

from connectycube import AdminDialog, AdminMessage
from connectycube.cli.secret_store import FileSecrets
from tests.wire.cli.conftest import PASSWORD


@pytest.fixture
def club(emulator, alice, bob):
    """A group of Alice and Bob with 250 messages."""
    dialog_id = emulator.add_dialog("group", alice, [bob.user.id], name="Club")
    emulator.add_messages(
        dialog_id,
        [
            {
                "sender_id": bob.user.id,
                "message": f"message {n}",
                "date_sent": 1_700_000_000 + 40_000 * n,
            }
            for n in range(250)
        ],
    )
    return dialog_id


@pytest.fixture
def work(run, emulator, monkeypatch, config_folder):
    """A profile of a file, with nothing of the application in the environment."""
    words = ("--app-id", emulator.app_id, "--api-url", emulator.api_url)
    chat = ("--chat-host", emulator.domain, "--chat-port", emulator.chat_port)
    emulator.add_user("walter", PASSWORD)
    for name in ("APP_ID", "API_URL", "ADMIN_KEY"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}")
    done = run(
        *("login", "walter", "--password-stdin", "--profile", "work", "--file", *words, *chat),
        stdin=PASSWORD,
    )
    assert done.status == 0, done.err
    return config_folder / "work.secrets"


def bodies(lines):
    return [AdminMessage.from_dict(json.loads(line)).body for line in lines]


def numbered(*numbers):
    return [f"message {number}" for number in range(*numbers)]


# --- the key --------------------------------------------------------------------------------------


def test_nobody_has_to_be_logged_in(run, club, monkeypatch):
    for name in ("LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}")
    assert run("whoami").status == 4
    assert run("admin", "dialogs").lines[0].split("\t")[:3] == [club, "group", "Club"]


def test_without_a_key_the_command_says_what_to_do(run, club, monkeypatch):
    monkeypatch.delenv("CONNECTYCUBE_ADMIN_KEY")
    done = run("admin", "messages")
    assert (done.status, "run 'connectycube admin key', or set" in done.err) == (2, True)


def test_without_an_application_the_command_says_what_to_do(run, config_folder, monkeypatch):
    monkeypatch.delenv("CONNECTYCUBE_APP_ID")
    done = run("admin", "dialogs")
    assert (done.status, "no application is known" in done.err) == (2, True)


def test_a_wrong_key_is_an_error_of_authorization(run, club, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_ADMIN_KEY", "another key of somebody")
    done = run("admin", "dialogs")
    assert (done.status, "PermissionDeniedError" in done.err) == (1, True)
    assert "another key of somebody" not in done.err


def test_a_key_is_kept_with_the_secrets_and_forgotten(run, emulator, work):
    assert run("admin", "dialogs").status == 2
    done = run("admin", "key", "--key-stdin", stdin=f"{emulator.admin_key}\n")
    assert (done.status, done.err) == (0, "the key is kept, profile work\n")
    assert stat.S_IMODE(work.stat().st_mode) == 0o600
    assert run("admin", "dialogs").status == 0
    assert run("whoami").status == 0, "the other secrets stay"
    run("login", "walter", "--password-stdin", "--profile", "work", "--file", stdin=PASSWORD)
    run("logout")
    assert run("admin", "dialogs").status == 0, "the key is that of the application"
    assert emulator.admin_key not in (work.parent / "profiles.json").read_text()
    run("admin", "key", "--forget")
    assert FileSecrets(work.parent).load("work").admin_key is None
    assert run("admin", "dialogs").status == 2


def test_a_variable_alone_is_the_key_of_the_profile(run, emulator, work, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_ADMIN_KEY", emulator.admin_key)
    assert run("admin", "dialogs").status == 0


def test_the_key_of_another_application_goes_to_no_profile(run, emulator, work, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_ADMIN_KEY", emulator.admin_key)
    monkeypatch.setenv("CONNECTYCUBE_APP_ID", "4711")
    done = run("admin", "dialogs", "--profile", "work")
    assert (done.status, "no key" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (("--key-stdin",), "", "there is no key on standard input"),
        ((), "", "use --key-stdin"),
        (("--key-stdin", "--profile", "nobody"), "k", "there is no profile 'nobody'"),
        (("the-key",), "", "unexpected extra argument"),
    ],
)
def test_a_key_that_cannot_be_kept_is_told(run, work, words, stdin, sentence):
    done = run("admin", "key", *words, stdin=stdin)
    assert (done.status, sentence in done.err) == (2, True), done.err


def test_the_environments_application_has_its_key_in_a_variable(run, alice):
    done = run("admin", "key", "--key-stdin", stdin="k")
    assert (done.status, "set CONNECTYCUBE_ADMIN_KEY" in done.err) == (2, True)


# --- dialogs --------------------------------------------------------------------------------------


def test_dialogs_of_all_users_are_listed_the_newest_first(run, emulator, club, bob):
    eve = emulator.add_user("eve", PASSWORD)
    private = emulator.add_dialog("private", bob.user.id, [eve])
    found = [
        AdminDialog.from_dict(json.loads(line)) for line in run("admin", "dialogs", "--json").lines
    ]
    assert [each.id for each in found] == [private, club]
    assert run("admin", "dialogs", "--type", "group", "--name", "Cl").lines[0].startswith(club)
    assert len(run("admin", "dialogs", "--limit", "1").lines) == 1
    assert run("admin", "dialogs", "--since", "2999-01-01").err == "no dialogs\n"


def test_a_dialog_is_changed_and_muted(run, emulator, club, alice, bob):
    eve = emulator.add_user("eve", PASSWORD)
    done = run("admin", "dialog", "update", club, "--name", "New", "--add-user", eve, "--json")
    changed = AdminDialog.from_dict(json.loads(done.out))
    assert (changed.name, changed.occupants_ids) == ("New", (alice, bob.user.id, eve))
    for verb, silent in (("mute", (eve,)), ("unmute", ())):
        done = run("admin", "dialog", verb, club, eve, "--json")
        assert AdminDialog.from_dict(json.loads(done.out)).silent_ids == silent
    assert run("admin", "dialog", "update", club).status == 2
    assert run("admin", "dialog", "mute", "f" * 24, eve).status == 5


# --- messages -------------------------------------------------------------------------------------


def test_the_newest_messages_are_shown_the_oldest_of_them_first(run, club):
    assert bodies(run("admin", "messages", "--json").lines) == numbered(230, 250)
    assert bodies(run("admin", "messages", "--json", "--limit", 150).lines) == numbered(100, 250)
    (line,) = run("admin", "messages", "--limit", "1").lines
    assert line.endswith(f"{club} user 2: message 249")
    assert run("admin", "messages", "--dialog", "f" * 24).out == ""


def test_all_are_exported_and_an_export_that_failed_goes_on(run, club, tmp_path, emulator, alice):
    path = tmp_path / "all.jsonl"
    words = ("admin", "messages", "--export", "jsonl", "-o", path)
    emulator.faults.server_error(status=500)
    assert run(*words).status == 7
    emulator.faults.stop_all()
    done = run(*words, "--resume")
    assert (done.status, done.err) == (0, f"250 messages are in {path}\n")
    assert bodies(path.read_text().splitlines()) == numbered(250)
    emulator.add_messages(club, [{"sender_id": alice, "message": "message 250"}])
    assert run(*words, "--resume").err == f"251 messages are in {path}\n"
    assert bodies(path.read_text().splitlines()) == numbered(251)
    assert run("admin", "messages", "--export", "jsonl").out == path.read_text()


def test_an_export_goes_on_behind_its_last_id_alone(run, club, tmp_path, emulator):
    path = tmp_path / "all.jsonl"
    words = ("admin", "messages", "--export", "jsonl", "-o", path, "--resume")
    run(*words)
    note = json.loads((tmp_path / "all.jsonl.resume").read_text())
    lines = path.read_text().splitlines(keepends=True)
    half = "".join(lines[:100])
    last = AdminMessage.from_dict(json.loads(lines[99]))
    note |= {"bytes": len(half.encode()), "messages": 100, "last_id": last.id, "ids": [last.id]}
    note["last"] = last.date_sent.isoformat()
    (tmp_path / "all.jsonl.resume").write_text(json.dumps(note))
    path.write_text(half + "torn")  # as a killed writer leaves it
    assert run(*words).status == 0
    assert bodies(path.read_text().splitlines()) == numbered(250)


def test_a_file_of_another_export_is_not_gone_on_with(run, club, tmp_path):
    path = tmp_path / "all.jsonl"
    run("history", club, "--export", "jsonl", "-o", path, "--resume")
    done = run("admin", "messages", "--export", "jsonl", "-o", path, "--resume")
    assert done.status in (1, 2)
    assert len(path.read_text().splitlines()) == 250


# --- users and statistics -------------------------------------------------------------------------


def test_users_are_deleted_if_that_is_confirmed(run, emulator, alice, bob):
    done = run("admin", "users", "delete", bob.user.id)
    assert (done.status, "give --yes" in done.err) == (2, True)
    done = run("admin", "users", "delete", bob.user.id, 9999, "--yes")
    assert (done.status, done.out) == (5, f"{bob.user.id}\n")
    assert "9999: not there" in done.err
    assert [user["login"] for user in emulator.users()] == ["alice"]
    assert run("admin", "users", "delete", "@bob", "--yes").status == 2


def test_statistics_are_a_number_or_a_line_for_each_day(run, club):
    assert run("admin", "statistics").out == "250\n"
    assert json.loads(run("admin", "statistics", "--dialogs", "--json").out) == {"total": 1}
    lines = run("admin", "statistics", "--per-day", "--json").lines
    assert sum(json.loads(line)["count"] for line in lines) == 250
    assert run("admin", "statistics", "--per-day", "--until", "2023-11-15").lines == [
        "2023-11-14\t1"
    ]
    assert run("admin", "statistics", "--since", "2d").out == "0\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("messages", "-o", "f"), "need --export"),
        (("messages", "--export", "jsonl", "--resume"), "need -o FILE"),
        (("messages", "--export", "csv"), "Invalid value for '--export'"),
        (("statistics", "--since", "yesterday"), "is no date like"),
        (("nothing",), "there is no command 'nothing'"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, words, sentence):
    done = run("admin", *words)
    assert (done.status, sentence in done.err) == (2, True), done.err
