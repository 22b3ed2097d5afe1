"""Commands that end: the doctor's findings, and accounts for users, without a process of their own."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.management import CommandError, call_command

from connectycube.contrib.django import get_client, handlers
from connectycube.contrib.django.models import ChatAccount, DeadLetter, OutgoingMessage


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    monkeypatch.setattr(handlers, "_handlers", dict(handlers._handlers))
    caches["default"].clear()
    yield
    caches["default"].clear()


def run(capsys, name, *arguments):
    """The exit code, standard output and standard error of a command."""
    code = 0
    try:
        call_command(name, *arguments, no_color=True)
    except CommandError as error:
        code = str(error)
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err.splitlines()


# --- the doctor ---


def findings(capsys):
    code, out, _ = run(capsys, "connectycube_doctor", "--json")
    return code, {found["what"]: found for found in map(json.loads, out)}


def test_the_doctor_finds_nothing_in_a_good_project(live, capsys, emulator):
    code, found = findings(capsys)
    assert code == 0
    assert {one["state"] for one in found.values()} <= {"ok", "warning"}
    assert found["bot default: login"]["why"] == f"user {live.bot_id}"
    assert found["bot default: ping"]["why"].endswith("ms to the chat server")
    assert (
        found["handlers of default"]["why"]
        == "tests.support.django_project.shop.chat_handlers.keep"
    )
    assert found["listener of default"]["why"] == "none has the lease"
    assert emulator.sessions() == []


def test_the_doctor_says_what_is_wrong_and_what_to_do(live, capsys):
    live(BOTS={"default": {"LOGIN": "bot", "PASSWORD": "wrong password"}})
    OutgoingMessage.objects.create(to_user=1, body="x", state="failed")
    DeadLetter.objects.create(bot="default", key="1", event={}, error="no")
    code, found = findings(capsys)
    assert code == "1 failed"
    assert found["bot default: login"]["state"] == "failed"
    assert found["bot default: login"]["why"].startswith("ApiAuthenticationError")
    assert "Login and password do not match" in found["bot default: login"]["hint"]
    assert found["outgoing messages"]["why"] == "0 wait, 1 failed"
    assert found["dead letters"]["state"] == "warning"


def test_the_doctor_looks_at_the_place_of_durable_files(live, capsys, tmp_path):
    bot = {"LOGIN": "bot", "PASSWORD": "a password"}
    for path, state in (("/proc/nothing/bot.db", "failed"), (tmp_path / "bot.db", "ok")):
        live(BOTS={"default": {**bot, "DURABLE": path}})
        _, found = findings(capsys)
        assert found["durable mode of default"]["state"] == state
    assert list(tmp_path.iterdir()) == []  # it makes no file


def test_the_doctor_stops_at_a_wrong_setting(setting, capsys, tables):
    setting({"APP_ID": "x", "AUTH_KEY": "k"})
    code, out, _ = run(capsys, "connectycube_doctor")
    assert code == "1 failed"
    assert out[0].startswith("failed   setting: CONNECTYCUBE['APP_ID'] is wrong")
    assert len(out) == 2


# --- accounts ---


@pytest.fixture
def users(live):
    live(USERS={"BY": "password", "FIELDS": lambda user: {"full_name": user.first_name}})
    make = get_user_model().objects.create_user
    return [make(name, first_name=name.title()) for name in ("ann", "ben")]


def names_at_the_service():
    users = get_client().users
    return sorted(users.get(account.chat_id).full_name for account in ChatAccount.objects.all())


def sync(capsys, *arguments):
    return run(capsys, "connectycube_sync_users", *arguments)


def test_each_active_user_gets_an_account_once(users, capsys):
    get_user_model().objects.create_user("gone", is_active=False)
    assert sync(capsys, "--dry-run") == (
        0,
        ["create ann", "create ben", "would be: 2 created, 0 updated, 0 deleted"],
        [],
    )
    assert not ChatAccount.objects.exists()
    assert sync(capsys) == (0, ["2 created, 0 updated, 0 deleted"], [])
    assert sync(capsys) == (0, ["0 created, 0 updated, 0 deleted"], [])
    assert names_at_the_service() == ["Ann", "Ben"]


def test_fields_that_changed_are_sent(users, capsys):
    sync(capsys)
    get_user_model().objects.filter(username="ann").update(first_name="Anna")
    assert sync(capsys) == (0, ["0 created, 1 updated, 0 deleted"], [])
    assert names_at_the_service() == ["Anna", "Ben"]


def test_accounts_of_users_who_are_gone_are_deleted_if_asked(users, capsys):
    sync(capsys)
    users[0].delete()
    assert sync(capsys) == (0, ["0 created, 0 updated, 0 deleted"], [])
    assert sync(capsys, "--delete") == (0, ["0 created, 0 updated, 1 deleted"], [])
    assert [account.user for account in ChatAccount.objects.all()] == [users[1]]
    assert sync(capsys, "--delete") == (0, ["0 created, 0 updated, 0 deleted"], [])


def test_a_refusal_is_told_and_the_others_are_done(users, capsys, emulator):
    emulator.faults.server_error(on="rest", times=1)
    code, out, (line,) = sync(capsys)
    assert code == "1 failed"
    assert line.startswith("create ann: ")
    assert out == ["1 created, 0 updated, 0 deleted"]


def test_accounts_need_the_backend_that_asks_the_service(locmem, tables, capsys):
    code, *_ = sync(capsys)
    assert "opens no connection: use connectycube.contrib.django.backends.live" in code
