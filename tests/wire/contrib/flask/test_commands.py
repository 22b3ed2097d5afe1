"""``flask connectycube …``: what is wrong is a sentence on standard error, and a status for its kind."""

from __future__ import annotations

import json
from inspect import signature

import pytest
from click.testing import CliRunner
from flask import Flask

from connectycube.contrib.flask import FlaskCube
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT
from tests.wire.contrib.flask.conftest import PASSWORD

# Before click 8.2 standard error is kept apart only if that is asked for.
APART = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}


@pytest.fixture
def run(app):
    """``run("send", "5", "hi")`` returns status, standard output and standard error."""
    runner = app.test_cli_runner(**APART)

    def run(*words, text=None):
        done = runner.invoke(args=["connectycube", *words], input=text)
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def with_keys(app, cube, emulator):
    """``with_keys(PASSWORD=…)`` makes another application with these keys, and returns its ``run``."""

    made = []

    def make(**keys):
        other = Flask("other")
        own = {key: value for key, value in app.config.items() if key.startswith("CONNECTYCUBE_")}
        other.config.update(own)
        other.config.update({f"CONNECTYCUBE_{key}": value for key, value in keys.items()})
        FlaskCube(other)
        made.append(other)
        runner = other.test_cli_runner(**APART)

        def run(*words):
            done = runner.invoke(args=["connectycube", *words])
            return done.exit_code, done.stderr

        return run

    yield make
    for other in made:
        with other.app_context():
            other.extensions["connectycube"].close()


def test_send_writes_to_a_user_a_login_and_a_dialog(run, friend):
    dialog = friend.dialogs.create_private(1)
    with friend.chat.events(friend.chat.message_received) as heard:
        for to in (str(friend.user.id), "@friend", dialog.id):
            status, said, wrong = run("send", to, "hello")
            assert (status, wrong) == (0, "")
            message = heard.next(TIMEOUT)
            assert (message.body, message.id) == ("hello", said.strip())


def test_send_without_a_text_sends_each_line_of_the_input(run, friend):
    with friend.chat.events(friend.chat.message_received) as heard:
        status, said, _ = run("send", "@friend", text="one\n\ntwo\n")
        assert (status, len(said.splitlines())) == (0, 2)
        assert [heard.next(TIMEOUT).body for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("send",), 2, "Missing argument 'TO'"),
        (("send", "@nobody", "hi"), 5, "there is no user @nobody"),
        (("send", "5" * 24, "hi"), 5, "NotFoundError"),
        (("send", "@bot", ""), 2, "body must not be empty"),
        (("send", "99999999999999999999", "hi"), 5, "NotFoundError"),
        (("listen", "--workers", "0"), 2, "Invalid value for '--workers'"),
        (("listen", "--health-port", "99999"), 2, "--health-port must be a port, or HOST:PORT"),
        (
            ("listen", "--health-file", "/proc/nothing/x"),
            *(1, "the health file /proc/nothing/x cannot be written: No such file or directory"),
        ),
        (
            ("listen", "--health-port", "192.0.2.1:80"),
            *(1, "the health port 80 of 192.0.2.1 cannot be opened: Cannot assign requested"),
        ),
        (("tail", "5" * 24), 5, "NotFoundError"),
        (("tail", "nothing"), 5, "NotFoundError"),
        (("tail", "--signal", "mesage"), 2, "Invalid value for '--signal'"),
        (("nothing",), 2, "No such command 'nothing'"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, words, status, sentence):
    found, _, wrong = run(*words)
    assert (found, sentence in wrong) == (status, True), wrong
    assert "Traceback" not in wrong


@pytest.mark.parametrize("command", [("listen",), ("send", "@bot", "hi"), ("tail",)])
@pytest.mark.parametrize(
    ("keys", "status", "sentence"),
    [
        ({"PASSWORD": "wrong"}, 4, "AuthenticationError"),
        ({"LOGIN": None}, 2, "CONNECTYCUBE_LOGIN (or CONNECTYCUBE_EMAIL) is missing"),
        ({"APP_ID": None}, 2, "CONNECTYCUBE_APP_ID is missing"),
        ({"API_URL": "http://127.0.0.1:PORT"}, 6, "Connect"),
        ({"BACKEND": "locmem"}, 1, "the backend is 'locmem', which opens no connection"),
    ],
)
def test_wrong_settings_end_with_a_sentence(
    with_keys, monkeypatch, command, keys, status, sentence
):
    for name in ("APP_ID", "LOGIN"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    if "API_URL" in keys:
        keys = {
            "API_URL": keys["API_URL"].replace("PORT", str(free_port())),
            "RETRY": {"MAX_RETRIES": 0},
        }
    found, wrong = with_keys(**keys)(*command)
    assert (found, sentence in wrong) == (status, True), wrong
    assert PASSWORD not in wrong


def test_a_durable_file_that_cannot_be_opened_fails_listen_and_doctor(with_keys):
    run = with_keys(DURABLE="/proc/nothing/bot.db")
    status, wrong = run("listen")
    assert (status, "DurableStoreError: the durable store /proc/nothing/bot.db" in wrong) == (
        1,
        True,
    )
    status, wrong = run("doctor")
    assert (status, wrong) == (1, "Error: 1 failed\n")
    assert with_keys(DURABLE="bot.db")("doctor") == (0, "")  # a warning


def test_a_service_that_is_too_busy_is_a_status_of_its_own(run, emulator):
    with emulator.faults.rate_limit(retry_after=3600):
        status, _, wrong = run("send", "@bot", "hi")
    assert (status, "RateLimitError" in wrong) == (7, True)


def test_the_doctor_finds_nothing_in_a_good_application(run, cube, bot_id):
    cube.on("message_received")(lambda chat, message: None)
    status, said, wrong = run("doctor", "--json")
    found = [json.loads(line) for line in said.splitlines()]
    assert (status, wrong) == (0, "")
    assert {finding["what"]: finding["state"] for finding in found} == {
        "configuration": "ok",
        "address": "warning",  # it is an emulator
        "run folder": "ok",
        "handlers": "ok",
        **dict.fromkeys(("REST server", "chat server", "clock", "REST", "login"), "ok"),
        **dict.fromkeys(("chat", "ping"), "ok"),
    }


def test_the_doctor_says_what_is_wrong_and_what_to_do(run, with_keys):
    status, said, _ = run("doctor")
    assert status == 0
    assert "warning  handlers: none" in said
    assert "Write one with @cube.on" in said
    status, wrong = with_keys(PASSWORD="wrong", RUN_FOLDER="/proc/nothing")("doctor")
    assert (status, wrong) == (1, "Error: 2 failed\n")
    assert with_keys(APP_ID=None)("doctor") == (1, "Error: 1 failed\n")
