"""``connectycube relay`` on each engine: what it prints, and what it refuses."""

from __future__ import annotations

import itertools
import json

import pytest

from connectycube.cli import main
from connectycube.cli.profiles import Profile, Profiles
from connectycube.cli.secret_store import Secrets
from connectycube.contrib.relay import Letter, RelayListener
from connectycube.contrib.relay.engines import engine_of
from connectycube.contrib.relay.topics import events_topic

_numbers = itertools.count(1)


@pytest.fixture
def prefix() -> str:
    return f"cli{next(_numbers)}"


@pytest.fixture
def at(url, prefix):
    """The arguments that name the engine; an event waits there, and another one is a dead letter."""
    engine, topic = engine_of(url, prefix), events_topic(("workers",), 2, 100_000)
    engine.declare(topic)
    worker = engine.subscribe(topic, "workers", 1)
    engine.add(topic, "k", "dead", b"dead\x1b[2J")
    claim = worker.claim(10)
    assert claim is not None
    letter = ("letter", "events", "workers", claim.partition, "k", "dead", "Error: \x1b[2J", 3)
    worker.ack(claim, Letter(*letter, claim.deliveries[0].body))
    worker.close()
    engine.add(topic, "k", "waits", b"waits")
    engine.close()
    return ["--url", url, "--prefix", prefix, "--partitions", "2"]


def test_the_status_says_what_waits(at, capsys):
    assert main(["relay", "status", *at, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line["waiting"] for line in lines[:-1]) == 1
    assert lines[-1] == {"dead": 1, "blocked": None}
    assert main(["relay", *at, "status"]) == 0
    assert "dead letters: 1" in capsys.readouterr().out


def test_dead_letters_are_listed_put_back_and_dropped(at, capsys):
    assert main(["relay", "dead", "list", *at]) == 0
    out = capsys.readouterr().out
    assert "letter" in out
    assert "\x1b" not in out
    assert main(["relay", "dead", "retry", *at, "other"]) == 1
    assert "there is no dead letter other" in capsys.readouterr().err
    assert main(["relay", "dead", "retry", *at, "letter"]) == 0
    assert capsys.readouterr().out == "1 put back\n"
    assert main(["relay", "dead", "drop", *at, "--all"]) == 0
    assert capsys.readouterr().out == "0 dropped\n"


def test_a_dead_letter_is_one_line_of_json(at, capsys):
    assert main(["relay", *at, "dead", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "letter"


def test_a_relay_without_a_login_says_which_variables_it_needs(at, capsys, monkeypatch):
    for name in ("LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    assert main(["relay", *at]) == 1
    assert "CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD must be set" in capsys.readouterr().err


@pytest.fixture
def listeners(monkeypatch, tmp_path):
    """The listeners that the command has made, which use their position alone; a profile is there."""
    made = []

    def run(self, signals):
        made.append(self)
        store = self.config.cursor_store
        if store is not None:
            store.save({"position": 1})
            assert store.load() == {"position": 1}

    monkeypatch.setattr(RelayListener, "run", run)
    monkeypatch.setenv("CONNECTYCUBE_CONFIG_DIR", str(tmp_path))
    profiles = Profiles(tmp_path)
    profile = Profile(
        name="shop",
        app_id=7,
        api_url="https://api.example",
        chat_host="chat.example",
        chat_port=5222,
        email="shop bot@example.com",
        secrets="file",
    )
    profiles.put(profile)
    profiles.store_of(profile).save("shop", Secrets(password="a password", auth_key="key"))
    return made


def test_a_profile_names_the_bot(at, listeners, tmp_path):
    assert main(["relay", *at, "--bot", "shop"]) == 0
    (listener,) = listeners
    assert listener.login == {"email": "shop bot@example.com", "password": "a password"}
    assert (listener.name, listener.config.app_id) == ("shop bot@example.com", 7)
    assert listener.config.reconnect.max_attempts is None
    assert listener.config.cursor_store is not None
    assert main(["relay", *at, "--bot", "shop", "--durable", str(tmp_path / "bot.db")]) == 0
    assert listeners[1].config.durable == str(tmp_path / "bot.db")
    assert listeners[1].config.cursor_store is None


def test_a_profile_that_is_not_there_is_named(at, listeners, capsys):
    assert main(["relay", *at, "--bot", "none"]) == 2
    assert "none" in capsys.readouterr().err
    assert listeners == []
