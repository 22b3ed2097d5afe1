"""Server certificates of an authority of our own: a good one, and each kind a client must refuse."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "localhost"
OTHER_HOST = "elsewhere.example"


@frozen
class Certificates:
    """Server-side TLS contexts; a client that trusts ``ca_file`` must accept ``valid`` alone.

    ``expired`` ended yesterday, ``not_yet_valid`` begins tomorrow, ``self_signed`` has no authority behind
    it, ``unknown_authority`` another one, ``wrong_host`` is for ``elsewhere.example``. ``valid`` is for
    localhost, muc.localhost and 127.0.0.1; ``key_file`` and ``chain_file`` are its PEM files.
    """

    ca_file: Path
    key_file: Path
    chain_file: Path
    valid: ssl.SSLContext
    expired: ssl.SSLContext
    not_yet_valid: ssl.SSLContext
    self_signed: ssl.SSLContext
    unknown_authority: ssl.SSLContext
    wrong_host: ssl.SSLContext

    def client_context(self) -> ssl.SSLContext:
        """Return a context that verifies chain and host name with our authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))


REFUSED = ("expired", "not_yet_valid", "self_signed", "unknown_authority", "wrong_host")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for servers on localhost, and the file of the authority to trust."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and its certificates; their files go to ``folder``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    # ejabberd sets a timer for the end of its certificate; a thousand years are too many for it.
    valid = authority.issue_cert(HOST, f"muc.{HOST}", "127.0.0.1", not_after=now + 365 * day)
    valid.private_key_pem.write_to_path(str(folder / "localhost.key"))
    for number, blob in enumerate(valid.cert_chain_pems):
        blob.write_to_path(str(folder / "localhost.crt"), append=number > 0)
    return Certificates(
        ca_file=folder / "ca.pem",
        key_file=folder / "localhost.key",
        chain_file=folder / "localhost.crt",
        valid=_context(valid.configure_cert),
        expired=_context(
            authority.issue_cert(HOST, not_before=now - 2 * day, not_after=now - day).configure_cert
        ),
        not_yet_valid=_context(
            authority.issue_cert(HOST, not_before=now + day, not_after=now + 2 * day).configure_cert
        ),
        self_signed=_context(_self_signed(folder / "self-signed.pem", now)),
        unknown_authority=_context(trustme.CA().issue_cert(HOST).configure_cert),
        wrong_host=_context(authority.issue_cert(OTHER_HOST).configure_cert),
    )


def _context(configure: Callable[[ssl.SSLContext], Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    configure(context)
    return context


def _self_signed(path: Path, now: datetime.datetime) -> Callable[[ssl.SSLContext], None]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return lambda context: context.load_cert_chain(path)
