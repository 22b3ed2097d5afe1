"""push send: a notification to users or tags."""

from __future__ import annotations

import json

import pytest


def test_a_push_goes_to_the_devices_of_users(run, alice, bob, emulator):
    bob.push.subscribe(
        channel="gcm", platform="android", udid="device-1", environment="production", token="t"
    )
    done = run("push", "send", "Dinner", "--user", "@bob", "--param", "ios_badge=1")
    assert (done.status, done.out.strip().isdigit()) == (0, True)
    (push,) = emulator.pushes
    assert "Dinner" in str(push)
    found = json.loads(run("push", "send", "Again", "--user", bob.user.id, "--json").out)
    assert found["environment"] == "production"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("x",), 2, "give --user or --tag"),
        (("x", "--user", "1", "--tag", "a"), 2, "give --user or --tag"),
        (("x", "--user", "@nobody"), 5, "there is no user @nobody"),
        (("x", "--user", "1", "--param", "badge"), 2, "--param must be NAME=VALUE"),
        (("x", "--user", "1", "--environment", "test"), 2, "Invalid value for '--environment'"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, words, status, sentence):
    done = run("push", "send", *words)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err
