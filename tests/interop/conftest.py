"""Two people with the official JavaScript SDK: a process each for a whole module, new users for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.emulator import Emulator
from tests.interop.javascript_peer import JavaScriptPeer
from tests.interop.javascript_people import Person, peer_on, person_at


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """A running emulator for the module."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def peers(service: Emulator) -> Iterator[tuple[JavaScriptPeer, JavaScriptPeer]]:
    """Two processes of the SDK."""
    with peer_on(service) as one, peer_on(service) as other:
        yield one, other


@pytest.fixture
def alice(service: Emulator, peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> Person:
    """A new user with a session, in the first process."""
    return person_at(service, peers[0])


@pytest.fixture
def bob(service: Emulator, peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> Person:
    """A new user with a session, in the second process."""
    return person_at(service, peers[1])


@pytest.fixture
def nobody(peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> Person:
    """The first process without a session."""
    peers[0].call("setSession", None)
    return Person(peers[0], 0, "")
