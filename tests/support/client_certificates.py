"""Client certificates of an authority of their own, and a server that wants one."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme
from attrs import frozen
from cryptography.hazmat.primitives import serialization

from tests.support.certificates import Certificates

PASSWORD = "S3CRET-key"


@frozen
class ClientCertificates:
    """PEM files: ``cert`` with its ``key`` and the key ``encrypted`` by PASSWORD, and others.

    ``whole`` is certificate and key in one file, as are ``expired`` and ``foreign``, which a server that
    speaks ``context`` refuses: the one ended yesterday, the other is of an unknown authority.
    """

    cert: Path
    key: Path
    encrypted: Path
    whole: Path
    expired: Path
    foreign: Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def client_certificates(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> ClientCertificates:
    """Client certificates, and the TLS context of a server on localhost that wants one."""
    folder = tmp_path_factory.mktemp("client-certificates")
    authority = trustme.CA()
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    issued = {
        "whole": authority.issue_cert("client@example.org"),
        "expired": authority.issue_cert(
            "client@example.org", not_before=now - 2 * day, not_after=now - day
        ),
        "foreign": trustme.CA().issue_cert("client@example.org"),
    }
    for name, certificate in issued.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    client = issued["whole"]
    client.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    client.private_key_pem.write_to_path(str(folder / "key.pem"))
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    (folder / "encrypted.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain_file, certificates.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    names = ("cert", "key", "encrypted", *issued)
    return ClientCertificates(**{name: folder / f"{name}.pem" for name in names}, context=context)
