"""The one TLS policy."""

from __future__ import annotations

import ssl

import pytest

from connectycube import ArgumentValueError
from connectycube._tls import client_context


def test_the_policy_verifies_chain_and_host_name_and_speaks_no_old_tls(certificates):
    context = client_context(str(certificates.ca_file))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_file_of_authorities_replaces_those_of_the_system(certificates):
    assert len(client_context(str(certificates.ca_file)).get_ca_certs()) == 1
    assert client_context(None).verify_mode is ssl.CERT_REQUIRED


def test_a_file_without_authorities_is_named(tmp_path):
    path = tmp_path / "no-authorities.pem"
    path.write_text("nothing of the kind")
    with pytest.raises(ArgumentValueError, match=r"ca_file .*no-authorities\.pem"):
        client_context(str(path))
    path.unlink()
    with pytest.raises(ArgumentValueError, match=r"ca_file .*No such file"):
        client_context(str(path))
