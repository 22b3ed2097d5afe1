"""The one TLS policy."""

from __future__ import annotations

import re
import ssl

import pytest

from connectycube import ArgumentValueError, _tls
from connectycube._tls import client_context, load_client_certificate, shared_context, tls_words
from tests.support.client_certificates import PASSWORD


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


def test_a_name_in_the_common_name_alone_does_not_count():
    assert client_context(None).hostname_checks_common_name is False


def test_openssls_variables_name_no_authorities(certificates, monkeypatch, tmp_path):
    system = len(client_context(None).get_ca_certs())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert len(client_context(None).get_ca_certs()) == system


# --- the client's certificate


@pytest.mark.parametrize(
    ("cert", "key", "password"),
    [
        ("whole", None, None),
        ("whole", None, "not needed"),
        ("cert", "key", None),
        ("cert", "whole", None),
        ("cert", "encrypted", PASSWORD),
    ],
)
def test_a_client_certificate_is_loaded_with_its_key(client_certificates, cert, key, password):
    key_file = None if key is None else str(getattr(client_certificates, key))
    load_client_certificate(
        client_context(None), str(getattr(client_certificates, cert)), key_file, password
    )


@pytest.mark.parametrize(
    ("cert", "key", "password", "words"),
    [
        ("cert", "encrypted", "WR0NG", "^client_key_password is wrong .*client_key"),
        ("cert", "encrypted", "x" * 2_000, "^client_key_password is wrong"),
        ("cert", "encrypted", None, "^client_key_password is missing.*client_key is encrypted"),
        ("cert", None, None, "^client_cert holds no private key .*give client_key"),
        ("cert", "cert", None, "^client_key holds no private key"),
        ("key", "key", None, "^client_cert holds no certificate"),
        ("cert", "foreign", None, "^client_key is not the private key of client_cert"),
        ("gone", None, None, "^client_cert cannot be read.*No such file"),
        ("cert", "gone", None, "^client_key cannot be read.*No such file"),
        ("nothing", None, None, "^client_cert holds no certificate"),
        ("cert", "nothing", None, "^client_key holds no private key"),
    ],
)
def test_a_wrong_client_certificate_is_refused_by_field(
    client_certificates, tmp_path, cert, key, password, words
):
    (tmp_path / "nothing").write_text("nothing of the kind")

    def path(name):
        return str(getattr(client_certificates, name, tmp_path / name))

    with pytest.raises(ArgumentValueError, match=words) as caught:
        load_client_certificate(
            client_context(None), path(cert), None if key is None else path(key), password
        )
    assert "WR0NG" not in str(caught.value)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "client_cert: it has expired"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "give client_cert"),
        ("TLSV1_ALERT_UNKNOWN_CA", "client_cert: it does not know its authority"),
        ("WRONG_VERSION_NUMBER", "^WRONG_VERSION_NUMBER$"),
    ],
)
def test_an_alert_about_the_client_certificate_names_its_field(reason, words):
    error = ssl.SSLError(1, "[SSL] words of OpenSSL")
    error.reason = reason
    assert re.search(words, tls_words(error))


# --- contexts that are shared


def test_a_ca_file_that_has_changed_is_read_again(certificates, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(certificates.ca_file.read_bytes())
    before = shared_context(str(path))
    assert shared_context(str(path)) is before
    path.write_bytes(path.read_bytes() * 2)
    assert shared_context(str(path)) is not before


def test_contexts_of_many_files_are_not_kept(certificates, tmp_path):
    for number in range(40):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(certificates.ca_file.read_bytes())
        shared_context(str(path))
    assert len(_tls._shared) <= 16
