"""Fixtures of the referees; any test may ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectycube.emulator import Emulator
from tests.interop.ejabberd import Ejabberd
from tests.interop.javascript_peer import JavaScriptPeer
from tests.interop.prosody import Prosody
from tests.interop.server_process import ServerProcess
from tests.interop.slixmpp_peer import SlixmppPeer
from tests.support.certificates import Certificates
from tests.support.people import PASSWORD


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


@pytest.fixture(scope="session")
def ejabberd(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Ejabberd]:
    """A running ejabberd for all tests; make accounts with ``add_user``, and do not stop it."""
    with Ejabberd(tmp_path_factory.mktemp("ejabberd"), certificates) as server:
        yield server


@pytest.fixture
def own_ejabberd(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Ejabberd]:
    """A running ejabberd for this test alone: to kill, pause, stop and start; it takes two seconds."""
    with Ejabberd(tmp_path_factory.mktemp("ejabberd"), certificates) as server:
        yield server


@pytest.fixture
def slixmpp_on() -> Iterator[Callable[..., SlixmppPeer]]:
    """``slixmpp_on(server, user, …)``: a new account on a server or an emulator, slixmpp logged in to it.

    On a server of others ``user`` is the JID's local part, on the emulator a login (the JID's local part
    follows from the id it gets). Peers are logged out when the test ends.
    """
    peers: list[SlixmppPeer] = []

    def log_in(server: ServerProcess | Emulator, user: str, **options: Any) -> SlixmppPeer:
        if isinstance(server, Emulator):
            jid = f"{server.add_user(user, PASSWORD)}-{server.app_id}@{server.domain}"
            port = server.chat_port
        else:
            jid = server.add_user(user, PASSWORD)
            port = server.port
        options = {"host": server.host, "port": port, "ca_file": server.ca_file, **options}
        peer = SlixmppPeer(jid, PASSWORD, **options)
        peer.start()
        peers.append(peer)
        return peer

    yield log_in
    for peer in peers:
        peer.stop()


@pytest.fixture
def javascript_on() -> Iterator[Callable[..., JavaScriptPeer]]:
    """``javascript_on(server, user, …)``: as ``slixmpp_on``, with the official JavaScript SDK.

    On a server without the REST API ``user`` must read ``{user_id}-{app_id}``. With ``user=None`` the SDK
    is started and nobody logs in.
    """
    peers: list[JavaScriptPeer] = []

    def log_in(
        server: ServerProcess | Emulator, user: str | None, **options: Any
    ) -> JavaScriptPeer:
        if isinstance(server, Emulator):
            peer = JavaScriptPeer(
                **{
                    "app_id": server.app_id,
                    "auth_key": server.auth_key,
                    "api_url": server.api_url,
                    "chat_host": server.domain,
                    "chat_port": server.chat_port,
                    "ca_file": server.ca_file,
                    **options,
                }
            )
        else:
            app_id = int(user.partition("-")[2]) if user else 1
            peer = JavaScriptPeer(
                **{"app_id": app_id, "chat_port": server.port, "ca_file": server.ca_file, **options}
            )
        peers.append(peer)
        peer.start()
        if isinstance(server, Emulator) and user:
            server.add_user(user, PASSWORD)
            peer.log_in(user, PASSWORD)
        elif user:
            server.add_user(user, PASSWORD)
            peer.connect(int(user.partition("-")[0]), PASSWORD)
        if user:
            peer.heard("")  # whose answer says that the presence was handled
        return peer

    yield log_in
    for peer in peers:
        peer.stop()
