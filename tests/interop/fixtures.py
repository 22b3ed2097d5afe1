"""Fixtures of the independent witnesses; any test may ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.certificates import Certificates

from .prosody import Prosody
from .slixmpp_peer import SlixmppPeer

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def prosody(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Prosody]:
    """A running prosody for all tests; make accounts with ``add_user``, and do not stop it."""
    with Prosody(tmp_path_factory.mktemp("prosody"), certificates) as server:
        yield server


@pytest.fixture
def own_prosody(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Prosody]:
    """A running prosody for this test alone: to kill, pause, stop and start."""
    with Prosody(tmp_path_factory.mktemp("prosody"), certificates) as server:
        yield server


@pytest.fixture
def slixmpp_on() -> Iterator[Callable[..., SlixmppPeer]]:
    """``slixmpp_on(server, user, …)``: a new account on a prosody, and slixmpp logged in to it.

    Peers are logged out when the test ends.
    """
    peers: list[SlixmppPeer] = []

    def log_in(server: Prosody, user: str, **options: Any) -> SlixmppPeer:
        jid = server.add_user(user, PASSWORD)
        options = {"host": server.host, "port": server.port, "ca_file": server.ca_file, **options}
        peer = SlixmppPeer(jid, PASSWORD, **options)
        peer.start()
        peers.append(peer)
        return peer

    yield log_in
    for peer in peers:
        peer.stop()
