"""What one Config says about the network: which TLS context serves whom, and when it is made."""

from __future__ import annotations

import pytest

from connectycube import ArgumentValueError, ConnectyCube, _tls
from connectycube._network import Network


def test_one_context_of_a_process_serves_all_clients_of_a_file(certificates):
    file = str(certificates.ca_file)
    first, second = Network(ca_file=file), Network(ca_file=file)
    assert first.context is second.context is first.proxy_context
    assert Network().context is Network().context is not first.context


def test_a_context_with_a_client_certificate_is_of_one_client(client_certificates):
    file = str(client_certificates.whole)
    contexts = [Network(client_cert=file).context for _ in range(2)]
    assert contexts[0] is not contexts[1]
    assert Network().context not in contexts


def test_a_client_is_made_without_reading_authorities(monkeypatch, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificates")

    def read(*_):
        raise AssertionError("read")

    with monkeypatch.context() as patch:
        patch.setattr(_tls.ssl, "create_default_context", read)
        cube = ConnectyCube(app_id=7, auth_key="key", ca_file=str(tmp_path / "ca.pem"))
    with cube, pytest.raises(ArgumentValueError, match=r"^ca_file holds no certificates"):
        cube.login(login="alice", password="secret")
