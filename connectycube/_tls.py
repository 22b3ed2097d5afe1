"""The one TLS policy, for REST and chat alike."""

from __future__ import annotations

import ssl

from ._os_errors import reason_of
from .errors import ArgumentValueError

__all__ = ["client_context", "refusal_words"]

# OpenSSL, "X509_STORE_CTX_get_error": the authority is not known. Of other causes ca_file is no cure.
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21, 27)


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate chain and the host name, with TLS 1.2 or newer.

    ``ca_file`` (PEM) replaces the system's certificate authorities. Raises ArgumentValueError if it
    cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ArgumentValueError(
            f"ca_file holds no certificates that can be read: {ca_file!r} ({reason_of(error)})"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refusal_words(error: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate was refused, and what to do where its authority is not known."""
    words = str(error.verify_message)
    if error.verify_code in _UNKNOWN_AUTHORITY:
        words += " (a private authority's certificate goes into ca_file, or CONNECTYCUBE_CA_FILE)"
    return words
