"""The listener of ``connectycube relay`` while its engine comes and goes."""

from __future__ import annotations

import threading

import pytest

from connectycube.contrib.relay import Relay, RelayListener
from tests.interop.redis_server import RedisServer
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.referee("redis")

BOT = {"login": "listener", "password": "a password"}


@pytest.mark.parametrize("position", ["in the engine", "nowhere"])
def test_it_waits_for_an_engine_that_is_away_at_its_start(position, emulator, tmp_path):
    emulator.add_user(BOT["login"], BOT["password"])
    server, said = RedisServer(tmp_path), []
    server.port = free_port()
    relay = Relay(server.url)
    store = relay.cursor("listener") if position == "in the engine" else None
    listener = RelayListener(
        relay=relay,
        client_config=emulator.config(cursor_store=store),
        login=BOT,
        say=said.append,
    )
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        wait_until(lambda: said)
        assert "cannot be reached" in said[0] and said[0].endswith("; trying again")
        with server:
            assert listener.ready.wait(TIMEOUT * 2)
            listener.close()
    finally:
        listener.close()
        thread.join(TIMEOUT)
        relay.close()
    assert not thread.is_alive()


def test_it_ends_while_it_waits_for_an_engine(emulator):
    emulator.add_user(BOT["login"], BOT["password"])
    said: list[str] = []
    relay = Relay(f"redis://127.0.0.1:{free_port()}/0")
    listener = RelayListener(
        relay=relay, client_config=emulator.config(), login=BOT, say=said.append
    )
    thread = threading.Thread(target=listener.run)
    thread.start()
    wait_until(lambda: said)
    listener.close()
    thread.join(TIMEOUT)
    relay.close()
    assert not thread.is_alive()
