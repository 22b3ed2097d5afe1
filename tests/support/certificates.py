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
    ``common_name`` has the name in its common name alone, where no name counts.
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
    common_name: ssl.SSLContext

    def client_context(self) -> ssl.SSLContext:
        """Return a context that verifies chain and host name with our authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))


REFUSED = (
    *("expired", "not_yet_valid", "self_signed", "unknown_authority", "wrong_host"),
    "common_name",
)


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
        common_name=_context(_with_common_name(folder / "common-name.pem", authority, now)),
    )


def _context(configure: Callable[[ssl.SSLContext], Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    configure(context)
    return context


_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])


def _self_signed(path: Path, now: datetime.datetime) -> Callable[[ssl.SSLContext], None]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_NAME, key, now).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False
    )
    return _written(path, key, builder.sign(key, hashes.SHA256()))


def _with_common_name(
    path: Path, authority: trustme.CA, now: datetime.datetime
) -> Callable[[ssl.SSLContext], None]:
    """Make a certificate whose subjectAltName has no host name, as those before RFC 2818 had none."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key: Any = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = _builder(issuer.subject, key, now).add_extension(identifier, critical=False)
    return _written(path, key, builder.sign(issuer_key, hashes.SHA256()))


def _builder(
    issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _written(
    path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> Callable[[ssl.SSLContext], None]:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return lambda context: context.load_cert_chain(path)
