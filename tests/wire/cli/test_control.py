"""emulator state, faults, clock and trigger: the control API on the command line."""

from __future__ import annotations

import json

import pytest

from tests.support.ports import free_port


@pytest.fixture
def control(run, emulator, monkeypatch):
    """``control("state")`` runs ``connectycube emulator state``."""
    monkeypatch.setenv("CONNECTYCUBE_CONTROL_URL", emulator.control_url)
    monkeypatch.setenv("CONNECTYCUBE_CONTROL_TOKEN", emulator.control_token)
    return lambda *words: run("emulator", *words)


def test_the_state_names_connections_and_faults(control, bob, emulator):
    bob.chat.login()
    with emulator.faults.rate_limit(retry_after=1):
        shown = control("state").out
        found = json.loads(control("state", "--json").out)
    assert f"session  user {bob.user.id}, " in shown
    assert "rate_limit" in shown
    assert (len(found["sessions"]), len(found["faults"]), found["pushes"]) == (1, 1, [])


def test_faults_are_started_listed_and_stopped(control, emulator):
    started = json.loads(
        control("faults", "start", "rate_limit:retry_after=2,times=3", "--json").out
    )
    assert (started["name"], started["times"]) == ("rate_limit", 3)
    assert control("faults").out.startswith(f"{started['id']}: rate_limit")
    assert control("faults", "stop", started["id"]).status == 0
    assert list(emulator.faults.active) == []
    for _ in range(2):
        control("faults", "start", "server_error")
    assert control("faults", "stop").status == 0
    assert control("faults").out == ""


def test_the_clock_is_moved_and_shown(control, emulator):
    assert control("clock", "advance", "3600").out.endswith("moved by 3600 s\n")
    assert json.loads(control("clock", "--json").out)["advanced"] == 3600
    assert emulator.clock.advanced == 3600


def test_verbs_of_the_control_api_are_triggered(control, bob, emulator):
    bob.chat.login()
    assert control("trigger", "cut", f"user_id={bob.user.id}").out == "1\n"
    eve = control("trigger", "add_user", "login=eve_the_2nd", "password=a password", "--json")
    assert json.loads(eve.out)["result"] == bob.user.id + 1
    assert control("trigger", "reset").status == 0


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("faults", "start", "nothing"), 2, "nothing"),
        (("faults", "stop", "99"), 5, "no fault 99 is on"),
        (("clock", "advance", "soon"), 2, "Invalid value for 'SECONDS'"),
        (("trigger", "explode"), 2, "Invalid value for 'VERB'"),
        (("trigger", "cut", "5"), 2, "an argument must be NAME=VALUE"),
        (("trigger", "cut", "usr=5"), 2, "usr"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(control, words, status, sentence):
    done = control(*words)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err


@pytest.mark.parametrize(
    ("variables", "status", "sentence"),
    [
        ({"URL": ""}, 2, "CONNECTYCUBE_CONTROL_URL and CONNECTYCUBE_CONTROL_TOKEN are not set"),
        ({"TOKEN": "wrong"}, 4, "the control token of the emulator"),
        ({"URL": "http://127.0.0.1:PORT/__emulator__"}, 6, "no emulator answers at"),
    ],
)
def test_an_emulator_that_cannot_be_reached_is_told(
    control, monkeypatch, variables, status, sentence
):
    for name, value in variables.items():
        monkeypatch.setenv(f"CONNECTYCUBE_CONTROL_{name}", value.replace("PORT", str(free_port())))
    done = control("state")
    assert (done.status, sentence in done.err) == (status, True), done.err
    assert "wrong" not in done.err
