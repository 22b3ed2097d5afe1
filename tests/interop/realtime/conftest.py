"""``server``: a test that asks for it runs once on each of the three servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectycube import DialogRef
from connectycube.emulator import Emulator
from tests.interop.realtime.servers import (
    APP,
    EjabberdServer,
    EmulatorServer,
    ProsodyServer,
    Server,
)

_KINDS: dict[str, Any] = {
    "emulator": EmulatorServer,
    "prosody": ProsodyServer,
    "ejabberd": EjabberdServer,
}
_NAMES = [
    "emulator",
    pytest.param("prosody", marks=pytest.mark.referee("prosody")),
    pytest.param("ejabberd", marks=pytest.mark.referee("ejabberd")),
]


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[Emulator]:
    """One emulator for all of these tests."""
    with Emulator(app_id=APP) as running:
        yield running


@pytest.fixture
def own_emulator() -> Iterator[Emulator]:
    """An emulator for this test alone."""
    with Emulator(app_id=APP) as running:
        yield running


@pytest.fixture(scope="session", params=_NAMES)
def running(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """The name of a server and the server, running, one after the other."""
    fixture = {"emulator": "shared_emulator"}.get(request.param, request.param)
    return request.param, request.getfixturevalue(fixture)


@pytest.fixture
def server(running: tuple[str, Any]) -> Iterator[Server]:
    """A server that other tests use too; what the test makes on it is ended with the test."""
    name, place = running
    server = _KINDS[name](place)
    yield server
    server.close()


@pytest.fixture(params=_NAMES)
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for this test alone, to stop, kill and start; ejabberd takes two seconds for each start."""
    server = _KINDS[request.param](request.getfixturevalue(f"own_{request.param}"))
    yield server
    server.close()


@pytest.fixture
def three(server: Server) -> tuple[Any, Any, Any, DialogRef]:
    """Three of our users, and the room of a group dialog of theirs, which the first owns."""
    ana, ben, cleo = (server.person() for _ in range(3))
    return ana, ben, cleo, server.room(ana, ben, cleo)
